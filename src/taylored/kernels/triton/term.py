"""The function of a loss on a GPU: phi = q^gamma (L A(q) + B(q)), as in `kernels/cpp/term.h`.

Besides the value every evaluation gives the slope h = -dphi/dx in the margin x = log(p / q).
With W = q^gamma and [A] = gamma A + q A':

    phi = W (L A + B)        h = W (q A + p (L [A] + [B]))

The numbers of a term are one array: gamma, temperature, what smoothing keeps and spreads, then the
coefficients of A and of B from q^0 up. As numbers of a call they would be float32, whatever the
logits are.
"""

import triton
import triton.language as tl

GAMMA = tl.constexpr(0)
TEMPERATURE = tl.constexpr(1)
KEPT = tl.constexpr(2)
EVEN = tl.constexpr(3)
COEFFICIENTS = tl.constexpr(4)

LOWEST = tl.constexpr(-3.4e38)
"""Below every logit that may be a peak, and finite in float32."""

_FAR = tl.constexpr(2.0**60)
"""A loss from which on p is 0; products with coefficients are finite up to there."""


@triton.jit
def log1p(e):
    """log(1 + e) for 0 <= e <= 1, with the digits of a small e."""
    u = 1.0 + e
    apart = u - 1.0
    return tl.where(apart == 0.0, e, tl.log(u) * (e / tl.where(apart == 0.0, 1.0, apart)))


@triton.jit
def at_margin(x):
    """p, 1 - p, -log p and log(1 - p), each exact at both ends."""
    e = tl.exp(-tl.abs(x))
    rest = log1p(e)
    large = 1.0 / (1.0 + e)
    small = e * large
    likely = x > 0.0
    p = tl.where(likely, large, small)
    q = tl.where(likely, small, large)
    return p, q, tl.where(likely, rest, rest - x), tl.where(likely, -x - rest, -rest)


@triton.jit
def _polynomial(q, numbers, FIRST: tl.constexpr, COUNT: tl.constexpr):
    """A polynomial, and q times its derivative."""
    value = tl.zeros_like(q)
    growth = tl.zeros_like(q)
    for k in tl.static_range(COUNT):
        c = tl.load(numbers + (FIRST + COUNT - 1 - k))
        value = value * q + c
        growth = growth * q + (COUNT - 1 - k) * c
    return value, growth


@triton.jit
def _remainder(q, nll, SKIPPED: tl.constexpr):
    """What -log p has beyond its first powers of q, and its slope; a sum of positive numbers."""
    first = tl.zeros_like(q)
    slope = q
    tail = tl.zeros_like(q)
    for k in tl.static_range(SKIPPED):
        first = (first + 1.0 / (SKIPPED - k)) * q
        slope = slope * q
    LENGTH: tl.constexpr = 128 if SKIPPED > 2 else 60
    UP_TO: tl.constexpr = 0.75 if SKIPPED > 2 else 0.5
    for k in range(LENGTH):
        tail = tail * q + (tl.full((), 1.0, q.dtype) / (SKIPPED + LENGTH - k))
    return tl.where(q < UP_TO, slope * tail, nll - first), slope


@triton.jit
def _power(q, log_q, gamma, WHOLE: tl.constexpr):
    """q to the power of gamma; 0 to the power of 0 is 1."""
    if WHOLE >= 0:
        power = tl.full(q.shape, 1.0, q.dtype)
        for _ in tl.static_range(WHOLE):
            power = power * q
        return power
    else:
        return tl.exp(gamma * tl.maximum(log_q, LOWEST))


@triton.jit
def outcome(p, q, nll, log_q, gamma, numbers,
            WHOLE: tl.constexpr, NA: tl.constexpr, NB: tl.constexpr,
            SKIPPED: tl.constexpr):  # fmt: skip
    """Value and slope of the term."""
    power = _power(q, log_q, gamma, WHOLE)
    b, qb = _polynomial(q, numbers, COEFFICIENTS + NA, NB)
    if NA == 0:  # without -log p, which may be infinite
        return power * b, power * (p * (gamma * b + qb))
    else:
        a, qa = _polynomial(q, numbers, COEFFICIENTS, NA)
        if SKIPPED > 0:
            log, log_slope = _remainder(q, nll, SKIPPED)
        else:
            log, log_slope = nll, q
        growth = tl.minimum(log, _FAR) * (gamma * a + qa) + (gamma * b + qb)
        return power * (log * a + b), power * (log_slope * a + p * growth)
