"""exp, log and log1p of the native library at every float32 number that the kernels give them."""

from __future__ import annotations

import ctypes
from pathlib import Path
from typing import Any

import mpmath
import torch
from exact import DIGITS
from float32 import CALL, NOT_FINITE, numbers
from torch import Tensor
from ulp import Tally

NAMES = ("exp", "log", "log1p")
WIDE = (torch.exp, torch.log, torch.log1p)
CERTAIN = (mpmath.exp, mpmath.log, mpmath.log1p)


class Functions:
    """The three functions of one library, beside mpmath's."""

    def __init__(self, library: Path) -> None:
        self._probe = ctypes.CDLL(str(library)).taylored_probe
        self._probe.argtypes = [ctypes.c_int64] * 3 + [ctypes.c_void_p] * 2

    def chunk(self, name: str) -> dict[str, Tally]:
        """exp up to 0, log1p from 0 to 1, log of sums of up to 2^30 exponentials from 1 on."""
        found = {each: Tally() for each in NAMES}
        for x in numbers(name).split(CALL):
            for which, tally in enumerate(found.values()):
                inside = self._domain(which, name, x)
                if inside is not None:
                    tally.add(self._of(which, inside), WIDE[which](inside.double()), inside, 1)
        return found

    def certain(self, margin: float, target: int, output: str) -> Any:
        """The exact number, by mpmath."""
        with mpmath.workdps(DIGITS):
            return CERTAIN[NAMES.index(output)](mpmath.mpf(margin))

    def wide(self, margin: float, target: int, output: str) -> float:
        """The same as chunks are compared with."""
        return float(WIDE[NAMES.index(output)](torch.tensor(margin).double()))

    def _of(self, which: int, x: Tensor) -> Tensor:
        result = torch.empty_like(x)
        self._probe(which, 0, len(x), x.data_ptr(), result.data_ptr())
        return result

    @staticmethod
    def _domain(which: int, chunk: str, x: Tensor) -> Tensor | None:
        """What of a piece the function is for; a chunk is in a domain or not, but for the ends."""
        if int(chunk[1:]) == NOT_FINITE:
            return None
        negative, least, most = chunk[0] == "-", float(x.abs().min()), float(x.abs().max())
        if which == 0:
            return x if negative or most == 0.0 else None
        if negative or (which == 1 and not 1.0 <= least < 2.0**30):
            return None
        if which == 2 and most > 1.0:
            return torch.ones(64) if least == 1.0 else None
        return x
