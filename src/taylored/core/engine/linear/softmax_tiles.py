"""Softmax losses of one true class, of a linear head, a few classes at a time.

The formulas are those of `core/links/softmax.py`. The largest of the other logits and the sum of
their exponentials above it are kept from tile to tile; where a larger logit comes, the sum is
scaled to it. Then the margin is known, and with it value and slope; each tile is formed again for
its gradient, the last one first, which is still there.
"""

from __future__ import annotations

from typing import NamedTuple

import torch
from torch import Tensor

from taylored.core.engine.linear.tile import Sink, Tiles
from taylored.core.engine.sharded.part import put
from taylored.core.links.softmax import bound_to_target
from taylored.core.numerics import computing_dtype, harmless
from taylored.core.plan.plan import Block, Plan
from taylored.core.terms import fast_point
from taylored.core.terms.point import continued, inside


def of_softmax(tiles: Tiles, plan: Plan, sink: Sink | None) -> Tensor:
    """The loss of some positions; its gradient goes to the sink."""
    running = _Running(tiles.features, plan)
    bend = None
    for columns in tiles.cuts:
        z, bend = tiles.formed(columns)
        wide = tiles.wide(z, columns)
        running.take(wide, columns)
    values, slopes, pulls = running.judged()
    if sink is not None:
        ratio = slopes / running.total
        for columns in reversed(tiles.cuts):
            if columns is not tiles.cuts[-1]:
                z, bend = tiles.formed(columns)
                wide = running.sizes_(tiles.wide(z, columns), columns)
            gradient = running.gradient_(wide.mul_(ratio), pulls, columns, sink.counted)
            sink.add(tiles.stored(gradient, columns), bend, columns)
    return values if plan.output == "each" else values.sum()


class Judged(NamedTuple):
    """What the term says of each position: value (n,), slope and pull on the true logit (n, 1)."""

    values: Tensor
    slopes: Tensor
    pulls: Tensor


class _Running:
    """What is known of every position from the tiles so far, (n, 1) each.

    Attributes:
        peak: the largest of the other adjusted logits.
        total: the sum of the others' exponentials above it.
    """

    def __init__(self, features: Tensor, plan: Plan) -> None:
        self._features, self._plan, self._slots = features, plan, _Slots.of(features, plan)
        self._lowest = torch.finfo(computing_dtype(features)).min
        zeros = features.new_zeros(len(features), 1, dtype=computing_dtype(features))
        self.peak, self.total = zeros + self._lowest, zeros
        self._own, self._given = zeros, zeros
        # The largest logit so far, before the slots of the plan: what they are rounded against.
        self._offset: Tensor | None = None

    def take(self, z: Tensor, columns: slice) -> None:
        """Add a tile, of which the exponentials above the peak so far are left, 0 at the truth."""
        if self._slots.move:
            self._raise_offset(z)
        hot, here = self._truth(columns)
        self._given = torch.where(here, z.gather(1, hot), self._given)
        z = self._slots.adjusted_(z, self._offset, columns)
        self._own = torch.where(here, z.gather(1, hot), self._own)
        put(z, hot, here, z.new_full((), self._lowest))
        # Where nothing but -inf has come, the peak is the lowest number: no difference is NaN.
        peak = torch.maximum(self.peak, z.amax(dim=1, keepdim=True)).clamp_min(self._lowest)
        sizes = z.sub_(peak).exp_().sum(dim=1, keepdim=True)
        self.total = self.total * torch.exp(self.peak - peak) + sizes
        self.peak = peak

    def sizes_(self, z: Tensor, columns: slice) -> Tensor:
        """The exponentials of a tile above the peak of all."""
        return self._slots.adjusted_(z, self._offset, columns).sub_(self.peak).exp_()

    def judged(self) -> Judged:
        """Value and slope of every position, after all tiles."""
        plan, rows = self._plan, self._plan.rows
        above = torch.where(self._own == torch.inf, torch.nan, self._own - self.peak)
        given = harmless(self._given, rows == 0)
        if plan.margin is not None:
            above = above + plan.margin.added(given) / plan.temperature
        margin = above - torch.log(self.total)
        at = fast_point.fixed(inside(margin))
        block = Block(self._features, plan.target, rows, None)  # for its dtype and axes
        values, slopes = bound_to_target(block, plan).evaluate_with_slope(at)
        values = (continued(values, margin, rows) * rows).squeeze(1)
        slopes = pulls = slopes * rows
        if plan.margin is not None:
            pulls = slopes * (1.0 + plan.margin.growth(given))
        return Judged(values, slopes, pulls)

    def gradient_(
        self, rivals: Tensor, pulls: Tensor, columns: slice, counted: Tensor | None
    ) -> Tensor:
        """The gradient on a tile, of that on the other adjusted logits, which is overwritten."""
        hot, here = self._truth(columns)
        put(rivals, hot, here, rivals.new_zeros(()))
        gradient = self._slots.by_logits_(rivals, columns)
        pulls = self._slots.by_true_logit(pulls, self._plan.target)
        if counted is not None:
            counted[1, columns] += gradient.abs().sum(dim=0)
            pull = torch.where(here, pulls.abs(), 0.0).squeeze(1)
            counted[0, columns].index_add_(0, hot.squeeze(1), pull.to(counted.dtype))
        return put(gradient, hot, here, -pulls)

    def _raise_offset(self, z: Tensor) -> None:
        top = z.amax(dim=1, keepdim=True).clamp_min(self._lowest)
        if self._offset is not None:
            top = torch.maximum(self._offset, top)
            lowered = self._slots.common(top - self._offset)
            self.peak, self._own = self.peak - lowered, self._own - lowered
        self._offset = top

    def _truth(self, columns: slice) -> tuple[Tensor, Tensor]:
        """The column of the true class in a tile, and whether it is there."""
        spot = self._plan.target.unsqueeze(1) - columns.start
        width = columns.stop - columns.start
        return spot.clamp(0, width - 1), (spot >= 0) & (spot < width)


class _Slots(NamedTuple):
    """Scale and bias per class and the temperature: what the plan does to logits before the link.

    As `adjusted` of `core/plan/plan.py`: the largest logit so far is taken off first.
    """

    scale: Tensor | None
    bias: Tensor | None
    temperature: float
    move: bool

    @classmethod
    def of(cls, features: Tensor, plan: Plan) -> _Slots:
        """Those of a plan, in the dtype to compute in."""

        def ready(values: Tensor | None) -> Tensor | None:
            if values is None:
                return None
            values = values.detach().to(device=features.device, dtype=computing_dtype(features))
            return values.reshape(-1)

        move = not (plan.scale is None and plan.bias is None and plan.temperature == 1.0)
        return cls(ready(plan.scale), ready(plan.bias), plan.temperature, move)

    def adjusted_(self, z: Tensor, offset: Tensor | None, columns: slice) -> Tensor:
        """The adjusted logits of some classes, but for a number that all classes share."""
        if offset is None:
            return z
        z.sub_(offset)
        if self.scale is not None:
            scale = _some(self.scale, columns)
            z.mul_(scale).addcmul_(scale - self.scale.amax(), offset)
        if self.bias is not None:
            z.add_(_some(self.bias, columns))
        return z if self.temperature == 1.0 else z.div_(self.temperature)

    def common(self, offset: Tensor) -> Tensor:
        """By how much all adjusted logits fall where the offset rises."""
        scaled = offset if self.scale is None else offset * self.scale.amax()
        return scaled / self.temperature

    def by_logits_(self, gradient: Tensor, columns: slice) -> Tensor:
        """The gradient by the logits, of that by the adjusted ones."""
        if self.scale is not None:
            gradient.mul_(_some(self.scale, columns))
        return gradient if self.temperature == 1.0 else gradient.div_(self.temperature)

    def by_true_logit(self, pulls: Tensor, target: Tensor) -> Tensor:
        """The same for the true class of each position."""
        if self.scale is not None:
            scale = self.scale if self.scale.numel() == 1 else self.scale[target].unsqueeze(1)
            pulls = pulls * scale
        return pulls / self.temperature


def _some(values: Tensor, columns: slice) -> Tensor:
    return values if values.numel() == 1 else values[columns]
