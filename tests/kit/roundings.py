"""How far float32 values and gradients of a loss are from the same loss in float64, in roundings.

A rounding is u = 2^-24. That of a value is by how much one rounding of the value and of all logits
may move it: u (|L| + sum over j of |z_j dL/dz_j|). That of a gradient g_j is likewise
u (1 + m) (|g_j| + sum over k of |dg_j/dz_k|), where m is the largest logit of the position in size,
but at most 104: beyond that, exp(-m) is no float32. An error below 2^-100 is allowed besides, or
below a larger power of two where a loss has no digits so far out.
"""

from __future__ import annotations

from typing import NamedTuple
from unittest import mock

import torch
from torch import Tensor, nn

from kit.cases import CLASSES, Case, build, call_of, examples, target_kinds
from kit.executors import PATHS, running
from kit.traits import BATCHWISE
from taylored.core.engine import blocked

U = 2.0**-24
FAR = 104.0
LARGEST = 1e4
TAILS = (100, 48, 20, 16)
"""Errors below 2 to minus one of these may be allowed: the first that will do is stated."""
RUNS = [path for path in PATHS if path != "composed"]


def drawn(seed: int, count: int = 1000) -> Tensor:
    """Logits of all sizes up to 1e4: of one size, about one that stands out, and at the ends."""
    generator = torch.Generator().manual_seed(seed)

    def normal(columns: int) -> Tensor:
        return torch.randn(count, columns, generator=generator)

    size = 10.0 ** (8.0 * torch.rand(count, 1, generator=generator) - 4.0)
    alike = normal(CLASSES) * size
    chosen = torch.randint(CLASSES, (count, 1), generator=generator)
    one = normal(CLASSES).scatter_add_(1, chosen, 40.0 * normal(1))
    ends = LARGEST * normal(CLASSES).sign()
    return torch.cat([alike, one, ends[:8], torch.zeros(1, CLASSES)]).clamp(-LARGEST, LARGEST)


def _found(loss: nn.Module, logits: Tensor, target: Tensor) -> tuple[Tensor, Tensor]:
    """The values, and the gradient of their sum."""
    z = logits.clone().requires_grad_()
    values = loss(z, target)
    (gradient,) = torch.autograd.grad(values.sum(), z)
    return values.detach(), gradient


def _exact(loss: nn.Module, logits: Tensor, target: Tensor) -> tuple[Tensor, Tensor, Tensor]:
    """The same, and by how much each entry of the gradient moves with the logits of its row."""
    z = logits.clone().requires_grad_()
    with running("composed"):
        values = loss(z, target)
        (gradient,) = torch.autograd.grad(values.sum(), z, create_graph=True)
    bends = torch.zeros_like(logits)
    for column in range(z.shape[1]) if gradient.requires_grad else ():
        one = gradient[:, column].sum()
        (moved,) = torch.autograd.grad(one, z, retain_graph=True)
        bends[:, column] = moved.abs().sum(dim=1)
    return values.detach(), gradient.detach(), bends.nan_to_num(0.0)


class Worst(NamedTuple):
    """The largest errors in roundings, by the tail that is allowed."""

    value: dict[int, float]
    gradient: dict[int, float]


def measured() -> list[str]:
    """Examples of the losses that judge every position, or every element, by itself."""
    return [text for text in examples() if call_of(text).name not in BATCHWISE]


def worst(text: str, seed: int, spoilt: float = 1.0) -> Worst:
    """The largest errors on any executor; `spoilt` multiplies what they find."""
    call = call_of(text).having(reduction="none")
    loss, z = build(call), drawn(seed)
    target = Case(text, target_kinds(call)[0], tuple(z.shape)).targets(ignored=False)
    value, gradient, bends = _exact(loss, z.double(), target)
    moved = (z * gradient).abs()
    of_value = value.abs() + (moved if moved.shape == value.shape else moved.sum(dim=1))
    most = z.abs().amax(dim=1, keepdim=True).clamp_max(FAR)
    of_gradient = (gradient.abs() + bends) * (1.0 + most)
    found = Worst(dict.fromkeys(TAILS, 0.0), dict.fromkeys(TAILS, 0.0))
    for path in RUNS:
        with running(path), mock.patch.object(blocked, "BLOCK_ELEMENTS", 1 << 12):
            got, slope = _found(loss, z, target)
        for tail in TAILS:
            error = _most(spoilt * got, value, of_value, tail)
            found.value[tail] = max(found.value[tail], error)
            error = _most(spoilt * slope, gradient, of_gradient, tail)
            found.gradient[tail] = max(found.gradient[tail], error)
    return found


def _most(got: Tensor, exact: Tensor, unit: Tensor, tail: int) -> float:
    """The largest error in units; NaN where only one of the two is, or infinite."""
    same = (got == exact) | (got.isnan() & exact.isnan())
    error = ((got.double() - exact).abs() - 2.0**-tail).clamp_min(0.0)
    units = torch.where(same | (error == 0), 0.0, error / (U * unit))
    return float(units.amax())
