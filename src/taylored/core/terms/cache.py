"""Terms built again at every call from the same few numbers."""

from __future__ import annotations

import functools
from collections.abc import Callable
from typing import ParamSpec

import torch

from taylored.core.terms.term import Term

_Given = ParamSpec("_Given")


def remembered(build: Callable[_Given, Term]) -> Callable[_Given, Term]:
    """Give equal numbers the same term, with all that was worked out about it; terms never change.

    On a small batch, checking and building a term takes as long as evaluating it. Tensors and
    sequences, which may change, are built from as before.
    """
    known = functools.lru_cache(maxsize=64, typed=True)(build)

    @functools.wraps(build)
    def term(*given: _Given.args, **named: _Given.kwargs) -> Term:
        # The compiler warns of caches, and traces the construction once.
        numbers = not named and all(type(x) in (int, float) for x in given)
        if torch.compiler.is_compiling() or not numbers:
            return build(*given, **named)
        return known(*given)

    return term
