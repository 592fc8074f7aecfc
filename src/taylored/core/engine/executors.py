"""Who runs the single sweep. The engine asks each executor in turn and takes the first willing.

An executor turns logits and a plan into the loss (a sum, or each value), the gradient of the sum
on the logits and, on request, the sums of that gradient per class. `whole` is one expression over
everything: right everywhere, and what a compiler fuses. `blocked` walks over pieces small enough
that the temporaries stay in the CPU's cache. Optional kernels add themselves with `register`; this
module never names one.
"""

from __future__ import annotations

import contextlib
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from typing import Protocol

import torch
from torch import Tensor

from taylored.core.checks import one_of
from taylored.core.engine.nonnegative import pulls_never_negative
from taylored.core.engine.shortcut import Direct, Shortcut
from taylored.core.links import sigmoid, sigmoid_blocked, softmax, softmax_blocked
from taylored.core.links.class_sums import ClassSums
from taylored.core.links.scratch import Scratch, empty_result
from taylored.core.plan.options import Options
from taylored.core.plan.plan import Block, Plan, computing_dtype
from taylored.core.terms.term import Term

LINKS = {"softmax": softmax, "sigmoid": sigmoid}
BLOCKS = {"softmax": softmax_blocked, "sigmoid": sigmoid_blocked}

BLOCK_ELEMENTS = 1 << 18
"""Logits per block. Larger ones leave the cache, smaller ones pay for more calls and leave a thread
idle; `benchmarks/blocks.py` reproduces the choice."""

LEAST_ELEMENTS = 1 << 15
"""From this many logits on, blocks are faster even if it is only one (the same script)."""


class Executor(Protocol):
    """One way to run a plan."""

    @property
    def name(self) -> str:
        """What it is called in benchmarks and error messages."""

    def accepts(self, logits: Tensor, plan: Plan) -> bool:
        """Whether this executor is right and worth it here. Never called while compiling."""

    def value(self, logits: Tensor, plan: Plan) -> Tensor:
        """The loss alone; no gradient is recorded."""

    def sweep(
        self, logits: Tensor, plan: Plan, *, collect: bool, into: Tensor | None = None
    ) -> Swept:
        """The loss, and the gradient of its sum in the storage dtype of `gradient_dtype`.

        `collect` asks for the sums per class too. The gradient is written to `into`, which may be
        the logits themselves, or to a new buffer.
        """


@dataclass(frozen=True, eq=False)
class Swept:
    """What one sweep finds.

    Attributes:
        loss: the sum, or each value, as the plan asks.
        gradient: of the sum on the logits.
        sums: its absolute values per class, (2, C): where the class is the truth, and where not;
            None where nobody asked.
    """

    loss: Tensor
    gradient: Tensor
    sums: Tensor | None


def gradient_dtype(logits: Tensor) -> torch.dtype:
    """The logits' own dtype, but float32 for float16.

    The loss scale of mixed precision is applied after this gradient is stored: entries divided by
    the batch size would already have underflowed in float16.
    """
    return torch.float32 if logits.dtype == torch.float16 else logits.dtype


def _finish(values: Tensor, plan: Plan) -> Tensor:
    return values if plan.output == "each" else values.sum()


@dataclass(frozen=True)
class Whole:
    """One expression over the whole batch."""

    name: str = "whole"

    def accepts(self, logits: Tensor, plan: Plan) -> bool:
        """Always."""
        return True

    def value(self, logits: Tensor, plan: Plan) -> Tensor:
        """The loss alone. Differentiable in every slot and mode: this is the reference."""
        return _finish(LINKS[plan.link].value(Block(logits, plan.target, plan.rows), plan), plan)

    def sweep(
        self, logits: Tensor, plan: Plan, *, collect: bool, into: Tensor | None = None
    ) -> Swept:
        """Loss, gradient and sums."""
        sums = ClassSums.of(logits, unsigned=False) if collect else None
        block = Block(logits, plan.target, plan.rows)
        values, gradient = LINKS[plan.link].value_and_gradient(block, plan, sums)
        gradient = gradient.to(gradient_dtype(logits)) if into is None else into.copy_(gradient)
        return _swept(_finish(values, plan), gradient, plan, sums)


@dataclass(frozen=True)
class Blocked:
    """Piece by piece, on the CPU."""

    name: str = "blocked"

    def accepts(self, logits: Tensor, plan: Plan) -> bool:
        """On the CPU, from a size on."""
        least = min(LEAST_ELEMENTS, BLOCK_ELEMENTS)
        return logits.device.type == "cpu" and logits.numel() > least

    def value(self, logits: Tensor, plan: Plan) -> Tensor:
        """The loss alone."""
        collected = Collector(logits, plan)
        sweep, scratch = BLOCKS[plan.link].sweep, Scratch()
        for place in places(logits):
            block = _cut(logits, plan, place)
            # The gradient costs less than the functions of `LINKS` that could do without it.
            unused = scratch.take("unused", block.logits, computing_dtype(logits))
            collected.add(place, sweep(block, plan, None, unused, scratch))
        return collected.loss()

    def sweep(
        self, logits: Tensor, plan: Plan, *, collect: bool, into: Tensor | None = None
    ) -> Swept:
        """Loss, gradient and sums."""
        collected = Collector(logits, plan)
        gradient = empty_result(logits, gradient_dtype(logits)) if into is None else into
        sums = None
        if collect:
            sums = ClassSums.of(logits, unsigned=pulls_never_negative(plan))
        sweep, scratch = BLOCKS[plan.link].sweep, Scratch()
        for place in places(logits):
            block = _cut(logits, plan, place)
            collected.add(place, sweep(block, plan, sums, gradient[place], scratch))
        return _swept(collected.loss(), gradient, plan, sums)


def _swept(loss: Tensor, gradient: Tensor, plan: Plan, sums: ClassSums | None) -> Swept:
    if sums is None:
        return Swept(loss, gradient, None)
    return Swept(loss, gradient, sums.stacked() / plan.temperature)


Place = tuple[slice, ...]


def places(logits: Tensor) -> Iterator[Place]:
    """Slices that cover the logits, each a whole class axis of at most about BLOCK_ELEMENTS."""
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


def _cut(logits: Tensor, plan: Plan, place: Place) -> Block:
    target = plan.target[place if plan.target_kind == "dense" else place[:1] + place[2:]]
    return Block(logits[place], target, plan.rows[place])


class Collector:
    """Gathers the losses of the blocks: each value in its place, or their sum."""

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
            # A number: a small tensor kept per block would pin the heap between the big ones.
            self._total += float(values.sum())
        else:
            self._each[place if self._by_element else place[:1] + place[2:]] = values

    def loss(self) -> Tensor:
        """The result in the form the plan asks for."""
        return torch.tensor(self._total, dtype=self._dtype) if self._each is None else self._each


_WHOLE = Whole()
_EXECUTORS: list[Executor] = [Blocked(), _WHOLE]
_SHORTCUTS: dict[str, Shortcut] = {}


def register(executor: Executor, shortcut: Shortcut | None = None) -> None:
    """Put an executor, and its shortcut for plain calls, before those already there."""
    _EXECUTORS.insert(0, executor)
    if shortcut is not None:
        _SHORTCUTS[executor.name] = shortcut


def choose(logits: Tensor, plan: Plan) -> Executor:
    """The first executor that accepts; a compiler gets the whole expression."""
    if torch.compiler.is_compiling():
        return _WHOLE
    return next(executor for executor in _EXECUTORS if executor.accepts(logits, plan))


def at_once(input: Tensor, target: Tensor, term: Term, options: Options) -> Direct | None:
    """What the shortcut of the first executor finds, if it has one and the call is plain."""
    if torch.compiler.is_compiling():
        return None
    shortcut = _SHORTCUTS.get(_EXECUTORS[0].name)
    return None if shortcut is None else shortcut(input, target, term, options)


def asked() -> tuple[str, ...]:
    """The executors in the order in which they are asked."""
    return tuple(executor.name for executor in _EXECUTORS)


def keep(wanted: Sequence[str], *, said_by: str = "names") -> None:
    """From now on ask the named executors alone, and "whole" after them."""
    for name in wanted:
        one_of(said_by, name, asked())
    _EXECUTORS[:] = [executor for executor in _EXECUTORS if executor.name in (*wanted, _WHOLE.name)]


@contextlib.contextmanager
def only(*names: str) -> Iterator[None]:
    """Within the context the named executors alone are asked, and "whole" after them.

    For tests and benchmarks: it is one setting for the process, not for a thread.
    """
    known = list(_EXECUTORS)
    keep(names)
    try:
        yield
    finally:
        _EXECUTORS[:] = known
