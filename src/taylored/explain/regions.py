"""Easy and hard: for which samples a loss pushes, and for which it has let go."""

from __future__ import annotations

from dataclasses import asdict, dataclass
from typing import Any

import torch
from torch import Tensor

from taylored.explain.views import View

_NOISE = 1e-3
"""A gain that is nearer to 1 than this is that of cross-entropy."""

Span = tuple[float, float]


@dataclass(frozen=True)
class Regions:
    """Where on the axis of p_t the gradient of a loss is.

    Args:
        peak: p_t of the largest gradient, and that gradient.
        half: the p_t between which the gradient is at least half of it.
        amplified: where it pushes more than cross-entropy.
        muted: where it pushes less than half as much.
        reversed: where it pushes away from the truth.
        hard: its gradient at p_t = 0.01 over its peak: small if it gives up hard samples.
        easy: its share of the gradient for p_t > 0.5, of samples spread evenly over p_t.

    """

    peak: tuple[float, float]
    half: Span
    amplified: tuple[Span, ...]
    muted: tuple[Span, ...]
    reversed: tuple[Span, ...]
    hard: float
    easy: float

    def to_dict(self) -> dict[str, Any]:
        """Plain numbers and lists."""
        return asdict(self)

    def sentences(self) -> list[str]:
        """The same in words."""
        if self.peak[1] <= 0:
            return ["it pushes nowhere towards the truth"]
        said = [
            f"pushes hardest at p_t = {_p(self.peak[0])}, "
            f"at least half as hard from {_p(self.half[0])} to {_p(self.half[1])}"
        ]
        if self.hard < 0.25:
            said.append(f"gives up hard samples: {self.hard:.0%} of its peak is left at p_t = 0.01")
        if self.amplified:
            said.append(f"more than cross-entropy for p_t {_spans(self.amplified)}")
        if self.muted:
            said.append(f"less than half of cross-entropy for p_t {_spans(self.muted)}")
        if self.reversed:
            said.append(f"pushes away from the truth for p_t {_spans(self.reversed)}")
        share = f"{self.easy:.0%} of its gradient is on easy samples (p_t > 0.5; cross-entropy 25%)"
        return [*said, share]


def regions_of(view: View) -> Regions:
    """The regions of one view."""
    gradient = view.gradient.nan_to_num(0.0, 0.0, 0.0)
    at = int(gradient.argmax())
    top = float(gradient[at])
    inside = _where(view, gradient - 0.5 * top) if top > 0 else ()
    # Samples spread evenly over p_t: the integral of the gradient by p_t.
    width = view.p_t.diff()
    pieces = 0.5 * (gradient.abs()[1:] + gradient.abs()[:-1]) * width
    total = float(pieces.sum())
    right = float((pieces * ((view.p_t[1:] - 0.5) / width).clamp(0, 1)).sum())
    return Regions(
        peak=(float(view.p_t[at]), top),
        half=(inside[0][0], inside[-1][1]) if inside else (float(view.p_t[at]),) * 2,
        amplified=_where(view, view.gain - (1 + _NOISE)),
        muted=_where(view, 0.5 - view.gain),
        reversed=_where(view, -gradient - 1e-9 * top),
        hard=view.at(0.01)[1] / top if top > 0 else 0.0,
        easy=right / total if total > 0 else 0.0,
    )


def _where(view: View, above: Tensor) -> tuple[Span, ...]:
    """Where a line is above 0, as intervals of p_t with ends between the points of the axis."""
    mask = above > 0
    edges = torch.cat([mask.new_zeros(1), mask, mask.new_zeros(1)]).int().diff()
    starts, ends = (edges == 1).nonzero().flatten(), (edges == -1).nonzero().flatten() - 1
    pairs = zip(starts.tolist(), ends.tolist(), strict=True)
    return tuple((_zero(view, above, a, a - 1), _zero(view, above, b, b + 1)) for a, b in pairs)


def _zero(view: View, line: Tensor, inside: int, outside: int) -> float:
    """Where a line passes 0 between two points; the inner one where the axis ends."""
    p = float(view.p_t[inside])
    if not 0 <= outside < len(line):
        return p
    a, b = float(line[inside]), float(line[outside])
    part = a / (a - b) if a > b else 0.0
    return p + part * (float(view.p_t[outside]) - p)


def _p(value: float) -> str:
    """A probability as people read it: the ends of the axis are 0 and 1."""
    return "0" if value < 0.001 else "1" if value > 0.999 else f"{value:.2g}"


def _spans(spans: tuple[Span, ...]) -> str:
    return " and ".join(f"from {_p(low)} to {_p(high)}" for low, high in spans)
