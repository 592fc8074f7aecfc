"""Memory for the sweep on the CPU: large results that cost few page faults, small reused ones."""

from __future__ import annotations

import ctypes
import mmap
import sys
from functools import cache

import torch
from torch import Tensor

_PAGE = 1 << 21
"""Bytes of a large page on x86-64, and on ARM with 4 KiB pages."""


def empty_result(like: Tensor, dtype: torch.dtype) -> Tensor:
    """`torch.empty_like`, in large pages where the system hands them out on request.

    The C library returns tensors above 32 MiB to the system when they die, so that each step would
    touch its gradient for the first time: 4 KiB after 4 KiB that takes longer than the loss.
    """
    result = torch.empty_like(like, dtype=dtype)
    start = -(-result.data_ptr() // _PAGE) * _PAGE
    length = (result.data_ptr() + result.nbytes) // _PAGE * _PAGE - start
    advise = _madvise()
    if length > 0 and advise is not None:
        # Only advice: a system without large pages says no, and that is the answer.
        advise(start, length, mmap.MADV_HUGEPAGE)
    return result


@cache
def _madvise() -> ctypes._NamedFuncPointer | None:
    """The system call, on the one system that has this kind of advice."""
    if sys.platform != "linux":
        return None
    function = ctypes.CDLL(None).madvise
    function.argtypes = (ctypes.c_void_p, ctypes.c_size_t, ctypes.c_int)
    return function


_KEPT = 16 << 20
"""Bytes: more than the temporaries of a block."""


class Scratch:
    """Working memory that the blocks of one sweep take turns to use.

    Blocks are nearly all of one shape, so that their temporaries stay where the cache has them.
    """

    def __init__(self) -> None:
        # Never touched. Freeing it tells the C library to keep that much to itself from now on;
        # else it would give the temporaries of every block back to the system, and fetch new ones.
        torch.empty(_KEPT, dtype=torch.uint8)
        self._held: dict[tuple[str, torch.Size], Tensor] = {}

    def take(self, name: str, like: Tensor, dtype: torch.dtype) -> Tensor:
        """Contiguous memory of the given shape, with anything in it; the same for the same name."""
        key = (name, like.shape)
        if key not in self._held:
            self._held[key] = torch.empty(like.shape, dtype=dtype)
        return self._held[key]
