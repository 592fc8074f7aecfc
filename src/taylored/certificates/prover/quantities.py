"""The functions of p whose sign or size a property is about, made of phi's derivatives in q."""

# ruff: noqa: ARG005 - the rules of all quantities are called alike

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from fractions import Fraction

from taylored.certificates.enclosure.box import Box, Side
from taylored.certificates.enclosure.ends import Three, expand
from taylored.certificates.enclosure.interval import ZERO, Interval
from taylored.certificates.enclosure.jets import Jet, jet
from taylored.certificates.enclosure.local import Local, exact
from taylored.certificates.formula import ClippedAt, Formula, leaves_of


@dataclass(frozen=True)
class Quantity:
    """A function of p: its enclosure from a jet, its expansion at an end, and its derivative."""

    name: str
    of_jet: Callable[[Jet, Box], Interval]
    of_end: Callable[[Three, Local, Local], Local]
    derivative: Callable[[Jet, Box], Interval]

    def on(self, formula: Formula, box: Box) -> Interval:
        """Where it has its values on a box."""
        return self.of_jet(jet(formula, box), box)

    def closely(self, formula: Formula, box: Box) -> Interval:
        """The same by the mean value theorem too, which is sharper on small boxes."""
        found = jet(formula, box)
        plain = self.of_jet(found, box)
        if plain.lo > 0.0 or plain.hi < 0.0 or plain == ZERO:
            return plain
        return self.centered(formula, box, found, plain)

    def centered(self, formula: Formula, box: Box, found: Jet, plain: Interval) -> Interval:
        """The enclosure around the value in the middle."""
        middle = box.middle
        center = self.of_jet(jet(formula, middle), middle)
        half = ((box.near - middle.near) * box.p.reciprocal()).magnitude
        spread = Interval(-half, half)
        return plain.meet(center + self.derivative(found, box) * spread)

    def sharply(self, formula: Formula, box: Box) -> Interval:
        """The best of both."""
        found = jet(formula, box)
        return self.centered(formula, box, found, self.of_jet(found, box))

    def near(self, formula: Formula, end: Side, reach: float) -> Local | None:
        """Its expansion at an end, if that reaches so far."""
        three = expand(formula, end, reach)
        if three is None:
            return None
        t = exact({(Fraction(1), 0): Fraction(1)}, reach)
        rest = exact({(Fraction(0), 0): Fraction(1), (Fraction(1), 0): Fraction(-1)}, reach)
        return self.of_end(three, *((rest, t) if end == "q" else (t, rest)))


def _margin_curvature(j: Jet, b: Box) -> Interval:
    return b.p * j[0] + b.q * j[1]


GAIN = Quantity("gain", lambda j, b: j[0], lambda t, p, q: p * t[1], lambda j, b: j[1])
"""g = -p phi'(p) = D phi."""

CURVATURE = Quantity(
    "curvature",
    lambda j, b: j[1] + j[0],
    lambda t, p, q: p * p * t[2],
    lambda j, b: j[2] + j[1],
)
"""p^2 phi''(p)."""

MARGIN_CURVATURE = Quantity(
    "margin_curvature",
    _margin_curvature,
    lambda t, p, q: p * ((p + q.scaled(Fraction(-1))) * t[1] + p * q * t[2]),
    lambda j, b: b.p * (2 * j[1] - j[0]) + b.q * j[2],
)
"""The second derivative in the margin, over q."""

PULL = Quantity("pull", lambda j, b: b.q * j[0], lambda t, p, q: p * q * t[1], _margin_curvature)
"""q g, the size of the derivative in the margin."""

QUANTITIES = {each.name: each for each in (GAIN, CURVATURE, MARGIN_CURVATURE, PULL)}


def breaks(formula: Formula) -> tuple[Fraction, ...]:
    """The q at which a formula, not shifted, is not smooth."""
    return tuple(
        sorted({leaf.margin for leaf in leaves_of(formula) if isinstance(leaf, ClippedAt)})
    )
