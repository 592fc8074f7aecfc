"""A cache for what every call would build again from the same few numbers."""

from __future__ import annotations

import functools
from collections.abc import Callable
from typing import ParamSpec, TypeVar

from taylored.core.context import compiling

_Given = ParamSpec("_Given")
_Built = TypeVar("_Built")

_NUMBERS = frozenset((int, float))


def remembered(build: Callable[_Given, _Built]) -> Callable[_Given, _Built]:
    """Make a function return the same object, which never changes, for the same numbers.

    On a small batch, checking and building a term takes as long as evaluating it, and what the
    native kernels know about a term is kept with it. Calls with tensors or sequences, which may
    change, are not cached.
    """
    known = functools.lru_cache(maxsize=64, typed=True)(build)

    @functools.wraps(build)
    def again(*given: _Given.args, **named: _Given.kwargs) -> _Built:
        # The compiler warns about caches, and records the construction only once anyway.
        if named or compiling() or not _NUMBERS.issuperset(map(type, given)):
            return build(*given, **named)
        return known(*given)

    return again
