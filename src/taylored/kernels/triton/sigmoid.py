"""The sigmoid link: every element is a yes / no question, as in `core/links/sigmoid.py`."""

import triton
import triton.language as tl

from taylored.kernels.triton.term import (
    EVEN,
    GAMMA,
    KEPT,
    TEMPERATURE,
    at_margin,
    outcome,
)


@triton.jit
def sigmoid(
    z, gradient, target, rows, each, partial, sums,
    bias, gammas, positive, negative, numbers,
    count, classes, inner, z_n, z_c, z_s, t_n, t_c, t_s, r_n, r_c, r_s, ignored,
    INDEX: tl.constexpr, IGNORES: tl.constexpr, YES_WEIGHTED: tl.constexpr,
    NO_WEIGHTED: tl.constexpr, BIASED: tl.constexpr, BY_CLASS: tl.constexpr,
    GRADIENT: tl.constexpr, EACH: tl.constexpr, COUNTED: tl.constexpr, WHOLE: tl.constexpr,
    NA: tl.constexpr, NB: tl.constexpr, SKIPPED: tl.constexpr, R: tl.constexpr,
    POSITIONS: tl.constexpr, BLOCK: tl.constexpr,
):  # fmt: skip
    """One tile of positions and classes; the sum of its losses goes to `partial`."""
    tile_of = tl.program_id(0)
    i = tile_of.to(tl.int64) * POSITIONS + tl.arange(0, POSITIONS)
    c = tl.program_id(1) * BLOCK + tl.arange(0, BLOCK)
    known = c < classes
    inside = (i < count)[:, None] & known[None, :]
    n, s = (i // inner)[:, None], (i % inner)[:, None]
    wide = c.to(tl.int64)[None, :]
    coefficient = tl.load(rows + n * r_n + wide * r_c + s * r_s, mask=inside, other=0.0)
    truth = tl.load(target + n * t_n + wide * t_c + s * t_s, mask=inside, other=0)
    if INDEX:
        y = (truth == c[None, :]).to(R)
    else:
        y = truth.to(R)
        if IGNORES:
            kept = truth.to(R) != ignored
            y = tl.where(kept, y, 0.0)
            coefficient = tl.where(kept, coefficient, 0.0)
    y = y * tl.load(numbers + KEPT) + tl.load(numbers + EVEN)
    yes = coefficient * y
    no = coefficient * (1.0 - y)
    if YES_WEIGHTED:
        yes = yes * tl.load(positive + c, mask=known, other=0.0)[None, :]
    if NO_WEIGHTED:
        no = no * tl.load(negative + c, mask=known, other=0.0)[None, :]
    gamma = tl.load(numbers + GAMMA)
    if BY_CLASS:
        gamma = tl.load(gammas + c, mask=known, other=0.0)[None, :]

    at = n * z_n + wide * z_c + s * z_s
    x = tl.load(z + at, mask=inside, other=0.0).to(R)
    if BIASED:
        x = x + tl.load(bias + c, mask=known, other=0.0)[None, :]
    x = x / tl.load(numbers + TEMPERATURE)
    x = tl.where((yes == 0.0) & (no == 0.0), 0.0, x)
    p, q, nll, log_q = at_margin(x)
    yes_value, yes_slope = outcome(p, q, nll, log_q, gamma, numbers, WHOLE, NA, NB, SKIPPED)
    no_value, no_slope = outcome(q, p, -log_q, -nll, gamma, numbers, WHOLE, NA, NB, SKIPPED)
    value = tl.where(yes == 0.0, 0.0, yes * yes_value) + tl.where(no == 0.0, 0.0, no * no_value)
    slope = no * no_slope - yes * yes_slope
    total = tl.sum(tl.sum(value.to(tl.float64), axis=1), axis=0)
    tl.store(partial + tile_of * tl.num_programs(1) + tl.program_id(1), total)
    if EACH:
        tl.store(each + (n * classes + wide) * inner + s, value, mask=inside)
    if COUNTED:
        size = tl.where(inside, tl.abs(slope), 0.0)
        tl.atomic_add(sums + c, tl.sum((size * y).to(tl.float64), axis=0), mask=known)
        rest = tl.sum((size - size * y).to(tl.float64), axis=0)
        tl.atomic_add(sums + classes + c, rest, mask=known)
    if GRADIENT:
        slope = slope / tl.load(numbers + TEMPERATURE)
        tl.store(gradient + at, slope.to(gradient.dtype.element_ty), mask=inside)
