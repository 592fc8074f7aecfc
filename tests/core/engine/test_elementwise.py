"""Losses of their own on the shared vocabulary: with the engine's term they are the engine."""

from __future__ import annotations

import pytest
import torch
import torch.nn.functional as F
from torch import Tensor

from kit.elementwise import target_of
from taylored import binary_cross_entropy_loss, cross_entropy_loss
from taylored.core.engine.element_loss import element_loss
from taylored.core.engine.elementwise import element_batch, elements
from taylored.core.plan.options import Options
from taylored.core.terms.point import Point

SHAPES = ((7, 5), (3, 5, 4), (2, 5, 2, 3))
REDUCTIONS = ("none", "sum", "mean", "batch_mean")
WEIGHT = torch.tensor([1.0, 2.0, 0.5, 0.0, 3.0])


def entropy(at: Point, y: Tensor) -> Tensor:
    return -(y * at.log_p + (1 - y) * at.log_q)


def surprise(at: Point, y: Tensor) -> Tensor:
    return -y * at.log_p


LINKS = {
    "sigmoid": (entropy, binary_cross_entropy_loss),
    "softmax": (surprise, cross_entropy_loss),
}


@pytest.mark.parametrize("reduction", REDUCTIONS)
@pytest.mark.parametrize("kind", ["index", "dense"])
@pytest.mark.parametrize("link", LINKS)
@pytest.mark.parametrize("shape", SHAPES)
def test_cross_entropy_in_its_own_words(
    shape: tuple[int, ...], link: str, kind: str, reduction: str
) -> None:
    values, engine = LINKS[link]
    target = target_of(kind, link, shape)
    generator = torch.Generator().manual_seed(0)
    logits = torch.randn(shape, generator=generator, dtype=torch.float64)
    for weight, sample_weight in ((None, None), (WEIGHT, torch.linspace(0, 2, shape[0]).double())):
        options = {"weight": weight, "reduction": reduction, "sample_weight": sample_weight}
        found = []
        for function in (
            lambda z, o=options: element_loss(z, target, values, Options(link=link, **o)),
            lambda z, o=options: engine(z, target, **o),
        ):
            z = logits.clone().requires_grad_()
            loss = function(z)
            (gradient,) = torch.autograd.grad((loss * 1.7).sum(), z)
            found.append((loss.detach(), gradient))
        for left, right in zip(*found, strict=True):
            torch.testing.assert_close(left, right, rtol=1e-10, atol=1e-13)


@pytest.mark.parametrize("link", LINKS)
def test_ignored_logits_leave_no_trace(link: str) -> None:
    """Not even where they are infinite, or the values of the loss are."""
    for kind in ("index", "dense"):
        if (link, kind) == ("softmax", "dense"):
            continue  # nothing can be ignored
        target = target_of(kind, link, (7, 5))
        gone = (target == -100).unsqueeze(1) if kind == "index" else target == -100
        logits = torch.randn(7, 5, dtype=torch.float64).masked_fill(gone, float("inf"))
        z = logits.clone().requires_grad_()
        loss = element_loss(z, target, LINKS[link][0], Options(link=link))
        (gradient,) = torch.autograd.grad(loss, z)
        assert loss.isfinite()
        assert gradient.isfinite().all()
        assert (gradient.masked_select(gone) == 0).all()


def test_background_rows_have_no_truth() -> None:
    options = Options(link="sigmoid", background_index=5)
    found = elements(element_batch(torch.zeros(3, 5), torch.tensor([5, 2, -100]), options))
    assert found.y.sum(dim=1).tolist() == [0.0, 1.0, 0.0]
    assert found.counted()[:, 0].tolist() == [True, True, False]


def test_bytes_are_not_taken_for_negative_markers() -> None:
    logits = torch.randn(3, 200, dtype=torch.float64)
    target = torch.tensor([156, 3, 199], dtype=torch.uint8)  # 156 is -100 modulo 256
    found = element_loss(logits, target, surprise, Options())
    torch.testing.assert_close(found, F.cross_entropy(logits, target.long()))


def test_half_precision_is_only_storage() -> None:
    logits = torch.linspace(-40, 40, 35).reshape(7, 5).half().requires_grad_()
    found = elements(element_batch(logits, torch.arange(7) % 5, Options(link="sigmoid")))
    assert found.z.dtype == found.y.dtype == torch.float32
    loss = element_loss(logits, torch.arange(7) % 5, entropy, Options(link="sigmoid"))
    assert loss.dtype == torch.float32
    (gradient,) = torch.autograd.grad(loss, logits)
    assert gradient.dtype == torch.float16


def test_gradients_to_targets_and_weights() -> None:
    logits, y = torch.randn(4, 3, dtype=torch.float64), torch.rand(4, 3, dtype=torch.float64)
    weight = torch.rand(3, dtype=torch.float64)

    def function(z: Tensor, target: Tensor, per_class: Tensor) -> Tensor:
        options = Options(link="sigmoid", weight=per_class, ignore_index=None)
        return element_loss(z, target, entropy, options)

    inputs = [tensor.requires_grad_() for tensor in (logits, y, weight)]
    assert torch.autograd.gradcheck(function, inputs, check_forward_ad=True)
    assert torch.autograd.gradgradcheck(function, inputs)
