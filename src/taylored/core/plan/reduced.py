"""From one value per position to what a call returns, for losses that compute their values alone.

The engine of the classification losses folds mask, weights and denominator into one coefficient per
position before it computes; here the values are there first, and the rules are the same.
"""

from __future__ import annotations

import torch
from torch import Tensor

from taylored.core.checks import fail
from taylored.core.numerics import tensor_of
from taylored.core.plan.denominator import denominator_of, divided
from taylored.core.plan.options import Reduction, check_reduction


def read_positions_weight(sample_weight: object, positions: torch.Size) -> Tensor:
    """Sample weights, per position or per sample (the first axis), to spread over the positions."""
    try:
        weight = tensor_of(sample_weight)
    except (TypeError, ValueError, RuntimeError):
        fail("sample_weight", "a tensor, or numbers for one", repr(sample_weight),
             "use torch.as_tensor(sample_weight)")  # fmt: skip
    if weight.shape == positions:
        return weight
    if len(positions) > 0 and weight.shape[:1] == positions[:1] and weight.numel() == positions[0]:
        return weight.reshape(-1, *[1] * (len(positions) - 1))
    fail(
        "sample_weight",
        f"one number per position, shape {tuple(positions)}, or per sample, {tuple(positions[:1])}",
        f"shape {tuple(weight.shape)}",
        "weigh what one value of the loss stands for, and nothing inside it",
    )


def silenced(values: Tensor, weight: Tensor | None, inner: int, instead: float = 1.0) -> Tensor:
    """An input of the loss, with another number at positions of weight 0.

    A weight of 0 does not silence infinity or NaN: 0 times either is NaN, in the value and in every
    derivative. 1 is a number that every loss takes, in every place. `inner` is how many of the last
    axes lie inside one position.
    """
    if weight is None or not values.is_floating_point():
        return values
    return torch.where((weight == 0).reshape(weight.shape + (1,) * inner), instead, values)


def reduced(
    values: Tensor,
    reduction: Reduction,
    weight: Tensor | None = None,
    normalizer: float | Tensor | None = None,
    counted: Tensor | None = None,
) -> Tensor:
    """The values, weighted and reduced.

    Weights stand in the numerator only. `counted` says which positions there are at all, where the
    data decide it; without any, the loss is 0 and connected to its inputs.
    """
    check_reduction(reduction, normalizer)
    if counted is not None:
        values = torch.where(counted, values, 0.0)
    if weight is not None:
        values = values * weight.to(values)
    if reduction == "none":
        return values
    samples = values.shape[0] if values.dim() else 1
    denominator = denominator_of(
        reduction,
        normalizer,
        mean=values.numel() if counted is None else counted.sum(),
        batch_mean=samples,
    )
    return divided(values.sum(), denominator, normalizer)
