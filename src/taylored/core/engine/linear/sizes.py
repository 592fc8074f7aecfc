"""How many positions and classes at a time, measured by `benchmarks/linear.py`.

The three products of a chunk of rows read the whole weight, which costs 10 % at 64 rows and nothing
from 256 on. More threads share the bandwidth and need more rows. With few classes, a chunk of so
few rows is not worth its calls. With very many classes it is too large.
"""

from __future__ import annotations

import math

import torch

CHUNK_ROWS = 512
SMALL_CHUNK = 1 << 22
"""Bytes of logits that a chunk may take however many rows that makes."""
LARGE_CHUNK = 1 << 27
"""Bytes of logits that a chunk may take at most."""

LEAST_ROWS = 64
"""Where fewer rows fit, tiles of rows and classes are faster, although they are formed twice."""
TILE_ROWS = 256


def chunk_rows(classes: int, dtype: torch.dtype, memory: int | None) -> int:
    """Rows of logits to form at a time, >= 1."""
    row = max(1, classes * dtype.itemsize)
    if memory is not None:
        return max(1, memory // row)
    return max(1, min(max(CHUNK_ROWS, SMALL_CHUNK // row), LARGE_CHUNK // row))


def few_rows(count: int, classes: int, dtype: torch.dtype, memory: int | None) -> bool:
    """Whether a chunk would have so few of the rows that tiles are better."""
    return chunk_rows(classes, dtype, memory) < min(count, LEAST_ROWS)


def tile_shape(count: int, classes: int, element: int, memory: int | None) -> tuple[int, int]:
    """Rows and classes of a tile whose elements take so many bytes; >= 1 of each."""
    most = max(1, (SMALL_CHUNK if memory is None else memory) // element)
    rows = max(1, min(count, TILE_ROWS, max(math.isqrt(most), most // max(1, classes))))
    columns = max(1, min(classes, most // rows))
    return rows, -(-classes // -(-classes // columns)) if classes else 1
