"""Softmax cross-entropy stays within its error bound, on logits that were chosen against it."""

from __future__ import annotations

import pytest
import torch
from torch import Tensor

from kit.native import needs_native
from kit.softmax_bound import bounded
from taylored import cross_entropy_loss
from taylored.core.engine import executors

pytestmark = needs_native


def adversarial(classes: int) -> Tensor:
    """Rows that are hard for a sum, a difference or an exponential."""
    numbers = torch.Generator().manual_seed(classes)
    drawn = torch.randn(classes, generator=numbers)
    ramp = torch.linspace(0.0, 1.0, classes)
    last = torch.zeros(classes).index_fill(0, torch.tensor([classes - 1]), 1.0)
    rows = [torch.zeros(classes), drawn, 5 * drawn, 30 * drawn, -87.0 * ramp, -20.0 * ramp]
    # Each rounds upwards when it is added to a sum of all before.
    rows += [torch.log1p(ramp), 16.6 * last, -16.6 * last, 1e4 + drawn, 3e6 + 10 * drawn]
    rows += [margin * (1 - last) for margin in (-80.0, -30.0, -8.0, -1.0, 0.1, 1.0, 8.0, 80.0)]
    return torch.stack(rows)


def check(classes: int, layout: str, spoilt: float = 1.0) -> None:
    logits = adversarial(classes)
    for chosen in (0, classes - 1, classes // 2) if classes <= 1000 else (0,):
        target = torch.full((len(logits),), chosen)
        z = logits.clone() if layout == "rows" else logits.T.contiguous().T
        z.requires_grad_()
        with executors.only("native"):
            value = cross_entropy_loss(z, target, reduction="none")
            (gradient,) = torch.autograd.grad(value.sum(), z)
        found = bounded(logits, target)
        value_error = (spoilt * value.detach().double() - found.value).abs()
        gradient_error = (spoilt * gradient.double() - found.gradient).abs()
        assert (value_error <= found.value_bound).all()
        assert (gradient_error <= found.gradient_bound).all()


@pytest.mark.parametrize("classes", [2, 3, 15, 16, 17, 33, 100, 1000, 10_000, 100_000])
@pytest.mark.parametrize("layout", ["rows", "columns"])
def test_cross_entropy_is_within_its_bound(classes: int, layout: str) -> None:
    check(classes, layout)


@pytest.mark.parametrize("classes", [2, 33])
def test_a_hundred_thousandth_too_much_is_noticed(classes: int) -> None:
    with pytest.raises(AssertionError):
        check(classes, "rows", 1.0 + 1e-5)
