"""Softmax with a distribution over the classes as the truth: `kernels/cpp/distribution.h`.

Only the top class k can have p > 1/2, and only it needs the margin against the others. Let r be the
softmax over the others, g_j = mass_j h_j / q_j the gains, G their sum over the others, and pull =
mass_k h_k. Then the derivatives are r_j (q_k G + pull) - g_j, and p_k G - pull on the top.
"""

import triton
import triton.language as tl

from taylored.kernels.triton.term import (
    EVEN,
    GAMMA,
    KEPT,
    LOWEST,
    TEMPERATURE,
    at_margin,
    outcome,
)
from taylored.kernels.triton.tile import peaks, positions_of, read


@triton.jit
def _truths(target, places, truth, alive, c, classes, t_c, numbers,
            INDEX: tl.constexpr, R: tl.constexpr):  # fmt: skip
    """The smoothed truth of each class of a tile; 0 where nothing counts."""
    inside = alive[:, None] & (c < classes)[None, :]
    if INDEX:
        y = (c[None, :] == truth[:, None]).to(R)
    else:
        at = places[:, None] + c.to(tl.int64)[None, :] * t_c
        y = tl.load(target + at, mask=inside, other=0.0).to(R)
    y = y * tl.load(numbers + KEPT) + tl.load(numbers + EVEN)
    return tl.where(inside, y, 0.0)


@triton.jit
def _weighted(y, positive, c, classes, WEIGHTED: tl.constexpr):
    if WEIGHTED:
        y = y * tl.load(positive + c, mask=c < classes, other=0.0)[None, :]
    return y


@triton.jit
def _per_class(gammas, c, classes, numbers, BY_CLASS: tl.constexpr):
    if BY_CLASS:
        return tl.load(gammas + c, mask=c < classes, other=0.0)[None, :]
    else:
        return tl.load(numbers + GAMMA)


@triton.jit
def _rivals(tile, y, gamma, peak, log_sum, q_top, log_q_top, numbers,
            WHOLE: tl.constexpr, NA: tl.constexpr, NB: tl.constexpr,
            SKIPPED: tl.constexpr):  # fmt: skip
    """Share, gain and value of the classes other than the top."""
    log_share = (tile - peak) - log_sum
    share = tl.exp(log_share)
    p = share * q_top
    q = 1.0 - p
    value, slope = outcome(
        p, q, -(log_share + log_q_top), tl.log(q), gamma, numbers, WHOLE, NA, NB, SKIPPED
    )
    return share, y * slope / q, tl.where(y == 0.0, 0.0, y * value)


@triton.jit
def softmax_soft(
    z, gradient, target, rows, each, partial, sums,
    scale, bias, gammas, positive, largest_scale, numbers,
    count, classes, inner, z_n, z_c, z_s, t_n, t_c, t_s, r_n, r_s,
    INDEX: tl.constexpr, WEIGHTED: tl.constexpr,
    SCALES: tl.constexpr, SHIFTS: tl.constexpr, BIASED: tl.constexpr, BY_CLASS: tl.constexpr,
    GRADIENT: tl.constexpr, EACH: tl.constexpr, COUNTED: tl.constexpr, WHOLE: tl.constexpr,
    NA: tl.constexpr, NB: tl.constexpr, SKIPPED: tl.constexpr, R: tl.constexpr,
    POSITIONS: tl.constexpr, BLOCK: tl.constexpr,
):  # fmt: skip
    """One tile of positions; the sum of its losses goes to `partial`."""
    i, n, s, there, coefficient = positions_of(rows, count, inner, r_n, r_s, POSITIONS)
    alive = there & (coefficient != 0.0)
    places = n * t_n + s * t_s
    truth = tl.zeros((POSITIONS,), tl.int64)
    if INDEX:
        truth = tl.load(target + places, mask=there, other=0)
    offsets = n * z_n + s * z_s

    first, second = peaks(z, offsets, alive, classes, z_c, scale, bias, numbers, largest_scale,
                          SCALES, SHIFTS, POSITIONS, BLOCK, R)  # fmt: skip
    chosen = tl.full((POSITIONS,), float("-inf"), R)
    top = tl.zeros((POSITIONS,), tl.int32)
    for start in range(0, classes, BLOCK):
        tile, c = read(z, offsets, alive, start, classes, z_c, scale, bias, numbers,
                       largest_scale, first, second, SCALES, SHIFTS, BIASED, BLOCK, R)  # fmt: skip
        highest, where = tl.max(tile, axis=1, return_indices=True)
        larger = highest > chosen
        top = tl.where(larger, start + where, top)
        chosen = tl.where(larger, highest, chosen)

    peak = tl.full((POSITIONS,), LOWEST, R)
    mass = tl.zeros((POSITIONS,), R)
    own = tl.zeros((POSITIONS,), R)
    for start in range(0, classes, BLOCK):
        tile, c = read(z, offsets, alive, start, classes, z_c, scale, bias, numbers,
                       largest_scale, first, second, SCALES, SHIFTS, BIASED, BLOCK, R)  # fmt: skip
        mine = c[None, :] == top[:, None]
        y = _truths(target, places, truth, alive, c, classes, t_c, numbers, INDEX, R)
        y = _weighted(y, positive, c, classes, WEIGHTED)
        own += tl.sum(tl.where(mine, y, 0.0), axis=1)
        tile = tl.where(mine, float("-inf"), tile)
        higher = tl.maximum(peak, tl.max(tile, axis=1))
        mass = mass * tl.exp(peak - higher) + tl.sum(tl.exp(tile - higher[:, None]), axis=1)
        peak = higher
    mass = tl.where(mass == 0.0, 1e-37, mass)
    log_sum = tl.log(mass)
    margin = (chosen - peak) - log_sum
    margin = tl.where(chosen == float("inf"), float("nan"), margin)

    gamma = tl.full((POSITIONS,), 0.0, R) + tl.load(numbers + GAMMA)
    if BY_CLASS:
        gamma = tl.load(gammas + top)
    p_top, q_top, nll, log_q_top = at_margin(margin)
    value, slope = outcome(p_top, q_top, nll, log_q_top, gamma, numbers, WHOLE, NA, NB, SKIPPED)
    value = tl.where(alive & (own != 0.0), coefficient * own * value, 0.0)
    pull = tl.where(alive, coefficient * own * slope, 0.0)
    log_q_top = tl.maximum(log_q_top, -1e30)
    gains = tl.zeros((POSITIONS,), R)
    for start in range(0, classes, BLOCK):
        tile, c = read(z, offsets, alive, start, classes, z_c, scale, bias, numbers,
                       largest_scale, first, second, SCALES, SHIFTS, BIASED, BLOCK, R)  # fmt: skip
        mine = (c[None, :] == top[:, None]) | (c >= classes)[None, :]
        y = _truths(target, places, truth, alive, c, classes, t_c, numbers, INDEX, R)
        y = _weighted(y, positive, c, classes, WEIGHTED) * coefficient[:, None]
        y = tl.where(mine, 0.0, y)
        by = _per_class(gammas, c, classes, numbers, BY_CLASS)
        tile = tl.where(mine, peak[:, None] - 128.0, tile)
        _, gain, worth = _rivals(tile, y, by, peak[:, None], log_sum[:, None], q_top[:, None],
                                 log_q_top[:, None], numbers, WHOLE, NA, NB, SKIPPED)  # fmt: skip
        gains += tl.sum(gain, axis=1)
        value += tl.sum(worth, axis=1)
    tl.store(partial + tl.program_id(0), tl.sum(tl.where(alive, value, 0.0).to(tl.float64), axis=0))
    if EACH:
        tl.store(each + i, tl.where(alive, value, 0.0), mask=there)

    if GRADIENT or COUNTED:
        rival_pull = q_top * gains + pull
        for start in range(0, classes, BLOCK):
            tile, c = read(z, offsets, alive, start, classes, z_c, scale, bias, numbers,
                           largest_scale, first, second, SCALES, SHIFTS, BIASED,
                           BLOCK, R)  # fmt: skip
            inside = c < classes
            mine = c[None, :] == top[:, None]
            y = _truths(target, places, truth, alive, c, classes, t_c, numbers, INDEX, R)
            mass_of = _weighted(y, positive, c, classes, WEIGHTED) * coefficient[:, None]
            mass_of = tl.where(mine, 0.0, mass_of)
            by = _per_class(gammas, c, classes, numbers, BY_CLASS)
            tile = tl.where(mine | ~inside[None, :], peak[:, None] - 128.0, tile)
            share, gain, _ = _rivals(tile, mass_of, by, peak[:, None], log_sum[:, None],
                                     q_top[:, None], log_q_top[:, None], numbers,
                                     WHOLE, NA, NB, SKIPPED)  # fmt: skip
            found = share * rival_pull[:, None] - gain
            found = tl.where(mine, (p_top * gains - pull)[:, None], found)
            found = tl.where(alive[:, None] & inside[None, :], found, 0.0)
            if COUNTED:
                size = tl.abs(found)
                kept = tl.sum((size * y).to(tl.float64), axis=0)
                tl.atomic_add(sums + c, kept, mask=inside)
                rest = tl.sum((size - size * y).to(tl.float64), axis=0)
                tl.atomic_add(sums + classes + c, rest, mask=inside)
            if GRADIENT:
                if SCALES:
                    found = found * tl.load(scale + c, mask=inside, other=1.0)[None, :]
                found = found / tl.load(numbers + TEMPERATURE)
                at = offsets[:, None] + c.to(tl.int64)[None, :] * z_c
                to = gradient.dtype.element_ty
                tl.store(gradient + at, found.to(to), mask=there[:, None] & inside[None, :])
