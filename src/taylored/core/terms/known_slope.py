"""A value whose derivative in the margin is known in closed form.

Autograd would save one tensor for each summand of a long sum. Here the derivative is attached to
the value instead. It is made of differentiable operations, and so higher derivatives, forward mode
and vmap work too.
"""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import torch
from torch import Tensor

from taylored.core.context import compiling
from taylored.core.terms.point import Point

PointFunction = Callable[[Point], Tensor]


class _KnownSlope(torch.autograd.Function):
    generate_vmap_rule = True

    @staticmethod
    def forward(margin: Tensor, value: PointFunction, slope: PointFunction) -> Tensor:
        return value(Point(margin))

    @staticmethod
    def setup_context(ctx: Any, inputs: tuple[Any, ...], output: Tensor) -> None:
        margin, _, slope = inputs
        ctx.slope = slope
        ctx.save_for_backward(margin)
        ctx.save_for_forward(margin)

    @staticmethod
    def backward(ctx: Any, *grad_outputs: Tensor) -> tuple[Tensor, None, None]:
        (margin,) = ctx.saved_tensors
        return -grad_outputs[0] * ctx.slope(Point(margin)), None, None


class _KnownSlopeWithForwardMode(_KnownSlope):
    @staticmethod
    def jvp(ctx: Any, *tangents: Any) -> Tensor:
        (margin,) = ctx.saved_tensors
        derivative: Tensor = -tangents[0] * ctx.slope(Point(margin))
        return derivative


def with_known_slope(margin: Tensor, value: PointFunction, slope: PointFunction) -> Tensor:
    """`value` at the margin. Its derivative is `-slope`."""
    # The compiler refuses functions with a `jvp` of their own.
    function = _KnownSlope if compiling() else _KnownSlopeWithForwardMode
    result: Tensor = function.apply(margin, value, slope)
    return result
