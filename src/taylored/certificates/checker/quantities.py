"""The sign and the size of a quantity, computed anew on a box or at an end."""

from __future__ import annotations

import math
from collections.abc import Iterator
from fractions import Fraction
from functools import lru_cache
from typing import Any

from taylored.certificates.checker.arithmetic import Number, between, iv, more_bits, times, wide
from taylored.certificates.checker.ends import End, Local, derivative, monomials
from taylored.certificates.checker.evaluate import Interior, evaluate
from taylored.certificates.checker.terms import Node

Key = tuple[Fraction, int]

_DEPTH = 12
"""How often a piece may be divided before it is not confirmed."""

_FEW_DIGITS = 2.0**-20
"""Below it numbers near 1 may cancel to one as small as this."""


def on_box(node: Node, quantity: str, side: str, low: float, high: float) -> Any:
    """Where the quantity has its values: by its Taylor coefficients, and by the mean value."""
    place, (value, slope) = _at(node, quantity, side, between(low, high))
    if low == high:
        return value
    middle = iv.mpf(0.5 * (low + high))
    center, (at_center, _) = _at(node, quantity, side, middle)
    spread = slope * (place.t[0] - center.t[0])
    return _common(value, wide(at_center) + spread)


def _common(a: Any, b: Any) -> Any:
    return iv.mpf([max(a.a, b.a), min(a.b, b.b)])


def _at(node: Node, quantity: str, side: str, near: Any) -> tuple[Interior, tuple[Any, Any]]:
    place = Interior.of(side, near)
    c = [wide(each) for each in evaluate(node, place)]
    d1, d2, d3, p, q = c[1], 2 * c[2], 6 * c[3], place.p[0], place.q[0]
    match quantity:
        case "gain":
            return place, (d1, d2)
        case "slope":
            return place, (d1 / p, d2 / p + d1 / p)
        case "curvature":
            return place, (d2 + d1, d3 + d2)
        case "margin_curvature":
            return place, (p * d1 + q * d2, p * (2 * d2 - d1) + q * d3)
        case "pull":
            return place, (q * d1, p * d1 + q * d2)
    raise ValueError(f"no quantity is called {quantity!r}")


@lru_cache(maxsize=256)
def _expanded(node: Node, side: str, reach: float) -> tuple[Local, Local, Local]:
    value: Local = evaluate(node, End(side, reach))
    first = derivative(value)
    return value, first, derivative(first)


def at_end(node: Node, quantity: str, side: str, reach: float) -> dict[Key, Number]:
    """The quantity for s <= reach as a sum of s^e L^k."""
    value, first, second = (monomials(each) for each in _expanded(node, side, reach))
    sign = 1 if side == "q" else -1
    slope = _times_polynomial(first, [sign])  # dphi/dq
    match quantity, side:
        case "value", _:
            return value
        case ("gain", "q"):
            return _times_polynomial(slope, [1, -1])
        case ("gain", "p"):
            return _times_polynomial(slope, [0, 1])
        case ("pull", _):
            return _times_polynomial(slope, [0, 1, -1])
        case ("curvature", "q"):
            return _times_polynomial(second, [1, -2, 1])
        case ("curvature", "p"):
            return _times_polynomial(second, [0, 0, 1])
        case ("margin_curvature", "q"):
            return _added(_times_polynomial(slope, [1, -3, 2]), second, [0, 1, -2, 1])
        case ("margin_curvature", "p"):
            return _added(_times_polynomial(slope, [0, -1, 2]), second, [0, 0, 1, -1])
    raise ValueError(f"no quantity is called {quantity!r}")


def _times_polynomial(terms: dict[Key, Number], factors: list[int]) -> dict[Key, Number]:
    return _added({}, terms, factors)


def _added(
    total: dict[Key, Number], terms: dict[Key, Number], factors: list[int]
) -> dict[Key, Number]:
    found = dict(total)
    for (e, k), c in terms.items():
        for j, factor in enumerate(factors):
            if factor:
                key, value = (e + j, k), times(Fraction(factor), c)
                old = found.get(key)
                if old is None:
                    found[key] = value
                elif isinstance(old, Fraction) and isinstance(value, Fraction):
                    found[key] = old + value
                else:
                    found[key] = wide(old) + wide(value)
    return {key: c for key, c in found.items() if not (isinstance(c, Fraction) and not c)}


def leading(terms: dict[Key, Number]) -> Key | None:
    """The largest term for s -> 0."""
    return min(terms, key=lambda key: (key[0], -key[1]), default=None)


def range_at_end(terms: dict[Key, Number], key: Key, low: float, high: float) -> Any:
    """Where the quantity over s^e L^k has its values for low <= s <= high; s > 0."""
    total, least = iv.mpf(0), -iv.log(iv.mpf(high))
    rate = iv.mpf([least.a, (-iv.log(iv.mpf(low))).b]) if low else None
    for (e, k), c in terms.items():
        size, logs = e - key[0], k - key[1]
        if rate is None:
            total += wide(c) * _monomial(size, logs, least)
        else:
            total += wide(c) * iv.exp(-wide(size) * rate) * rate**logs
    return total


def _monomial(e: Fraction, k: int, rate: Any) -> Any:
    """Where s^e L^k has its values for s > 0, and L of at least the rate."""
    if e == 0 and k == 0:
        return iv.mpf(1)
    if e < 0 or (e == 0 and k > 0):
        return iv.mpf([0, "inf"])
    here = iv.exp(-wide(e) * rate) * rate**k
    if k > 0 and rate.a < wide(Fraction(k) / e).b:  # its largest value is at L = k / e
        peak = (wide(Fraction(k) / e) / iv.exp(iv.mpf(1))) ** k
        return iv.mpf([0, max(here.b, peak.b)])
    return iv.mpf([0, here.b])


def has_sign(
    node: Node, quantity: str, side: str, low: float, high: float, sign: str, depth: int = _DEPTH
) -> bool:
    """Whether the quantity has the sign on a piece, which is divided where that helps."""
    if any(_fits(found, sign) for found in _enclosures(node, quantity, side, low, high)):
        return True
    if not depth or sign == "0":
        return False
    far = high > 4 * low > 0.0
    middle = math.sqrt(low) * math.sqrt(high) if far else 0.5 * (low + high)
    if not low < middle < high:
        return False
    return has_sign(node, quantity, side, low, middle, sign, depth - 1) and has_sign(
        node, quantity, side, middle, high, sign, depth - 1
    )


def _enclosures(node: Node, quantity: str, side: str, low: float, high: float) -> Iterator[Any]:
    """Where the quantity has its values, by one way after the other."""
    if low > 0.0:
        yield on_box(node, quantity, side, low, high)
        if low >= _FEW_DIGITS:
            return
    # What cancels next to an end has done so in the powers of s; or more bits are left of it.
    terms = at_end(node, quantity, side, high)
    key = leading(terms)
    yield iv.mpf(0) if key is None else range_at_end(terms, key, low, high)
    if low > 0.0:
        with more_bits(-math.frexp(low)[1]):
            yield on_box(node, quantity, side, low, high)


def _fits(found: Any, sign: str) -> bool:
    tests = {"+": found.a > 0, "-": found.b < 0, "+0": found.a >= 0, "-0": found.b <= 0,
             "0": found.a == 0 == found.b}  # fmt: skip
    return bool(tests[sign])
