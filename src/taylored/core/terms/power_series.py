"""A loss as a power series in q = 1 - p_t."""

from __future__ import annotations

import math
from collections.abc import Callable, Iterable
from dataclasses import dataclass
from typing import SupportsFloat, overload

import torch
from torch import Tensor

from taylored.core.checks import fail, in_range
from taylored.core.numerics import SignedLog
from taylored.core.terms.point import Point


@dataclass(frozen=True)
class Series:
    """Coefficients of a loss in powers of q = 1 - p_t, lowest power first.

    Exponents need not be whole numbers: focal loss with gamma = 0.5 starts at q^1.5. Calling the
    series sums it at a probability, or at each of a tensor of them.

    Example:
        >>> import torch
        >>> half = Series(exponents=(1.0, 2.0), coefficients=(1.0, 0.5))
        >>> half, half(0.5), half(torch.tensor([0.5, 1.0]))
        (1*q^1 + 0.5*q^2, 0.625, tensor([0.6250, 0.0000]))
    """

    exponents: tuple[float, ...]
    coefficients: tuple[float, ...]

    @overload
    def __call__(self, p: float) -> float: ...

    @overload
    def __call__(self, p: Tensor) -> Tensor: ...

    def __call__(self, p: float | Tensor) -> float | Tensor:
        """Sum of the kept terms at the probability p, or at each of them."""
        pairs = zip(self.exponents, self.coefficients, strict=True)
        if isinstance(p, Tensor):
            p = p if p.is_floating_point() else p.to(torch.get_default_dtype())
            return sum((c * (1.0 - p) ** e for e, c in pairs), torch.zeros_like(p))
        if isinstance(p, (str, bytes)) or not isinstance(p, SupportsFloat):
            fix = "for several, use torch.tensor([...])"
            fail("p", "a probability, or a tensor of them", repr(p), fix)
        return math.fsum(c * (1.0 - float(p)) ** e for e, c in pairs)

    def __len__(self) -> int:
        return len(self.exponents)

    def __repr__(self) -> str:
        pairs = zip(self.exponents, self.coefficients, strict=True)
        return " + ".join(f"{c:.4g}*q^{e:g}" for e, c in pairs) or "0"


def collect(pairs: Iterable[tuple[float, float]], order: int) -> Series:
    """Add up equal powers and keep the `order` lowest ones."""
    total: dict[float, float] = {}
    for exponent, coefficient in pairs:
        # Rounded, so that 0.1 + 0.2 and 0.3 are the same power.
        key = round(exponent, 9)
        total[key] = total.get(key, 0.0) + coefficient
    kept = sorted(total)[:order]
    return Series(tuple(kept), tuple(total[e] for e in kept))


def pairs_of(series: Series) -> list[tuple[float, float]]:
    """(exponent, coefficient) pairs."""
    return list(zip(series.exponents, series.coefficients, strict=True))


Summands = dict[tuple[int, float], float]
"""(how often times -log p, power of q) -> coefficient."""


def added(left: Summands, right: Summands) -> Summands:
    """The sum of both."""
    total = dict(left)
    for key, c in right.items():
        total[key] = total.get(key, 0.0) + c
    return total


def multiplied(left: Summands, right: Summands) -> Summands:
    """The product of both."""
    product: Summands = {}
    for (k, e), a in left.items():
        for (m, f), b in right.items():
            key = (k + m, e + f)
            product[key] = product.get(key, 0.0) + a * b
    return product


MOST_SKIPPED = 8
"""Terms of the series that are merged at most; the kernels know the same number."""

_SAME = 1e-9
"""How near two exponents are the same: (0.1 + 3) - 0.1 is a whole number but for its last digit."""


def merged(summands: Summands) -> tuple[int, Summands]:
    """How many terms of the series of -log p are skipped, and the summands with the remainder.

    The k of the summands counts factors of the remainder then. Nothing is skipped where nothing
    cancels.
    """
    logs = {e: c for (k, e), c in summands.items() if k == 1 and c}
    powers = {e: c for (k, e), c in summands.items() if k == 0 and c}
    against = [
        round(f - e)
        for e, a in logs.items()
        for f, b in powers.items()
        if a * b < 0 and abs(f - e - round(f - e)) < _SAME * max(1.0, f)
    ]
    skipped = max((j for j in against if 1 <= j <= MOST_SKIPPED), default=0)
    if skipped == 0 or any(k > 1 for k, _ in summands):
        return 0, {key: c for key, c in summands.items() if c}
    for e, a in logs.items():
        for j in range(1, skipped + 1):
            here = next((f for f in powers if abs(f - e - j) < _SAME * max(1.0, f)), e + j)
            powers[here] = powers.get(here, 0.0) + a / j
    left = {(0, f): b for f, b in powers.items() if b != 0.0}
    return skipped, {**{(1, e): a for e, a in logs.items()}, **left}


Powers = list[tuple[float, float]]
"""(exponent of q, coefficient) of a sum."""

_HIGHEST = 8
"""Up to this power of q a sum is turned into one of powers of p."""


def log_of_powers(powers: Powers, at: Point, otherwise: SignedLog) -> SignedLog:
    """The logarithm of a sum of powers of q, of which the lowest ones may cancel.

    For q above 1/2 the same holds for powers of p, where the sum has whole powers; if not, it is
    the other number there.
    """
    near = _log_sum(powers, at.log_q)
    if all(e == int(e) <= _HIGHEST for e, _ in powers):
        in_p = [
            (m, c * (-1) ** m * math.comb(int(e), m)) for e, c in powers for m in range(int(e) + 1)
        ]
        otherwise = _log_sum(in_p, at.log_p)
    right = at.margin > 0
    log = torch.where(right, near.log, otherwise.log)
    return SignedLog(log, torch.where(right, near.sign, otherwise.sign))


def _log_sum(powers: Iterable[tuple[float, float]], log_base: Tensor) -> SignedLog:
    """The lowest power apart from the rest of the sum, which is no small number."""
    found = pairs_of(collect(powers, _HIGHEST * _HIGHEST))
    largest = max((abs(c) for _, c in found), default=0.0)
    kept = [(e, c) for e, c in found if abs(c) > 1e-14 * largest]
    if not kept:
        return SignedLog.of(torch.zeros_like(log_base))
    lowest = kept[0][0]
    rest = torch.zeros_like(log_base)
    for e, c in kept:
        rest = rest + c * torch.exp((e - lowest) * log_base)
    return SignedLog.positive(lowest * log_base).times(SignedLog.of(rest))


_NEAR = 20.0
"""Margin from which q is so small that three powers of it are the whole series."""


def log_of_value(value: Callable[[Point], Tensor], series: Series, at: Point) -> SignedLog:
    """The logarithm of a value with a series; from the lowest powers where q would underflow."""
    lowest, *others = pairs_of(series)
    rest = sum(
        (c / lowest[1] * torch.exp((e - lowest[0]) * at.log_q) for e, c in others),
        torch.ones_like(at.margin),
    )
    near = lowest[0] * at.log_q + torch.log(rest) + math.log(lowest[1])
    far = torch.log(value(Point(at.margin.clamp_max(_NEAR))))
    return SignedLog.positive(torch.where(at.margin > _NEAR, near, far))


def terms_needed(p: float, error: float) -> int:
    r"""How many terms of the cross-entropy series are enough for every p_t in [p, 1].

    Cross-entropy is :math:`\sum_j q^j / j`. After N terms the rest :math:`R_N` and its derivative
    stay below `error` on [p, 1] if :math:`N > \log_{1-p}(p \cdot error)`, because
    :math:`|R_N'| = q^N / p_t` and :math:`|R_N| \le q^{N+1} / ((N+1) p_t)`. This is a guarantee,
    not the smallest N for the value alone.

    Args:
        p: smallest probability of the truth that has to be covered, in (0, 1). Lowering it raises
            the number of terms roughly like 1 / p.
        error: largest allowed error of the value and of the derivative, in (0, 1). Lowering it
            raises the number of terms logarithmically.

    Returns:
        The smallest whole N that satisfies the bound.

    Raises:
        ValueError: if `p` or `error` is outside (0, 1).

    Example:
        >>> terms_needed(0.01, 0.1)
        688

    Reference:
        Leng et al., PolyLoss, ICLR 2022, theorem 1 (there the condition is garbled in secondary
        texts; this is the version the proof gives).
    """
    in_range("p", p, 0.0, 1.0, "give a probability strictly between 0 and 1", interval="()")
    in_range("error", error, 0.0, 1.0, "give an error strictly between 0 and 1", interval="()")
    return math.floor(math.log(p * error) / math.log1p(-p)) + 1
