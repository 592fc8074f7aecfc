"""The table of executors: who is asked, and in which order.

The engine asks each executor in turn and takes the first that accepts. Optional kernels add
themselves with `register`; this module never names one.
"""

from __future__ import annotations

import contextlib
from collections.abc import Iterator, Sequence

from torch import Tensor

from taylored.core.checks import one_of
from taylored.core.context import compiling
from taylored.core.engine.blocked import Blocked
from taylored.core.engine.executor import Direct, Executor, Operators, Shortcut
from taylored.core.engine.short_way import short_way
from taylored.core.engine.whole import WHOLE
from taylored.core.inputs.logits import Logits
from taylored.core.plan.options import Options
from taylored.core.plan.plan import Plan
from taylored.core.terms.term import Term

_EXECUTORS: list[Executor] = [Blocked(), WHOLE]
_SHORTCUTS: dict[str, Shortcut] = dict.fromkeys(("blocked", "whole"), short_way)
_OPERATORS: dict[str, Operators] = {}


def register(
    executor: Executor, shortcut: Shortcut | None = None, operators: Operators | None = None
) -> None:
    """Put an executor before those already there.

    Args:
        executor: runs plans.
        shortcut: runs plain calls without a plan.
        operators: runs in compiled programs.
    """
    _EXECUTORS.insert(0, executor)
    if shortcut is not None:
        _SHORTCUTS[executor.name] = shortcut
    if operators is not None:
        _OPERATORS[executor.name] = operators


def choose(logits: Tensor, plan: Plan) -> Executor:
    """The first executor that accepts; a compiler gets the whole expression."""
    if compiling():
        return WHOLE
    return next(executor for executor in _EXECUTORS if executor.accepts(logits, plan))


def at_once(input: Logits, target: Tensor, term: Term, options: Options) -> Direct | None:
    """What the first executor finds without a plan, if it has a way and the call is plain."""
    if compiling():
        operators = _OPERATORS.get(_EXECUTORS[0].name)
        return None if operators is None else operators.at_once(input, target, term, options)
    shortcut = _SHORTCUTS.get(_EXECUTORS[0].name)
    return None if shortcut is None else shortcut(input, target, term, options)


def as_operators(logits: Tensor, plan: Plan) -> Operators | None:
    """What a compiler is to call for a plan; None where it gets the whole expression."""
    if not compiling():
        return None
    found = _OPERATORS.get(_EXECUTORS[0].name)
    return found if found is not None and found.accepts(logits, plan) else None


def asked() -> tuple[str, ...]:
    """The executors in the order in which they are asked."""
    return tuple(executor.name for executor in _EXECUTORS)


def keep(wanted: Sequence[str]) -> None:
    """From now on ask the named executors alone, and "whole" after them."""
    for name in wanted:
        one_of("names", name, asked())
    _EXECUTORS[:] = [executor for executor in _EXECUTORS if executor.name in (*wanted, WHOLE.name)]


@contextlib.contextmanager
def only(*names: str) -> Iterator[None]:
    """Within the context the named executors alone are asked, and "whole" after them.

    For tests and benchmarks: the setting is that of the process, not of a thread.
    """
    known = list(_EXECUTORS)
    keep(names)
    try:
        yield
    finally:
        _EXECUTORS[:] = known
