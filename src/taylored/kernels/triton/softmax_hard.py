"""Softmax with one true class per position, as in `kernels/cpp/softmax_hard.h`.

The truth is taken out of the logits; the log-sum-exp of the others gives the margin, and the margin
gives the slope h. The gradient is -h on the truth, and h times the softmax over the others on them.
Logits are read once for the sum and once for the gradient, which is written once.
"""

import triton
import triton.language as tl

from taylored.kernels.triton.term import GAMMA, LOWEST, TEMPERATURE, at_margin, outcome
from taylored.kernels.triton.tile import moved, peaks, positions_of, read


@triton.jit
def softmax_hard(
    z, gradient, target, rows, each, partial, sums,
    scale, bias, gammas, added, growth, largest_scale, numbers,
    count, classes, inner, z_n, z_c, z_s, t_n, t_s, r_n, r_s,
    SCALES: tl.constexpr, SHIFTS: tl.constexpr, BIASED: tl.constexpr, BY_CLASS: tl.constexpr,
    ADDED: tl.constexpr, GROWN: tl.constexpr, GRADIENT: tl.constexpr, EACH: tl.constexpr,
    COUNTED: tl.constexpr, WHOLE: tl.constexpr, NA: tl.constexpr, NB: tl.constexpr,
    SKIPPED: tl.constexpr, R: tl.constexpr, POSITIONS: tl.constexpr, BLOCK: tl.constexpr,
):  # fmt: skip
    """One tile of positions; the sum of its losses goes to `partial`."""
    i, n, s, there, coefficient = positions_of(rows, count, inner, r_n, r_s, POSITIONS)
    alive = there & (coefficient != 0.0)
    truth = tl.load(target + n * t_n + s * t_s, mask=there, other=0)
    known = (truth >= 0) & (truth < classes)  # for another class the coefficient is NaN
    truth = tl.where(known, truth, 0)
    offsets = n * z_n + s * z_s

    first, second = peaks(z, offsets, alive, classes, z_c, scale, bias, numbers, largest_scale,
                          SCALES, SHIFTS, POSITIONS, BLOCK, R)  # fmt: skip
    peak = tl.full((POSITIONS,), LOWEST, R)
    mass = tl.zeros((POSITIONS,), R)
    for start in range(0, classes, BLOCK):
        tile, c = read(z, offsets, alive, start, classes, z_c, scale, bias, numbers,
                       largest_scale, first, second, SCALES, SHIFTS, BIASED, BLOCK, R)  # fmt: skip
        tile = tl.where(c[None, :] == truth[:, None], float("-inf"), tile)
        higher = tl.maximum(peak, tl.max(tile, axis=1))
        mass = mass * tl.exp(peak - higher) + tl.sum(tl.exp(tile - higher[:, None]), axis=1)
        peak = higher

    # A tile with one column: the true logit.
    own = tl.load(z + offsets + truth * z_c, mask=alive, other=0.0).to(R)
    own = moved(own, truth, scale, bias, numbers, classes, largest_scale, first, second,
                SCALES, SHIFTS, BIASED)  # fmt: skip
    margin = (own - peak) - tl.log(tl.where(mass == 0.0, 1e-37, mass))
    margin = tl.where(own == float("inf"), float("nan"), margin)
    if ADDED:
        margin = margin + tl.load(added + i, mask=there, other=0.0)
    gamma = tl.full((POSITIONS,), 0.0, R) + tl.load(numbers + GAMMA)
    if BY_CLASS:
        gamma = tl.load(gammas + truth)
    p, q, nll, log_q = at_margin(margin)
    value, slope = outcome(p, q, nll, log_q, gamma, numbers, WHOLE, NA, NB, SKIPPED)
    value = tl.where(alive, coefficient * value, 0.0)
    pull = tl.where(alive, coefficient * slope, 0.0)
    tl.store(partial + tl.program_id(0), tl.sum(value.to(tl.float64), axis=0))
    if EACH:
        tl.store(each + i, value, mask=there)

    pulled = pull
    if GROWN:
        pulled = pull * tl.load(growth + i, mask=there, other=1.0)
    if COUNTED:
        tl.atomic_add(sums + truth, tl.abs(pulled).to(tl.float64), mask=alive)
    if GRADIENT or COUNTED:
        share = pull / tl.where(mass == 0.0, 1.0, mass)
        for start in range(0, classes, BLOCK):
            tile, c = read(z, offsets, alive, start, classes, z_c, scale, bias, numbers,
                           largest_scale, first, second, SCALES, SHIFTS, BIASED,
                           BLOCK, R)  # fmt: skip
            mine = c[None, :] == truth[:, None]
            tile = tl.exp(tl.where(mine, float("-inf"), tile) - peak[:, None]) * share[:, None]
            inside = c < classes
            if COUNTED:
                size = tl.sum(tl.abs(tile).to(tl.float64), axis=0)
                tl.atomic_add(sums + classes + c, size, mask=inside)
            if GRADIENT:
                tile = tl.where(mine, -pulled[:, None], tile)
                if SCALES:
                    tile = tile * tl.load(scale + c, mask=inside, other=1.0)[None, :]
                tile = tile / tl.load(numbers + TEMPERATURE)
                at = offsets[:, None] + c.to(tl.int64)[None, :] * z_c
                to = gradient.dtype.element_ty
                tl.store(gradient + at, tile.to(to), mask=there[:, None] & inside[None, :])
