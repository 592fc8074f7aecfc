"""A term in any arithmetic: on a box, as Taylor coefficients in t = -log p; D = d/dt."""

from __future__ import annotations

from fractions import Fraction
from typing import Any, Protocol

from taylored.certificates.checker import taylor
from taylored.certificates.checker.arithmetic import Number, exp, iv, log, plus, times, wide
from taylored.certificates.checker.taylor import Taylor
from taylored.certificates.checker.terms import Node

_NOT: frozenset[str] = frozenset()
"""Terms whose values, which take long to find, are wanted besides their slopes."""


class Place(Protocol):
    """Where a term is evaluated: the functions of p that terms are made of."""

    def number(self, value: Fraction) -> Any:
        """A constant."""
        ...

    def nll(self) -> Any:
        """-log p."""
        ...

    def q_power(self, exponent: Fraction) -> Any:
        """q ** exponent."""
        ...

    def p_power(self, exponent: Fraction) -> Any:
        """p ** exponent."""
        ...

    def jensen_shannon(self, pi: Fraction) -> Any:
        """The Jensen-Shannon term."""
        ...

    def truncated(self, count: int) -> Any:
        """Sum of q^j / j up to a count."""
        ...

    def clipped(self, gamma: Fraction, margin: Fraction) -> Any:
        """The focal loss of u = q - margin, where u > 0."""
        ...

    def shifted(self, margin: Fraction) -> Place:
        """The place at log odds lower by a margin."""
        ...

    def in_product(self) -> Place:
        """The place for the factors of a product."""
        ...

    def add(self, a: Any, b: Any) -> Any:
        """The sum."""
        ...

    def mul(self, a: Any, b: Any) -> Any:
        """The product."""
        ...


def evaluate(node: Node, place: Place) -> Any:
    """The term there."""
    match node.name, node.numbers:
        case "sum", _:
            return place.add(*(evaluate(part, place) for part in node.parts))
        case "product", _:
            return place.mul(*(evaluate(part, place.in_product()) for part in node.parts))
        case "shifted", (margin,):
            return evaluate(node.parts[0], place.shifted(margin))
        case "nll", _:
            return place.nll()
        case "power", (a,):
            return place.q_power(a)
        case "box_cox", (a,):
            flipped = place.mul(place.number(-1 / a), place.p_power(a))
            return place.add(place.number(1 / a), flipped)
        case "jensen_shannon", (pi,):
            return place.jensen_shannon(pi)
        case "truncated", (count,):
            return place.truncated(int(count))
        case "clipped_focal", (gamma, margin):
            return place.clipped(gamma, margin)
    total = place.number(Fraction(0))
    for c in reversed(node.numbers):
        total = place.add(place.mul(total, place.q_power(Fraction(1))), place.number(c))
    return total


class Interior:
    """A box inside (0, 1), in Taylor coefficients."""

    def __init__(self, p: Taylor, q: Taylor, t: Taylor, valued: frozenset[str] = _NOT) -> None:
        self.p, self.q, self.t, self.valued = p, q, t, valued

    def in_product(self) -> Interior:
        """The same place for the factors of a product, whose slope depends on their values."""
        return Interior(self.p, self.q, self.t, frozenset({"truncated"}))

    @classmethod
    def of(cls, side: str, near: Number) -> Interior:
        """The box of p, or of q = 1 - p."""
        p, q = (near, 1 - near) if side == "p" else (1 - near, near)
        half, sixth = Fraction(1, 2), Fraction(1, 6)
        return cls(
            [p, -p, times(half, p), times(-sixth, p)],
            [q, p, times(-half, p), times(sixth, p)],
            [-iv.log(p), Fraction(1), Fraction(0), Fraction(0)],
        )

    add = staticmethod(taylor.add)
    mul = staticmethod(taylor.mul)

    def number(self, value: Fraction) -> Taylor:
        """A constant."""
        return taylor.constant(value, len(self.t))

    def nll(self) -> Taylor:
        """-log p."""
        return self.t

    def q_power(self, exponent: Fraction) -> Taylor:
        """q ** exponent."""
        return taylor.power_of(self.q, exponent)

    def p_power(self, exponent: Fraction) -> Taylor:
        """p ** exponent."""
        return taylor.exp_of(taylor.scale(self.t, -exponent))

    def jensen_shannon(self, pi: Fraction) -> Taylor:
        """Its derivative in -log p is K p log(1 + pi / (c p)), K = 1 / -log c."""
        c = 1 - pi
        norm = 1 / -log(c)
        p, q = self.p[0], self.q[0]
        m = wide(pi) + wide(c) * p
        value = q + (wide(c) * p * iv.log(p) - m * iv.log(m)) * norm / wide(c)
        ratio = taylor.scale(taylor.power_of(self.p, Fraction(-1)), pi / c)
        ratio[0] = plus(Fraction(1), ratio[0])
        slope = taylor.scale(taylor.mul(self.p, taylor.log_of(ratio)), norm)
        return taylor.integrated(value, slope, self.t)

    def truncated(self, count: int) -> Taylor:
        """Its derivative in -log p is 1 - q^n."""
        highest = taylor.power_of(self.q, Fraction(count))
        slope = taylor.scale(highest, Fraction(-1))
        slope[0] = plus(Fraction(1), slope[0])
        if "truncated" not in self.valued:
            return taylor.integrated(iv.mpf([0, "inf"]), slope, self.t)
        low, high = iv.mpf(self.q[0].a), iv.mpf(self.q[0].b)
        value = iv.mpf([sum_of_powers(count, low).a, sum_of_powers(count, high).b])
        return taylor.integrated(value, slope, self.t)

    def clipped(self, gamma: Fraction, margin: Fraction) -> Taylor:
        """u^gamma * -log(1 - u), u = q - margin, where u > 0; around u = 0 nothing is known."""
        u = [plus(self.q[0], -margin), *self.q[1:]]
        if u[0].b <= 0:
            return self.number(Fraction(0))
        if u[0].b >= 1:  # a wide enclosure of q
            return [iv.mpf(["-inf", "inf"])] * len(u)
        edge = self._at_the_edge(gamma, u[0].b)
        if u[0].a <= 0:
            return edge
        rest = [plus(self.p[0], margin), *self.p[1:]]
        nll = taylor.scale(taylor.log_of(rest), Fraction(-1))
        found = taylor.mul(taylor.power_of(u, gamma), nll)
        return [found[0], *(_common(x, y) for x, y in zip(found[1:], edge[1:], strict=True))]

    def _at_the_edge(self, gamma: Fraction, high: Any) -> Taylor:
        """By the series in u, none of whose coefficients is negative, up to u = high.

        Its slope lies between 0 and its value at the edge, and so does the second derivative for
        gamma >= 1; for smaller gamma that one has no bound, and for gamma = 0 the slope jumps.
        """
        edge, g = iv.mpf(high), wide(gamma)
        rest = 1 / (1 - edge)
        powered = iv.exp(g * iv.log(edge))
        slope = iv.mpf([0, ((g + 1) * powered * rest).b])
        bend = iv.mpf([0, "inf"])
        if gamma >= 1:
            inner = (g * (g - 1) + 2 * g) * powered / edge + powered
            bend = iv.mpf([0, (inner * rest * rest).b])
        everything = iv.mpf(["-inf", "inf"])
        rate, turn = wide(self.q[1]), wide(self.q[2])
        second = bend * rate * rate / 2 + slope * turn if gamma else everything
        value = iv.mpf([0, (powered * -iv.log(1 - edge)).b])
        return [value, slope * rate, second, everything]

    def shifted(self, margin: Fraction) -> Interior:
        """p' = p / (p + E q), E = exp(margin)."""
        e = exp(margin)
        below = taylor.add(self.p, taylor.scale(self.q, e))
        over = taylor.power_of(below, Fraction(-1))
        q = taylor.scale(taylor.mul(self.q, over), e)
        t = taylor.add(self.t, taylor.log_of(below))
        return Interior(taylor.mul(self.p, over), q, t, self.valued)


def _common(a: Any, b: Any) -> Any:
    low, high = max(a.a, b.a), min(a.b, b.b)
    return iv.mpf([low, high]) if low <= high else a


def sum_of_powers(count: int, q: Any) -> Any:
    """Sum of q^j / j for j = 1..count, at a thin q."""
    head = min(count, 200)
    total = iv.mpf(0)
    for j in range(head, 0, -1):
        total = (total + iv.mpf(1) / j) * q
    first = head + 1
    while first <= count:
        last = min(count, first + first // 32)
        number, center = last - first + 1, iv.mpf(first + last) / 2
        low = number * iv.exp(center * iv.log(q)) / center if q.b < 1 else number / center
        ends = (q**first / first + q**last / last) * number / 2
        total += iv.mpf([low.a, ends.b])
        first = last + 1
    return total
