"""The loss of features and weight, with the logits of a few rows at a time in memory.

The executor writes the gradient of a chunk over its logits. It is multiplied into the gradients of
features and weight, and the next chunk uses the memory again. The plan is that of all logits; each
chunk gets the part of its positions.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, replace

import torch
from torch import Tensor

from taylored.core.context import has_numbers
from taylored.core.engine.executor import gradient_dtype
from taylored.core.engine.gradient_tap import GradientTap
from taylored.core.engine.linear.evaluator import Evaluator
from taylored.core.links.class_sums import ClassSums
from taylored.core.numerics import computing_dtype, harmless
from taylored.core.plan.plan import Plan
from taylored.core.plan.positions import Positions, rows_at, values_at

# Measured by `benchmarks/linear.py --chunks`. The three products of a chunk read the whole weight,
# which costs 10 % at 64 rows and nothing from 256 on. More threads share the bandwidth and need
# more rows. With few classes, a chunk of so few rows is not worth its calls. With very many classes
# it is too large.
CHUNK_ROWS = 512
SMALL_CHUNK = 1 << 22
"""Bytes of logits that a chunk may take however many rows that makes."""
LARGE_CHUNK = 1 << 27
"""Bytes of logits that a chunk may take at most."""


@dataclass(frozen=True, eq=False)
class Head:
    """Features (N, ..., D), weight (C, D) and bias (C,), dtype and cap of their logits.

    The memory is what the logits that exist at one time may take, in bytes; None chooses.
    """

    features: Tensor
    weight: Tensor
    bias: Tensor | None
    dtype: torch.dtype
    softcap: float | None
    memory: int | None


@dataclass(frozen=True, eq=False)
class Wanted:
    """What to find besides the loss.

    Attributes:
        features: whether the gradient on the features.
        weight: whether that on the weight.
        bias: whether that on the bias.
        sums: receives the absolute gradient on the logits per class, if given.
        tap: receives the gradient on the logits, if given.
    """

    features: bool = False
    weight: bool = False
    bias: bool = False
    sums: ClassSums | None = None
    tap: GradientTap | None = None

    def anything(self) -> bool:
        """Whether the gradient on the logits is needed."""
        reported = self.sums is not None or self.tap is not None
        return self.features or self.weight or self.bias or reported


@dataclass(frozen=True, eq=False)
class Walked:
    """What a walk finds.

    Attributes:
        loss: the sum, or the value of each position, (N[, S]).
        gradients: of the sum, on features, weight and bias, in the dtype of `gradient_dtype`.
    """

    loss: Tensor
    gradients: tuple[Tensor | None, Tensor | None, Tensor | None]


def walk(head: Head, plan: Plan, wanted: Wanted, evaluator: Evaluator) -> Walked:
    """Process the positions with non-zero weight, chunk by chunk."""
    x = head.features.detach().reshape(-1, head.features.shape[-1])
    weight = head.weight.detach().to(head.dtype)
    bias = None if head.bias is None else head.bias.detach().to(head.dtype)
    count, classes = len(x), len(weight)
    places = chunks(plan, count, chunk_rows(classes, head.dtype, head.memory))
    longest = max((_length(place) for place in places), default=0)
    z_buffer = x.new_empty((longest, classes), dtype=head.dtype)
    g_buffer = z_buffer
    if wanted.anything() and gradient_dtype(z_buffer) != head.dtype:
        g_buffer = torch.empty_like(z_buffer, dtype=torch.float32)
    products = _Products(head, weight, wanted)
    wide = computing_dtype(z_buffer)
    losses = x.new_zeros(len(places) if plan.output == "sum" else count, dtype=wide)
    if wanted.tap is not None:
        wanted.tap.begin(z_buffer)
    for number, place in enumerate(places):
        piece, cut = x[place].to(head.dtype), at(plan, place)
        if wanted.weight and not _left_out(plan):
            # A gradient of 0 times NaN would be NaN in the gradient of the weight.
            piece = harmless(piece, (cut.rows == 0).all(dim=1, keepdim=True))
        z = z_buffer[: len(piece)]
        _form(piece, weight, bias, z)
        bend = None if head.softcap is None else _capped_(z, head.softcap)
        executor, spot = evaluator.executor(z, cut), number if plan.output == "sum" else place
        if not wanted.anything():
            losses[spot] = executor.value(z, cut)
            continue
        g = g_buffer[: len(piece)]
        losses[spot] = executor.sweep(z, cut, sums=wanted.sums, into=g).loss
        if wanted.tap is not None:
            wanted.tap.add(g, place)
        if bend is not None:
            g.mul_(bend)
        products.add(piece.to(g.dtype), g, place)
    loss = losses.sum() if plan.output == "sum" else losses
    if plan.output == "each":
        loss = losses.reshape(plan.rows.shape[:1] + plan.rows.shape[2:])
    return Walked(loss, products.finished())


class _Products:
    """The gradients of features, weight and bias, added up chunk by chunk."""

    def __init__(self, head: Head, weight: Tensor, wanted: Wanted) -> None:
        self._head = head
        # In float16, entries that are divided by the batch size underflow, and sums of entries that
        # are not overflow.
        half = head.dtype == torch.float16
        self._weight = weight.float() if half and wanted.features else weight
        width = weight.shape[1]
        new, wide = head.features.new_zeros, computing_dtype(weight)
        stored, count = gradient_dtype(head.features), head.features.shape[:-1].numel()
        self._for_x = new((count, width), dtype=stored) if wanted.features else None
        self._for_weight = new(weight.shape, dtype=wide) if wanted.weight else None
        self._for_bias = new(len(weight), dtype=wide) if wanted.bias else None

    def add(self, x: Tensor, g: Tensor, place: Positions) -> None:
        """Add those of one chunk, from its features and the gradient on its logits."""
        if self._for_x is not None:
            self._for_x[place] = torch.mm(g, self._weight).to(self._for_x.dtype)
        if self._for_weight is not None:
            if self._for_weight.dtype == g.dtype:
                self._for_weight.addmm_(g.t(), x)
            else:  # bfloat16: each chunk is rounded once, the sum of the chunks is not
                self._for_weight += torch.mm(g.t(), x)
        if self._for_bias is not None:
            self._for_bias += g.sum(dim=0, dtype=self._for_bias.dtype)

    def finished(self) -> tuple[Tensor | None, Tensor | None, Tensor | None]:
        """All three, in the dtypes in which gradients are stored."""
        head, for_x = self._head, self._for_x
        return (
            None if for_x is None else for_x.reshape(head.features.shape),
            _kept(self._for_weight, head.weight),
            _kept(self._for_bias, head.bias),
        )


def _kept(gradient: Tensor | None, like: Tensor | None) -> Tensor | None:
    if gradient is None or like is None:
        return None
    return gradient.to(gradient_dtype(like))


def _form(x: Tensor, weight: Tensor, bias: Tensor | None, out: Tensor) -> None:
    if bias is None:
        torch.mm(x, weight.t(), out=out)
    else:
        torch.addmm(bias, x, weight.t(), out=out)


def _capped_(z: Tensor, cap: float) -> Tensor:
    """Put c tanh(z / c) in the place of the logits; its derivative."""
    z.div_(cap).tanh_()
    bend = torch.addcmul(z.new_ones(()), z, z, value=-1)
    z.mul_(cap)
    # Where a position counts for nothing, NaN has a gradient of 0, which it is not to spoil.
    return bend.nan_to_num_(1.0)


def chunk_rows(classes: int, dtype: torch.dtype, memory: int | None) -> int:
    """Rows of logits to form at a time, >= 1."""
    row = max(1, classes * dtype.itemsize)
    if memory is not None:
        return max(1, memory // row)
    return max(1, min(max(CHUNK_ROWS, SMALL_CHUNK // row), LARGE_CHUNK // row))


def chunks(plan: Plan, count: int, most: int) -> Sequence[Positions]:
    """Chunks of at most `most` positions, about equally long.

    Positions without weight, such as padding, are left out where looking costs no device sync.
    """
    kept = None
    if _left_out(plan):
        kept = plan.rows.reshape(-1).nonzero().squeeze(1)
        count, kept = len(kept), None if len(kept) == count else kept
    if count == 0:
        return ()
    size = -(-count // -(-count // most))
    if kept is not None:
        return list(torch.split(kept, size))
    return [slice(start, min(start + size, count)) for start in range(0, count, size)]


def _left_out(plan: Plan) -> bool:
    """Whether `chunks` leaves out the positions without weight."""
    return plan.rows.is_cpu and plan.rows.shape[1] == 1 and has_numbers(plan.rows)


def _length(place: Positions) -> int:
    return len(place) if isinstance(place, Tensor) else place.stop - place.start


def at(plan: Plan, place: Positions) -> Plan:
    """The plan of some positions, for their logits as (n, C)."""
    pick = values_at if plan.target_kind == "index" else rows_at
    margin = plan.margin
    if margin is not None:
        margin = margin.at(lambda values: rows_at(values, place))
    rows = rows_at(plan.rows, place)
    return replace(plan, target=pick(plan.target, place), rows=rows, margin=margin)
