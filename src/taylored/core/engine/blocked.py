"""The executor for large batches on the CPU: pieces whose temporaries stay in the cache."""

from __future__ import annotations

from collections.abc import Iterable, Iterator
from dataclasses import dataclass

import torch
from torch import Tensor

from taylored.core.context import has_numbers
from taylored.core.engine.executor import Swept, gradient_dtype
from taylored.core.links import sigmoid_blocked, softmax_blocked
from taylored.core.links.class_sums import ClassSums, RunningSums
from taylored.core.links.scratch import Scratch, empty_result
from taylored.core.numerics import computing_dtype
from taylored.core.plan.nonnegative import pulls_never_negative
from taylored.core.plan.plan import Block, Plan, sums_by_logits

LINKS = {"softmax": softmax_blocked, "sigmoid": sigmoid_blocked}

BLOCK_ELEMENTS = 1 << 18
"""Logits per block. Larger blocks leave the cache; smaller ones cost more calls and leave a thread
idle. `benchmarks/blocks.py` reproduces the choice."""

LEAST_ELEMENTS = 1 << 15
"""From this many logits on, blocks are faster, even a single one (`benchmarks/blocks.py`)."""


@dataclass(frozen=True)
class Blocked:
    """Piece by piece, on the CPU."""

    name: str = "blocked"

    def accepts(self, logits: Tensor, plan: Plan) -> bool:
        """Numbers on the CPU, from a size on."""
        if logits.device.type != "cpu" or logits.numel() <= min(LEAST_ELEMENTS, BLOCK_ELEMENTS):
            return False
        return all(map(has_numbers, (logits, *plan.tensors())))

    def value(self, logits: Tensor, plan: Plan) -> Tensor:
        """The loss alone."""
        collected = Collector(logits, plan)
        sweep, scratch = LINKS[plan.link].sweep, Scratch()
        for place in places(logits):
            block = _cut(logits, plan, place)
            # With its gradient the block is faster than the whole expression without one.
            unused = scratch.take("unused", block.logits, computing_dtype(logits))
            collected.add(place, sweep(block, plan, None, unused, scratch))
        return collected.loss()

    def sweep(
        self,
        logits: Tensor,
        plan: Plan,
        *,
        sums: ClassSums | None = None,
        into: Tensor | None = None,
    ) -> Swept:
        """Loss, gradient and sums."""
        collected = Collector(logits, plan)
        gradient = empty_result(logits, gradient_dtype(logits)) if into is None else into
        running = None
        if sums is not None:
            running = RunningSums.of(logits, unsigned=pulls_never_negative(plan))
        sweep, scratch = LINKS[plan.link].sweep, Scratch()
        for place in places(logits):
            block = _cut(logits, plan, place)
            collected.add(place, sweep(block, plan, running, gradient[place], scratch))
        if sums is not None and running is not None:
            sums.add(sums_by_logits(running.stacked(), plan))
        return Swept(collected.loss(), gradient)


Place = tuple[slice, ...]


def places(logits: Tensor) -> Iterator[Place]:
    """Slices that cover the logits. Each has all classes, and about BLOCK_ELEMENTS at most."""
    count, classes = logits.shape[:2]
    inner = logits.shape[2] if logits.dim() == 3 else 1
    step = max(1, BLOCK_ELEMENTS // (classes * inner))
    inner_step = inner if step > 1 else max(1, BLOCK_ELEMENTS // classes)
    for start in range(0, count, step):
        samples = slice(start, min(start + step, count))
        if logits.dim() == 2:
            yield (samples, slice(None))
            continue
        for begin in range(0, inner, inner_step):
            yield (samples, slice(None), slice(begin, min(begin + inner_step, inner)))


def cached(logits: Tensor) -> Iterable[Place]:
    """Pieces whose temporaries stay in the cache of a CPU; elsewhere everything at once."""
    if logits.device.type == "cpu" and logits.numel() > min(LEAST_ELEMENTS, BLOCK_ELEMENTS):
        return places(logits)
    return ((slice(None),) * logits.dim(),)


def _cut(logits: Tensor, plan: Plan, place: Place) -> Block:
    target = plan.target[place if plan.target_kind == "dense" else place[:1] + place[2:]]
    margin = None if plan.margin is None else plan.margin.at(lambda values: values[place])
    return Block(logits[place], target, plan.rows[place], margin)


class Collector:
    """Collects the losses of the blocks: each value in its place, or their sum."""

    def __init__(self, logits: Tensor, plan: Plan) -> None:
        self._each: Tensor | None = None
        self._total = 0.0
        self._by_element = plan.link == "sigmoid"
        self._dtype = computing_dtype(logits)
        if plan.output == "each":
            shape = logits.shape if self._by_element else logits.shape[:1] + logits.shape[2:]
            self._each = logits.new_empty(shape, dtype=self._dtype)

    def add(self, place: Place, values: Tensor) -> None:
        """Take the losses of one block."""
        if self._each is None:
            # A Python number. Small tensors that live on between the large ones fragment the heap.
            self._total += float(values.sum())
        else:
            self._each[place if self._by_element else place[:1] + place[2:]] = values

    def loss(self) -> Tensor:
        """The losses in the form that the plan asks for."""
        return (
            torch.tensor(self._total, dtype=self._dtype, device="cpu")
            if self._each is None
            else self._each
        )
