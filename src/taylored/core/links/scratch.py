"""Memory for sweeps on the CPU: large results with few page faults, and reused temporaries."""

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
    """`torch.empty_like`, in large pages where the system provides them on request.

    The C library returns tensors above 32 MiB to the system when they are freed. Each step would
    then get new memory for its gradient, and touching it in pages of 4 KiB takes longer than the
    loss.
    """
    result = torch.empty_like(like, dtype=dtype)
    start = -(-result.data_ptr() // _PAGE) * _PAGE
    length = (result.data_ptr() + result.nbytes) // _PAGE * _PAGE - start
    advise = _madvise()
    if length > 0 and advise is not None:
        # This is only advice: a system without large pages refuses, which does no harm.
        advise(start, length, mmap.MADV_HUGEPAGE)
    return result


@cache
def _madvise() -> ctypes._NamedFuncPointer | None:
    """The system call of Linux, the only system with this kind of advice."""
    if sys.platform != "linux":
        return None
    function = ctypes.CDLL(None).madvise
    function.argtypes = (ctypes.c_void_p, ctypes.c_size_t, ctypes.c_int)
    return function


_KEPT = 16 << 20
"""Bytes, more than the temporaries of a block take."""


class Scratch:
    """Memory for temporaries that all blocks of a sweep use in turn.

    Nearly all blocks have the same shape, so that their temporaries stay in the cache.
    """

    def __init__(self) -> None:
        # Allocated, never used, and freed: from then on the C library keeps this much memory.
        # Otherwise it would return the temporaries of every block to the system and get new ones.
        torch.empty(_KEPT, dtype=torch.uint8, device="cpu")
        self._held: dict[tuple[str, torch.Size], Tensor] = {}

    def take(self, name: str, like: Tensor, dtype: torch.dtype) -> Tensor:
        """Uninitialised contiguous memory of the shape of `like`, the same for the same name."""
        key = (name, like.shape)
        if key not in self._held:
            self._held[key] = torch.empty(like.shape, dtype=dtype, device=like.device)
        return self._held[key]
