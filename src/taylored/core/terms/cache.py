"""A cache for terms that every call would build again from the same few numbers."""

from __future__ import annotations

import functools
from collections.abc import Callable
from typing import ParamSpec

from taylored.core.context import compiling
from taylored.core.terms.term import Term

_Given = ParamSpec("_Given")


def remembered(build: Callable[_Given, Term]) -> Callable[_Given, Term]:
    """Make a function return the same term for the same numbers; terms never change.

    On a small batch, checking and building a term takes as long as evaluating it, and what the
    native kernels know about a term is kept with it. Calls with tensors or sequences, which may
    change, are not cached.
    """
    known = functools.lru_cache(maxsize=64, typed=True)(build)

    @functools.wraps(build)
    def term(*given: _Given.args, **named: _Given.kwargs) -> Term:
        # The compiler warns about caches, and records the construction only once anyway.
        numbers = not named and all(type(x) in (int, float) for x in given)
        if compiling() or not numbers:
            return build(*given, **named)
        return known(*given)

    return term
