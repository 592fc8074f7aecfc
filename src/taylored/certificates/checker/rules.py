"""What has to be shown for each property and verdict."""

from __future__ import annotations

from collections.abc import Callable
from fractions import Fraction

from taylored.certificates.checker import polynomials
from taylored.certificates.checker.bounds import at_most, no_bound, unbounded
from taylored.certificates.checker.quantities import (
    at_end,
    has_sign,
    leading,
    on_box,
    range_at_end,
)
from taylored.certificates.checker.signs import Json, RefusedError, demand, never_negative, pieces
from taylored.certificates.checker.terms import Node, unmoved

Rule = Callable[[Node, Node | None, Json], None]
"""(term, that of the opposite outcome or None, proof): refuses what is not confirmed."""


def _signs(quantity: str, strictly: bool) -> Rule:
    def rule(node: Node, _opposite: Node | None, proof: Json) -> None:
        moved = quantity == "margin_curvature"
        never_negative(unmoved(node) if moved else node, quantity, proof, strictly)

    return rule


def _example(*allowed: tuple[str, str], otherwise: str | None = None) -> Rule:
    """A piece on which one of these (quantity, sign) is confirmed; or two different values."""

    def rule(node: Node, opposite: Node | None, proof: Json) -> None:
        if proof["kind"] == "different" and otherwise is not None:
            _different(node, opposite, proof, otherwise)
            return
        demand(proof["kind"] == "example", f"{proof['kind']!r} is no counter-example")
        quantity, (side, low, high, sign, *_) = proof["quantity"], proof["cell"]
        demand((quantity, sign) in allowed, f"a {quantity} of sign {sign} disproves nothing here")
        demand(0.0 < low < high < 1.0, "the counter-example is no interval")
        node = unmoved(node) if quantity == "margin_curvature" else node
        if sign == "0" and _is_zero(node, quantity):
            return
        confirmed = has_sign(node, quantity, side, low, high, sign)
        demand(confirmed, f"the {quantity} there was not confirmed")
        if "where" in proof:
            _where(node, quantity, proof["where"])

    return rule


def _is_zero(node: Node, quantity: str) -> bool:
    """Whether it is the polynomial 0, exactly."""
    try:
        return not polynomials.numerator(node, quantity)
    except ValueError:
        return False


def _where(node: Node, quantity: str, proof: Json) -> None:
    demand(proof["quantity"] == quantity, "it is about something else where it says where")
    if proof["kind"] == "pieces":
        pieces(node, quantity, proof)
    else:
        demand(proof["kind"] in ("sturm", "zero"), "it does not say where")
        try:
            never_negative(node, quantity, proof, strictly=False)
        except RefusedError as error:
            demand("negative somewhere" in str(error), str(error))


def _different(node: Node, opposite: Node | None, proof: Json, quantity: str) -> None:
    demand(proof["quantity"] == quantity, f"it compares no two values of the {quantity}")
    (side, x), (other_side, y) = proof["at"]
    if opposite is not None:
        demand(x == y and side != other_side, "the two places are not p and 1 - p")
    first = on_box(node, quantity, side, x, x)
    second = on_box(opposite or node, quantity, other_side, y, y)
    demand(first.a > second.b or first.b < second.a, "the two values may be equal")


def _equal(quantity: str) -> Rule:
    """The gain (or slope) is constant, or at p that of the opposite at 1 - p."""

    def rule(node: Node, opposite: Node | None, proof: Json) -> None:
        demand(proof["quantity"] == quantity, f"it is not about the {quantity}")
        a, powers = polynomials.formula(node)
        powers = {e: c for e, c in powers.items() if e}
        if opposite is None:
            demand(proof["kind"] == "constant", f"{proof['kind']!r} is no proof for softmax")
            rest = powers if quantity == "gain" else {e: c for e, c in powers.items() if e != 1}
            demand(not rest and (quantity == "gain" or not a), f"the {quantity} is not constant")
            return
        demand(proof["kind"] == "mirrored", f"{proof['kind']!r} is no proof for sigmoid")
        b, others = polynomials.formula(opposite)
        if quantity == "slope":
            demand(not a and not b, "the slope of -log p is no polynomial")
        here = _rate(a, powers, quantity)
        there = _rate(b, {e: c for e, c in others.items() if e}, quantity)
        turned = [Fraction(0)]
        for c in reversed(there):  # in 1 - q
            turned = polynomials.product(turned, [Fraction(1), Fraction(-1)])
            turned[0] += c
        demand(polynomials.trimmed(here) == polynomials.trimmed(turned), f"the {quantity}s differ")

    return rule


def _rate(a: Fraction, powers: polynomials.Powers, quantity: str) -> list[Fraction]:
    """The slope of a polynomial, or the gain A + p times it, as a polynomial in q."""
    slope = polynomials.in_root({e - 1: e * c for e, c in powers.items()}, 1) or [Fraction(0)]
    if quantity == "slope":
        return slope
    gain = polynomials.product(slope, [Fraction(1), Fraction(-1)])
    gain[0] += a
    return gain


def _limit(node: Node, _opposite: Node | None, proof: Json) -> None:
    demand(proof["kind"] == "limit", f"{proof['kind']!r} is no limit")
    terms = at_end(node, "value", "p", float(proof["reach"]))
    key = leading(terms)
    demand(key is None or (key >= (0, 0) and key[1] * (key[0] == 0) <= 0), "it grows without bound")
    if key is not None and key[0] == 0 and key[1] == 0:
        low, high = proof["value"]
        value = range_at_end({key: terms[key]}, key, 0.0, float(proof["reach"]))
        demand(value.b >= low and value.a <= high, "the limit is another")


def _grows(node: Node, _opposite: Node | None, proof: Json) -> None:
    demand(proof["kind"] == "grows", f"{proof['kind']!r} does not show that it grows")
    unbounded(node, "value", "p", float(proof["reach"]))


_RISES = ("gain", "-")
_FLAT = ("gain", "0")
RULES: dict[tuple[str, str], Rule] = {
    ("never_rises", "proved"): _signs("gain", strictly=False),
    ("never_rises", "disproved"): _example(_RISES),
    ("decreasing", "proved"): _signs("gain", strictly=True),
    ("decreasing", "disproved"): _example(_RISES, _FLAT),
    ("order_preserving", "proved"): _signs("curvature", strictly=True),
    ("order_preserving", "disproved"): _example(
        _RISES, _FLAT, ("curvature", "-"), ("curvature", "0")
    ),
    ("proper", "proved"): _equal("gain"),
    ("proper", "disproved"): _example(_RISES, _FLAT, otherwise="gain"),
    ("bounded", "proved"): _limit,
    ("bounded", "disproved"): _grows,
    ("symmetric", "proved"): _equal("slope"),
    ("symmetric", "disproved"): _example(otherwise="slope"),
    ("gain", "proved"): at_most("gain"),
    ("gain", "disproved"): no_bound("gain"),
    ("lipschitz", "proved"): at_most("pull"),
    ("lipschitz", "disproved"): no_bound("pull"),
    ("convex_in_margin", "proved"): _signs("margin_curvature", strictly=False),
    ("convex_in_margin", "disproved"): _example(("margin_curvature", "-")),
}
"""(property, verdict) -> how its proof is followed."""
