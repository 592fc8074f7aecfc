"""The area that a turned rectangle shares with an upright one around the origin.

It is the integral of clamp(y) dx around the turned rectangle, over the x of the upright one: what
lies above or below counts with the upright one's edge, on the way there and on the way back, and
cancels. No corners are sorted and no case is told apart, so that the area is continuous where edges
coincide or corners touch, and its gradient is exact there from either side.
"""

from __future__ import annotations

import torch
from torch import Tensor

_SIGNS = ((1.0, 1.0), (-1.0, 1.0), (-1.0, -1.0), (1.0, -1.0))
"""The corners of a rectangle, counter-clockwise."""


def shared_area(offset: Tensor, size: Tensor, turn: Tensor, target_size: Tensor) -> Tensor:
    """The area of the intersection.

    Args:
        offset: the centre of the turned rectangle, (2, ...).
        size: its sides, (2, ...).
        turn: cosine and sine of its angle, (2, ...).
        target_size: the sides of the upright rectangle around the origin, (2, ...).
    """
    x, y = _corners(offset, size, turn)
    next_x, next_y = x.roll(-1, 0), y.roll(-1, 0)
    bound_x, bound_y = (target_size / 2).unbind(0)
    start, stop = _clamped(x, bound_x), _clamped(next_x, bound_x)
    run, rise = next_x - x, next_y - y
    upright = run == 0
    run = torch.where(upright, 1.0, run)
    start_y = y + torch.where(upright, 0.0, (start - x) / run) * rise
    stop_y = y + torch.where(upright, 1.0, (stop - x) / run) * rise
    return ((start - stop) * _mean_clamped(start_y, stop_y, bound_y)).sum(0).clamp_min(0.0)


def _corners(offset: Tensor, size: Tensor, turn: Tensor) -> tuple[Tensor, Tensor]:
    """The corners of the turned rectangle, (4, ...) each."""
    half_width, half_length = (size / 2).unbind(0)
    cos, sin = turn.unbind(0)
    x = [offset[0] + i * cos * half_width - j * sin * half_length for i, j in _SIGNS]
    y = [offset[1] + i * sin * half_width + j * cos * half_length for i, j in _SIGNS]
    return torch.stack(x), torch.stack(y)


def _clamped(values: Tensor, bound: Tensor) -> Tensor:
    return torch.minimum(torch.maximum(values, -bound), bound)


def _mean_clamped(start: Tensor, stop: Tensor, bound: Tensor) -> Tensor:
    """The mean of clamp(y, -bound, bound) along a line from start to stop."""
    low, high = torch.minimum(start, stop), torch.maximum(start, stop)
    below, under = _share_below(low, high, -bound), _share_below(low, high, bound)
    # Where the line enters and leaves is a constant for the first derivative, in which its
    # movement cancels; left to autograd, an edge that is nearly parallel divides rounding by it.
    at, to = below.detach(), under.detach()
    mean = bound * (1.0 - to - at) + low * (to - at) + (high - low) * (to * to - at * at) / 2
    # The second derivative does see it move: two terms that are 0 with their first derivatives.
    enters, leaves = bound + low + at * (high - low), bound - low - to * (high - low)
    return mean - ((below - at) * _moving(enters) + (under - to) * _moving(leaves)) / 2


def _moving(values: Tensor) -> Tensor:
    """0 with the derivatives of the values."""
    return values - values.detach()


def _share_below(low: Tensor, high: Tensor, level: Tensor) -> Tensor:
    """Which share of a line from low to high lies below a level."""
    crosses = (low < level) & (level < high)
    share = (level - low) / torch.where(crosses, high - low, 1.0)
    # A line that lies in the level is half below it: from both sides it has half the derivative.
    beside = ((level >= high).to(low) + (level > low).to(low)) / 2
    return torch.where(crosses, share, beside)
