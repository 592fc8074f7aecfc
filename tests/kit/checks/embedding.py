"""What every loss of embeddings owes: values, derivatives, anchors, ignored samples."""

from __future__ import annotations

import math

import pytest
import torch
from torch import Tensor

from kit.tolerances import close
from kit.turns import FAST
from references import REFERENCES, Call
from taylored import catalog

LABELS = torch.tensor([0, 1, 0, 2, 1, 0, 3])
"""The last but three and the last are alone in their classes."""


def embeddings(dtype: torch.dtype = torch.float64) -> Tensor:
    generator = torch.Generator().manual_seed(5)
    return torch.randn(len(LABELS), 4, generator=generator, dtype=torch.float64).to(dtype)


def loss_of(text: str, **options: object) -> torch.nn.Module:
    return catalog.get(Call.of(text).having(**options).text())


def expected_of(text: str, x: Tensor, labels: Tensor) -> tuple[Tensor, Tensor]:
    """The values in float64 by the reference, and which anchors count."""
    call = Call.of(text)
    values = REFERENCES[call.name](x.double(), labels, call.arguments)
    counted = ~values.isnan()
    return torch.where(counted, values, 0.0), counted


def gradient(loss: torch.nn.Module, x: Tensor, labels: Tensor, **beside: Tensor) -> Tensor:
    leaf = x.detach().clone().requires_grad_()
    return torch.autograd.grad(loss(leaf, labels, **beside).sum(), leaf)[0]


def check_value(text: str) -> None:
    x = embeddings()
    values, counted = expected_of(text, x, LABELS)
    assert 0 < counted.sum() <= len(LABELS)
    close(loss_of(text, reduction="none")(x, LABELS), values)
    close(loss_of(text, reduction="sum")(x, LABELS), values.sum())
    close(loss_of(text)(x, LABELS), values.sum() / counted.sum())
    close(loss_of(text, reduction="batch_mean")(x, LABELS), values.mean())
    weight = torch.linspace(0.0, 3.0, len(LABELS)).double()
    close(loss_of(text)(x, LABELS, sample_weight=weight), (weight * values).sum() / counted.sum())
    close(loss_of(text)(x, LABELS, normalizer=4.0), values.sum() / 4)


def check_derivatives(text: str) -> None:
    """Analytic against numerical, where no factor is held constant; else against the reference."""
    loss, x = loss_of(text, reduction="sum"), embeddings()
    leaf = x.clone().requires_grad_()
    expected = torch.autograd.grad(expected_of(text, leaf, LABELS)[0].sum(), leaf)[0]
    close(gradient(loss, x, LABELS), expected)
    if "circle" not in text:  # whose weights of pairs are constants
        assert torch.autograd.gradcheck(lambda z: loss(z, LABELS), (leaf,))
        assert torch.autograd.gradgradcheck(lambda z: loss(z, LABELS), (leaf,), fast_mode=FAST)


def check_half(text: str, dtype: torch.dtype) -> None:
    x = embeddings(dtype)
    value = loss_of(text)(x, LABELS)
    assert value.dtype == torch.float32
    values, counted = expected_of(text, x, LABELS)
    close(value, values.sum() / counted.sum(), 1e-4, 1e-5)
    assert gradient(loss_of(text), x, LABELS).dtype == dtype


def check_ignored(text: str) -> None:
    """An ignored sample is as if it were not there, whatever it holds."""
    x, labels = embeddings(), LABELS.clone()
    kept = torch.ones(len(labels), dtype=torch.bool)
    kept[2] = kept[5] = False
    for junk in (1.0, math.nan, math.inf):
        spoilt = x.clone()
        spoilt[~kept] *= junk
        marked = torch.where(kept, labels, -100)
        close(loss_of(text)(spoilt, marked), loss_of(text)(x[kept], labels[kept]))
        found = gradient(loss_of(text), spoilt, marked)
        assert (found[~kept] == 0).all()
        close(found[kept], gradient(loss_of(text), x[kept], labels[kept]))


def check_length(text: str) -> None:
    """Directions alone count, at any length that the dtype has."""
    x = embeddings()
    close(loss_of(text)(1e3 * x, LABELS), loss_of(text)(x, LABELS))
    for size in (1e-25, 1e25):
        found = loss_of(text)((size * x).float(), LABELS)
        close(found, loss_of(text)(x, LABELS), 1e-4, 1e-5)


def check_order(text: str) -> None:
    order = torch.tensor([3, 0, 6, 2, 5, 1, 4])
    loss, x = loss_of(text, reduction="none"), embeddings()
    close(loss(x[order], LABELS[order]), loss(x, LABELS)[order])
    renamed = torch.tensor([7, 3, 900, 12])[LABELS]
    close(loss(x, renamed), loss(x, LABELS))


def check_nothing_to_compare(text: str) -> None:
    """One sample, no sample, and equal embeddings: finite, with a gradient."""
    loss = loss_of(text)
    for x, labels in (
        (embeddings()[:0], LABELS[:0]),
        (embeddings()[:1], LABELS[:1]),
        (embeddings()[:3], torch.full((3,), -100)),
    ):
        assert loss(x, labels) == 0
        assert (gradient(loss, x, labels) == 0).all()
    for x in (torch.ones(len(LABELS), 4), torch.zeros(len(LABELS), 4)):
        assert loss(x, LABELS).isfinite()
        assert gradient(loss, x, LABELS).isfinite().all()


def check_function(text: str) -> None:
    loss, spec = loss_of(text), catalog.spec(text)
    options = {p.name: getattr(loss, p.name) for p in spec.accepted}
    assert spec.function is not None
    assert torch.equal(spec.function(embeddings(), LABELS, **options), loss(embeddings(), LABELS))


def check_refused(text: str) -> None:
    loss, x = loss_of(text), embeddings()
    for wrong in (
        (x.long(), LABELS),
        (x.unsqueeze(0), LABELS),
        (x, LABELS.double()),
        (x, LABELS.unsqueeze(1)),
        (x, LABELS[:3]),
        (x.tolist(), LABELS),
        (x, LABELS.tolist()),
    ):
        with pytest.raises(ValueError, match=r"^`\w+` must be .*, got .*Fix: "):
            loss(*wrong)


def check_compiled(text: str) -> None:
    torch._dynamo.reset()
    loss, x = loss_of(text), embeddings(torch.float32)
    compiled = torch.compile(loss, fullgraph=True, backend="aot_eager")
    close(compiled(x, LABELS), loss(x, LABELS), 1e-6, 1e-6)
    close(gradient(compiled, x, LABELS), gradient(loss, x, LABELS), 1e-5, 1e-6)
