"""The largest absolute value of a quantity, or that it has none."""

from __future__ import annotations

from collections.abc import Callable
from fractions import Fraction

from taylored.certificates.checker import polynomials
from taylored.certificates.checker.quantities import at_end, leading, on_box, range_at_end
from taylored.certificates.checker.signs import Json, covers, demand
from taylored.certificates.checker.terms import Node, unmoved

_DEPTH = 10
"""How often a piece may be divided before its bound is not confirmed."""


def unbounded(node: Node, quantity: str, side: str, reach: float) -> None:
    """Refuse unless it grows without bound at an end."""
    terms = at_end(node, quantity, side, reach)
    key = leading(terms)
    demand(key is not None and (key[0] < 0 or (key[0] == 0 and key[1] > 0)), "it has a limit")
    coefficient = range_at_end({key: terms[key]}, key, 0.0, reach)  # type: ignore[dict-item,index,arg-type]
    demand(coefficient.a > 0 or coefficient.b < 0, "its leading term may vanish")


def at_most(quantity: str) -> Callable[[Node, Node | None, Json], None]:
    """Refuse a largest value that is not reached, or may be exceeded."""

    def rule(node: Node, _opposite: Node | None, proof: Json) -> None:
        demand(proof["kind"] == "bound" and proof["quantity"] == quantity, "it bounds nothing here")
        node = unmoved(node) if quantity == "pull" else node
        lower, upper, (side, low, high) = proof["lower"], proof["upper"], proof["at"]
        demand(lower is not None and upper is not None and lower <= upper, "it is no bound")
        value = abs(on_box(node, quantity, side, low, high))
        demand(value.b >= lower * (1 - 1e-12), "the largest value is not reached where it says")
        if upper == 0.0 and _never_pulls(node):
            return
        covers([tuple(box) for box in proof["boxes"]])
        for box_side, start, end in proof["boxes"]:
            confirmed = _at_most(node, quantity, box_side, start, end, upper, _DEPTH)
            demand(confirmed, f"it may be larger for {box_side} from {start:.4g} to {end:.4g}")

    return rule


def _never_pulls(node: Node) -> bool:
    """Whether the term is a constant, exactly: an enclosure of what cancels to 0 is wider."""
    try:
        return not polynomials.numerator(node, "gain")
    except ValueError:
        return False


def _at_most(
    node: Node, quantity: str, side: str, low: float, high: float, upper: float, depth: int
) -> bool:
    if low == 0.0:
        found = range_at_end(at_end(node, quantity, side, high), (Fraction(0), 0), 0.0, high)
    else:
        found = on_box(node, quantity, side, low, high)
    if abs(found).b <= upper:
        return True
    if not depth:
        return False
    middle = 0.5 * (low + high)
    return _at_most(node, quantity, side, low, middle, upper, depth - 1) and _at_most(
        node, quantity, side, middle, high, upper, depth - 1
    )


def no_bound(quantity: str) -> Callable[[Node, Node | None, Json], None]:
    """Refuse unless it grows without bound where the proof says."""

    def rule(node: Node, _opposite: Node | None, proof: Json) -> None:
        demand(proof["kind"] == "bound" and proof["quantity"] == quantity, "it is about no bound")
        side, low, high = proof["at"]
        demand(low == 0.0, "only at an end can it grow without bound")
        unbounded(unmoved(node) if quantity == "pull" else node, quantity, side, high)

    return rule
