"""Logits formed a few rows at a time: value, sums and gradients of each chunk, and on to the next.

The gradient is written over the logits of the chunk, multiplied into the gradients of features and
weight, and forgotten. The plan is the one that whole logits would have, cut by positions.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, replace

import torch
from torch import Tensor

from taylored.core.engine.executors import choose, gradient_dtype
from taylored.core.engine.gradient_tap import Watch
from taylored.core.plan.plan import Plan, computing_dtype
from taylored.core.plan.positions import Place, rows, singles

# Measured by `benchmarks/linear.py --chunks`. The three products of a chunk read the whole weight,
# which costs 10 % at 64 rows and nothing from 256 on; more threads share the memory and need more.
# With few classes so few rows are not worth their calls, with very many they are too large.
CHUNK_ROWS = 512
SMALL_CHUNK = 1 << 22
"""Bytes of logits that a chunk may take in any case."""
LARGE_CHUNK = 1 << 27
"""Bytes of logits that a chunk may take at most."""


@dataclass(frozen=True, eq=False)
class Head:
    """Features (N, ..., D), weight (C, D) and bias (C,), and the dtype of their logits."""

    features: Tensor
    weight: Tensor
    bias: Tensor | None
    dtype: torch.dtype


@dataclass(frozen=True)
class Wanted:
    """What to find besides the loss: gradients, sums per class."""

    features: bool = False
    weight: bool = False
    bias: bool = False
    sums: bool = False
    watch: Watch | None = None

    def anything(self) -> bool:
        """Whether the gradient on the logits is needed."""
        return self.features or self.weight or self.bias or self.sums or self.watch is not None


@dataclass(frozen=True, eq=False)
class Walked:
    """What a walk finds.

    Attributes:
        loss: the sum, or the value of each position, (N[, S]).
        sums: absolute gradient on the logits per class, as in `Swept`; None where nobody asked.
        gradients: of the sum, on features, weight and bias; float32 for float16, as in the engine.
    """

    loss: Tensor
    sums: Tensor | None
    gradients: tuple[Tensor | None, Tensor | None, Tensor | None]


def walk(head: Head, plan: Plan, wanted: Wanted) -> Walked:
    """Once over all positions that count for something."""
    x = head.features.detach().reshape(-1, head.features.shape[-1])
    weight = head.weight.detach().to(head.dtype)
    bias = None if head.bias is None else head.bias.detach().to(head.dtype)
    count, classes = len(x), len(weight)
    places = chunks(plan, count, chunk_rows(classes, head.dtype))
    longest = max((_length(place) for place in places), default=0)
    z_buffer = x.new_empty((longest, classes), dtype=head.dtype)
    g_buffer = z_buffer
    if wanted.anything() and gradient_dtype(z_buffer) != head.dtype:
        g_buffer = torch.empty_like(z_buffer, dtype=torch.float32)
    products = _Products(head, weight, wanted)
    wide = computing_dtype(z_buffer)
    sums = x.new_zeros((2, classes), dtype=wide) if wanted.sums else None
    losses = x.new_zeros(len(places) if plan.output == "sum" else count, dtype=wide)
    if wanted.watch is not None:
        wanted.watch.begin(z_buffer)
    for number, place in enumerate(places):
        piece, cut = x[place].to(head.dtype), at(plan, place)
        z = z_buffer[: len(piece)]
        _form(piece, weight, bias, z)
        executor, spot = choose(z, cut), number if plan.output == "sum" else place
        if not wanted.anything():
            losses[spot] = executor.value(z, cut)
            continue
        g = g_buffer[: len(piece)]
        found = executor.sweep(z, cut, collect=wanted.sums, into=g)
        losses[spot] = found.loss
        if sums is not None and found.sums is not None:
            sums += found.sums
        if wanted.watch is not None:
            wanted.watch.see(g, place)
        products.add(piece.to(g.dtype), g, place)
    loss = losses.sum() if plan.output == "sum" else losses
    if plan.output == "each":
        loss = losses.reshape(plan.rows.shape[:1] + plan.rows.shape[2:])
    return Walked(loss, sums, products.finished())


class _Products:
    """The gradients of features, weight and bias, added up chunk by chunk."""

    def __init__(self, head: Head, weight: Tensor, wanted: Wanted) -> None:
        self._head = head
        # Entries divided by the batch size underflow in float16, and scaled up their sums overflow.
        half = head.dtype == torch.float16
        self._weight = weight.float() if half and wanted.features else weight
        width = weight.shape[1]
        new, wide = head.features.new_zeros, computing_dtype(weight)
        stored, count = gradient_dtype(head.features), head.features.shape[:-1].numel()
        self._for_x = new((count, width), dtype=stored) if wanted.features else None
        self._for_weight = new(weight.shape, dtype=wide) if wanted.weight else None
        self._for_bias = new(len(weight), dtype=wide) if wanted.bias else None

    def add(self, x: Tensor, g: Tensor, place: Place) -> None:
        """Those of one chunk: its features, and the gradient on its logits."""
        if self._for_x is not None:
            self._for_x[place] = torch.mm(g, self._weight).to(self._for_x.dtype)
        if self._for_weight is not None:
            if self._for_weight.dtype == g.dtype:
                self._for_weight.addmm_(g.t(), x)
            else:  # bfloat16: each chunk is rounded once, their sum is not
                self._for_weight += torch.mm(g.t(), x)
        if self._for_bias is not None:
            self._for_bias += g.sum(dim=0, dtype=self._for_bias.dtype)

    def finished(self) -> tuple[Tensor | None, Tensor | None, Tensor | None]:
        """All three in the dtypes in which gradients are kept."""
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


def chunk_rows(classes: int, dtype: torch.dtype) -> int:
    """Rows of logits to form at a time, >= 1."""
    row = max(1, classes * dtype.itemsize)
    return max(1, min(max(CHUNK_ROWS, SMALL_CHUNK // row), LARGE_CHUNK // row))


def chunks(plan: Plan, count: int, most: int) -> Sequence[Place]:
    """Places of at most so many positions, about equally long.

    Positions without weight, such as padding, are left out where looking costs no device sync.
    """
    kept = None
    if plan.rows.device.type == "cpu" and plan.rows.shape[1] == 1:
        kept = plan.rows.reshape(-1).nonzero().squeeze(1)
        count, kept = len(kept), None if len(kept) == count else kept
    if count == 0:
        return ()
    size = -(-count // -(-count // most))
    if kept is not None:
        return list(torch.split(kept, size))
    return [slice(start, min(start + size, count)) for start in range(0, count, size)]


def _length(place: Place) -> int:
    return len(place) if isinstance(place, Tensor) else place.stop - place.start


def at(plan: Plan, place: Place) -> Plan:
    """The plan of some positions, for their logits as (n, C)."""
    pick = singles if plan.target_kind == "index" else rows
    return replace(plan, target=pick(plan.target, place), rows=rows(plan.rows, place))
