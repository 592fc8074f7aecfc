"""The properties of one term, each proved, disproved by an example, or undecided with a reason."""

from __future__ import annotations

import math
from collections.abc import Callable, Iterator
from fractions import Fraction
from typing import Any, Literal

from taylored.certificates.enclosure.box import Box
from taylored.certificates.enclosure.ends import expand
from taylored.certificates.enclosure.interval import Interval, interval
from taylored.certificates.enclosure.jets import jet
from taylored.certificates.formula import Formula, PolynomialIn, ProductOf, ShiftedBy
from taylored.certificates.prover.analysis import Json, Signs, signs, written
from taylored.certificates.prover.bounds import Bound, largest
from taylored.certificates.prover.exact import Exact, exact_of
from taylored.certificates.prover.quantities import (
    CURVATURE,
    GAIN,
    MARGIN_CURVATURE,
    PULL,
    Quantity,
)
from taylored.certificates.prover.signs import REACHES, Cell

Verdict = Literal["proved", "disproved", "undecided"]
Found = tuple[Verdict, Json]

_PLACES = tuple(Fraction(1, d) for d in (2, 4, 3, 10, 100, 1000, 10**4, 10**6))
"""Where two values are compared, and 1 minus these."""


def falling(formula: Formula) -> tuple[Found, Found]:
    """(phi never rises with p, phi falls strictly)."""
    found = signs(formula, GAIN)
    if found.has("-", "-0") and (rise := _widest(found, "-")) is not None:
        example = _example(rise, GAIN)
        return ("disproved", example), ("disproved", example)
    if found.has("?", "-", "-0"):
        return (_unknown("the sign of the gain", found),) * 2
    never: Found = ("proved", found.proof)
    flat = _widest(found, "0")
    if flat is not None:
        return never, ("disproved", _example(flat, GAIN))
    if found.has("+0") and not found.exact:
        return never, _unknown("whether the gain is 0 on an interval", found)
    return never, never


def order_preserving(formula: Formula, falls: Found) -> Found:
    """p / g strictly increasing: phi falls, and phi' rises strictly."""
    if falls[0] != "proved":
        return falls
    found = signs(formula, CURVATURE)
    for sign in ("-", "0"):
        cell = _widest(found, sign)
        if cell is not None:
            return "disproved", _example(cell, CURVATURE)
    if found.has("?", "-0") or (found.has("+0") and not found.exact):
        return _unknown("the sign of phi''", found)
    return "proved", found.proof


def convex_in_margin(formula: Formula) -> Found:
    """The pull q g rises with q; if not, on which pieces it does."""
    found = signs(_unmoved(formula), MARGIN_CURVATURE)
    fault = _widest(found, "-")
    if fault is not None:
        example = _example(fault, MARGIN_CURVATURE)
        return "disproved", {**example, "where": found.proof}
    if found.has("?", "-0"):
        return _unknown("the sign of the second derivative in the margin", found)
    return "proved", found.proof


def _unmoved(formula: Formula) -> Formula:
    """A formula with the same values at other margins: what is shifted as a whole is moved back."""
    match formula:
        case ShiftedBy(inner, _):
            return _unmoved(inner)
        case ProductOf(PolynomialIn(coefficients) as factor, inner) if len(coefficients) == 1:
            return ProductOf(factor, _unmoved(inner))
    return formula


def bounded(formula: Formula) -> Found:
    """Phi has a finite limit at p = 0; everywhere else it is continuous."""
    for reach in REACHES:
        three = expand(formula, "p", reach)
        if three is None:
            continue
        found = three[0].leading()
        if found is None or found[0][0] > 0 or (not found[0][0] and not found[0][1]):
            limit = interval(three[0].terms.get((Fraction(0), 0), Fraction(0)))
            return "proved", {"kind": "limit", "value": [limit.lo, limit.hi], "reach": reach}
        (exponent, logs), coefficient = found
        values = interval(coefficient)
        if 0.0 not in values:
            proof = {"kind": "grows", "exponent": str(exponent), "logs": logs, "reach": reach,
                     "coefficient": [values.lo, values.hi]}  # fmt: skip
            return "disproved", proof
    return "undecided", {"kind": "none", "reason": "the leading term at p = 0 may vanish"}


def proper(formula: Formula, opposite: Formula | None, falls: Found) -> Found:
    """The expected loss is least at the true probabilities, and only there.

    Softmax (no opposite): the gain is a constant above 0. Sigmoid: g(p) is the gain of the opposite
    outcome at 1 - p, and not negative.
    """
    if falls[0] != "proved":
        return falls
    return _equal(formula, opposite, _gain, lambda exact: exact.logarithmic)


def symmetric(formula: Formula, opposite: Formula | None) -> Found:
    """The losses of all outcomes add up to a constant.

    Softmax: phi is affine. Sigmoid: phi'(p) is that of the opposite outcome at 1 - p.
    """
    return _equal(formula, opposite, _slope, lambda exact: exact.affine)


def _gain(formula: Formula, box: Box) -> Interval:
    return jet(formula, box)[0]


def _slope(formula: Formula, box: Box) -> Interval:
    return jet(formula, box)[0] * box.p.reciprocal()


def _equal(
    formula: Formula,
    opposite: Formula | None,
    values: Callable[[Formula, Box], Interval],
    constant: Callable[[Exact], bool],
) -> Found:
    """Whether a function is constant, or (with an opposite) that of the other at 1 - p."""
    name = "gain" if values is _gain else "slope"
    exact = exact_of(formula)
    other = exact_of(opposite) if opposite is not None else None
    if opposite is None and exact is not None and constant(exact):
        return "proved", {"kind": "constant", "quantity": name}
    if exact is not None and other is not None and mirrored(exact, other, name):
        return "proved", {"kind": "mirrored", "quantity": name}
    places = [Box(side, float(x), float(x)) for x in _PLACES for side in ("p", "q")]
    first = places[0]
    for place in places:
        partner = place.mirrored() if opposite is not None else first
        a, b = values(formula, place), values(opposite or formula, partner)
        if a.lo > b.hi or a.hi < b.lo:
            compared = [[place.side, place.lo], [partner.side, partner.lo]]
            return "disproved", {"kind": "different", "quantity": name, "at": compared}
    return "undecided", {"kind": "none", "reason": f"no two places where the {name} surely differs"}


def mirrored(exact: Exact, other: Exact, name: str) -> bool:
    """Whether a gain, or slope, at q is that of another formula at 1 - q: as polynomials in q."""
    if not (exact.whole and other.whole):
        return False
    if name == "slope" and (exact.nll or other.nll):
        return False
    degree = 2 + max([0, *(int(e) for e in (*exact.powers, *other.powers))])
    for k in range(1, degree + 2):  # more points than the degree of either
        q = Fraction(k, degree + 2)
        a, b = exact.gain(q), other.gain(1 - q)
        if a is None or b is None:
            return False
        if (a != b) if name == "gain" else (a * q != b * (1 - q)):
            return False
    return True


def bound(formula: Formula, quantity: Quantity) -> Found:
    """The largest absolute value of the gain, or of the pull."""
    found = largest(_unmoved(formula) if quantity is PULL else formula, quantity)
    proof = {"kind": "bound", "quantity": quantity.name, **_bound(found)}
    if math.isfinite(found.upper):
        return "proved", proof
    if found.proved or found.lower == math.inf:
        return "disproved", proof
    return "undecided", {"kind": "none", "reason": f"no bound of the {quantity.name} was found"}


def _bound(found: Bound) -> Json:
    boxes = [[box.side, box.lo, box.hi] for box in found.boxes]
    lower = None if math.isinf(found.lower) else found.lower
    upper = None if math.isinf(found.upper) else found.upper
    return {"lower": lower, "upper": upper, "at": [found.at.side, found.at.lo, found.at.hi],
            "boxes": boxes}  # fmt: skip


def _widest(found: Signs, sign: str) -> Cell | None:
    """The widest piece of a sign; one of all of (0, 1) or inside it rather than an end."""
    cells = [cell for cell in found.cells if cell.sign == sign]
    return max(cells, key=lambda cell: cell.box.hi - cell.box.lo, default=None)


def _example(cell: Cell, quantity: Quantity) -> Json:
    """An interval well inside the piece, away from its ends and those of (0, 1)."""
    box = cell.box
    lo, hi = 0.875 * box.lo + 0.125 * box.hi, 0.125 * box.lo + 0.875 * box.hi
    inside = Box(box.side, lo, hi)
    if lo >= 0.5:
        inside = Box("p" if box.side == "q" else "q", 1.0 - hi, 1.0 - lo)
    elif hi > 0.5:
        inside = Box(box.side, lo, 0.5)
    found = Cell(inside, cell.sign, cell.values)
    return {"kind": "example", "quantity": quantity.name, "cell": written(found)}


def _unknown(what: str, found: Signs) -> Found:
    places = [_text(cell.box) for cell in found.cells if cell.sign in ("?", "-0", "+0")]
    return "undecided", {"kind": "none", "reason": f"{what} is not known for {places[0]}"}


def _text(box: Box) -> str:
    return f"{box.side} from {box.lo:.3g} to {box.hi:.3g}"


def properties_of(
    formula: Formula, opposite: Formula | None
) -> Iterator[tuple[str, Verdict, dict[str, Any]]]:
    """Every property; `opposite` is the term of the other outcome, with the sigmoid link."""
    never, falls = falling(formula)
    found = {
        "never_rises": never,
        "decreasing": falls,
        "order_preserving": order_preserving(formula, falls),
        "proper": proper(formula, opposite, falls),
        "bounded": bounded(formula),
        "symmetric": symmetric(formula, opposite),
        "gain": bound(formula, GAIN),
        "lipschitz": bound(formula, PULL),
        "convex_in_margin": convex_in_margin(formula),
    }
    for name, (verdict, proof) in found.items():
        yield name, verdict, proof
