"""States in which a loss with state is one without."""

from __future__ import annotations

import pytest
import torch
from torch import Tensor, nn

from kit.cases import COUNTS
from kit.checks.stateful import stepped
from kit.stateful import Subject
from kit.tolerances import within
from taylored import catalog

IN_BALANCE = ([10.0, 20.0, 50.0, 30.0, 90.0], [10.0, 20.0, 50.0, 30.0, 90.0])
ABOVE = ([9.0, 2.0, 5.0, 30.0, 0.1], [1.0, 2.0, 0.5, 3.0, 0.01])
AS_COUNTED = ([0.01 * count for count in COUNTS], [1.0, 2.0, 3.0, 4.0, 5.0])
FAR_ABOVE = ([400.0, 500.0, 600.0, 700.0, 800.0], [1.0, 2.0, 3.0, 4.0, 5.0])
NOTHING = None

HARD = ("index", "multi-hot")
# (a loss with state, the state, the same loss without, kinds of targets)
IDENTITIES = (
    ("equalized_focal(num_classes=5)", IN_BALANCE,
     'focal(gamma=2, alpha=0.25, link="sigmoid")', (*HARD, "soft")),
    ("equalized_focal(num_classes=5, gamma=1.3, scale=3, alpha=0.6)", ABOVE,
     'focal(gamma=1.3, alpha=0.6, link="sigmoid")', (*HARD, "soft")),
    ("equalized_focal(num_classes=5)", NOTHING,
     'focal(gamma=2, alpha=0.25, link="sigmoid")', (*HARD, "soft")),
    ("equalized_focal(num_classes=5, scale=0)", AS_COUNTED,
     'focal(gamma=2, alpha=0.25, link="sigmoid")', (*HARD, "soft")),
    ("equalized_quality_focal(num_classes=5)", IN_BALANCE, 'focal(gamma=2, link="sigmoid")', HARD),
    ("equalized_quality_focal(num_classes=5)", IN_BALANCE, "quality_focal(beta=2)",
     (*HARD, "scores")),
    ("softmax_eql(num_classes=5)", AS_COUNTED, "balanced_softmax(counts=[900, 250, 40, 7, 1])",
     ("index", "probabilities")),
    ("softmax_eql(num_classes=5, tau=0.6)", AS_COUNTED,
     "logit_adjusted(counts=[900, 250, 40, 7, 1], tau=0.6)", ("index", "probabilities")),
    ("softmax_eql(focal(gamma=1.5), num_classes=5)", NOTHING, "focal(gamma=1.5)",
     ("index", "probabilities")),
    ('softmax_eql(num_classes=5, floor="share")', NOTHING, "cross_entropy",
     ("index", "probabilities")),
    ("softmax_eql(poly(epsilon=2), num_classes=5, tau=0)", AS_COUNTED, "poly(epsilon=2)",
     ("index", "probabilities")),
    ("sigmoid_eql(num_classes=5)", NOTHING, "binary_cross_entropy", (*HARD, "soft")),
    ("sigmoid_eql(num_classes=5)", FAR_ABOVE, "binary_cross_entropy", (*HARD, "soft")),
)  # fmt: skip


def check_identity(
    loss: nn.Module, state: tuple[list[float], list[float]] | None, other: nn.Module, batch: object
) -> None:
    if state is not None:
        loss.indicator.load(*state)
    found, expected = stepped(loss, batch), stepped(other, batch)
    for got, wanted in zip(found, expected, strict=True):
        within(got, wanted, 1e-9)


def without_state(text: str) -> nn.Module:
    before = torch.get_default_dtype()
    torch.set_default_dtype(torch.float64)
    try:
        return catalog.get(text)
    finally:
        torch.set_default_dtype(before)


@pytest.mark.parametrize(("text", "state", "other", "kinds"), IDENTITIES)
@pytest.mark.parametrize("trailing", [(), (3,)], ids=["flat", "deep"])
def test_identities(
    text: str, state: tuple | None, other: str, kinds: tuple[str, ...], trailing: tuple[int, ...]
) -> None:
    for kind in kinds:
        batch = Subject(text, (kind,)).batch(3, size=9, trailing=trailing)
        check_identity(Subject(text).build(), state, without_state(other), batch)


def test_other_states_are_noticed() -> None:
    for text, _, other, kinds in IDENTITIES:
        if "tau=0" in text or "scale=0" in text:
            continue
        subject = Subject(text, kinds[:1])
        unbalanced = ([5.0, 1.0, 0.4, 0.1, 0.02], [5.5, 3.0, 2.0, 1.0, 0.5])
        with pytest.raises(AssertionError):
            check_identity(
                subject.build(), unbalanced, without_state(other), subject.batch(3, size=9)
            )


def test_unseen_classes_are_finite() -> None:
    """A state with zeros, and logits at the ends of their range."""
    logits = torch.tensor([[100.0, -100.0, 0.0, 30.0, -30.0]] * 5, dtype=torch.float64)
    target = torch.arange(5)
    for text in {text for text, *_ in IDENTITIES}:
        loss = Subject(text).build()
        loss.indicator.load([1.0, 0.0, 0.0, 2.0, 0.0], [0.0, 0.0, 1.0, 0.0, 3.0])
        for _ in range(3):
            z: Tensor = logits.clone().requires_grad_()
            value = loss(z, target)
            (gradient,) = torch.autograd.grad(value, z)
            assert value.isfinite()
            assert gradient.isfinite().all()
            assert all(buffer.isfinite().all() for buffer in loss.indicator.buffers())
