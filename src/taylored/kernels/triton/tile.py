"""How a kernel reads a tile of positions and classes, and what is done to logits first."""

import triton
import triton.language as tl

from taylored.kernels.triton.term import LOWEST, TEMPERATURE


@triton.jit
def fetched(z, offsets, alive, start, classes, z_c, BLOCK: tl.constexpr, R: tl.constexpr):
    """Logits of a tile: 0 where a position counts for nothing, -inf beyond the last class."""
    c = start + tl.arange(0, BLOCK)
    inside = alive[:, None] & (c < classes)[None, :]
    at = offsets[:, None] + c.to(tl.int64)[None, :] * z_c
    tile = tl.load(z + at, mask=inside, other=0.0).to(R)
    return tl.where((c < classes)[None, :], tile, float("-inf")), c


@triton.jit
def moved(tile, c, scale, bias, numbers, classes, largest_scale, first, second,
          SCALES: tl.constexpr, SHIFTS: tl.constexpr, BIASED: tl.constexpr):  # fmt: skip
    """Logits after scale, bias and temperature.

    The largest of a position is taken off before each: what multiplies large logits, or is added to
    them, is rounded to their digits.
    """
    known = c < classes
    if SCALES:
        by = tl.load(scale + c, mask=known, other=1.0)
        both = (tile - first) * by + (by - tl.load(largest_scale)) * first
        tile = tl.where(known & (tile > float("-inf")), both, tile)
    if SHIFTS:
        tile = tile - second
        if BIASED:
            tile = tile + tl.load(bias + c, mask=known, other=0.0)
        tile = tile / tl.load(numbers + TEMPERATURE)
    return tile


@triton.jit
def read(z, offsets, alive, start, classes, z_c, scale, bias, numbers, largest_scale, first, second,
         SCALES: tl.constexpr, SHIFTS: tl.constexpr, BIASED: tl.constexpr,
         BLOCK: tl.constexpr, R: tl.constexpr):  # fmt: skip
    """The logits of a tile as the softmax sees them, and its classes."""
    tile, c = fetched(z, offsets, alive, start, classes, z_c, BLOCK, R)
    tile = moved(tile, c[None, :], scale, bias, numbers, classes, largest_scale,
                 first[:, None], second[:, None], SCALES, SHIFTS, BIASED)  # fmt: skip
    return tile, c


@triton.jit
def positions_of(rows, count, inner, r_n, r_s, POSITIONS: tl.constexpr):
    """The positions of a program: number, both axes, whether there is one, its coefficient."""
    i = tl.program_id(0).to(tl.int64) * POSITIONS + tl.arange(0, POSITIONS)
    there = i < count
    n, s = i // inner, i % inner
    return i, n, s, there, tl.load(rows + n * r_n + s * r_s, mask=there, other=0.0)


@triton.jit
def peaks(z, offsets, alive, classes, z_c, scale, bias, numbers, largest_scale,
          SCALES: tl.constexpr, SHIFTS: tl.constexpr, POSITIONS: tl.constexpr,
          BLOCK: tl.constexpr, R: tl.constexpr):  # fmt: skip
    """The largest logit of each position, as it is and after the scale; 0 where nobody asks."""
    first = tl.zeros((POSITIONS,), R)
    if SCALES or SHIFTS:
        first = tl.full((POSITIONS,), LOWEST, R)
        for start in range(0, classes, BLOCK):
            tile, c = fetched(z, offsets, alive, start, classes, z_c, BLOCK, R)
            first = tl.maximum(first, tl.max(tile, axis=1))
    second = first
    if SCALES and SHIFTS:
        second = tl.full((POSITIONS,), LOWEST, R)
        for start in range(0, classes, BLOCK):
            tile, c = fetched(z, offsets, alive, start, classes, z_c, BLOCK, R)
            tile = moved(tile, c[None, :], scale, bias, numbers, classes, largest_scale,
                         first[:, None], first[:, None], SCALES, False, False)  # fmt: skip
            second = tl.maximum(second, tl.max(tile, axis=1))
    return first, second
