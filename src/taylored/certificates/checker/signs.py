"""The proofs of a sign on all of (0, 1), each followed step by step."""

from __future__ import annotations

import itertools
from collections.abc import Sequence
from fractions import Fraction
from typing import Any

from taylored.certificates.checker import polynomials
from taylored.certificates.checker.coefficients import series
from taylored.certificates.checker.quantities import has_sign, on_box
from taylored.certificates.checker.terms import Node

Json = dict[str, Any]


class RefusedError(ValueError):
    """A proof that does not prove what it should."""


def demand(condition: bool, reason: str) -> None:
    """Refuse unless."""
    if not condition:
        raise RefusedError(reason)


def never_negative(node: Node, quantity: str, proof: Json, strictly: bool) -> None:
    """Follow the proof that a quantity is >= 0; with `strictly` that it vanishes on no interval."""
    demand(proof.get("quantity") == quantity, f"the proof is not about the {quantity}")
    match proof["kind"]:
        case "coefficients":
            _by_coefficients(node, quantity, proof)
        case "sturm":
            signs = _by_sturm(node, quantity, proof)
            demand(all(sign > 0 for sign in signs), f"the {quantity} is negative somewhere")
        case "pieces":
            allowed = ("+",) if strictly else ("+", "+0", "0")
            demand(all(cell[3] in allowed for cell in proof["cells"]), "a piece has another sign")
            pieces(node, quantity, proof)
        case "zero":
            demand(not strictly, f"a {quantity} that is 0 is not positive")
            demand(not polynomials.numerator(node, quantity), f"the {quantity} is not 0")
        case kind:
            raise RefusedError(f"{kind!r} proves no sign")


def _by_coefficients(node: Node, quantity: str, proof: Json) -> None:
    highest = Fraction(proof["highest"])
    demand(2 <= highest <= 64, "too few or too many coefficients are written down")
    found = series(node, highest)
    demand(all(c >= 0 for e, c in found.powers.items() if e), "a coefficient is negative")
    claimed = {Fraction(e): Fraction(c) for e, c in proof["lowest"]}
    here = {e: c for e, c in found.powers.items() if c and e <= highest}
    demand(claimed == here, "the coefficients are others")
    if quantity == "gain":
        demand(any(e > 0 for e in here), "no power of q is there")
        return
    demand(quantity == "curvature", f"coefficients say nothing about the {quantity}")
    demand(all(e == 0 or e >= 1 for e in here), "a power of q below 1 is concave")
    demand(any(e > 1 for e in here), "no power of q is curved")


def _by_sturm(node: Node, quantity: str, proof: Json) -> list[int]:
    f = polynomials.in_root(polynomials.numerator(node, quantity), int(proof["root"]))
    chain = [[Fraction(c) for c in each] for each in proof["chain"]]
    reduced = [Fraction(c) for c in proof["polynomial"]]
    demand(bool(reduced) and chain[0] == reduced, "the chain begins with another polynomial")
    while f and not f[0]:
        f = f[1:]
    whole = reduced
    while len(whole) < len(f):
        whole = polynomials.product(whole, [Fraction(1), Fraction(-1)])
    demand(polynomials.is_positive_multiple(f, whole), "the polynomial is not that of the term")
    _follow(chain)
    cuts = [Fraction(x) for x in proof["cuts"]]
    demand(cuts[0] == 0 and cuts[-1] == 1 and cuts == sorted(set(cuts)), "the cuts do not cover")
    values = [polynomials.at(reduced, x) for x in cuts]
    demand(all(values), "a cut is a root")
    signs = [1 if value > 0 else -1 for value in values]
    demand(signs == proof["signs"], "a sign is another")
    counts = [polynomials.variations(chain, x) for x in cuts]
    roots = [a - b for a, b in itertools.pairwise(counts)]
    demand(roots == proof["roots"], "the roots are others")
    demand(all(count <= 1 for count in roots), "two roots are not separated")
    return signs


def _follow(chain: Sequence[Sequence[Fraction]]) -> None:
    if len(chain) == 1:
        demand(len(chain[0]) == 1, "the chain has no derivative")
        return
    derivative = [j * c for j, c in enumerate(chain[0])][1:]
    demand(polynomials.is_positive_multiple(chain[1], derivative), "the derivative is another")
    for before, here, after in zip(chain, chain[1:], [*chain[2:], []], strict=False):
        rest = [-c for c in polynomials.remainder(before, here)]
        demand(polynomials.is_positive_multiple(after, rest), "a remainder is another")


def pieces(node: Node, quantity: str, proof: Json) -> None:
    """Follow all pieces: that they cover (0, 1), and the sign of each that claims one."""
    cells = proof["cells"]
    covers([(cell[0], cell[1], cell[2]) for cell in cells])
    for side, low, high, sign, least, most in cells:
        if sign == "?":
            continue
        said = {"+": least > 0, "-": most < 0, "+0": least >= 0, "-0": most <= 0,
                "0": least == 0 == most}  # fmt: skip
        demand(said[sign], "an enclosure does not have the sign of its piece")
        demand(has_sign(node, quantity, side, low, high, sign), _where(side, low, high))
        if low > 0:
            middle = 0.5 * (low + high)
            value = on_box(node, quantity, side, middle, middle)
            demand(value.b >= least and value.a <= most, "an enclosure misses its values")


def _where(side: str, low: float, high: float) -> str:
    return f"the sign for {side} from {low:.4g} to {high:.4g} was not confirmed"


def covers(boxes: Sequence[tuple[str, float, float]]) -> None:
    """Refuse boxes of p and of q that leave something of (0, 1) out."""
    demand(all(side in ("p", "q") for side, _, _ in boxes), "a piece is of no coordinate")
    if any(side == "q" and (low, high) == (0.0, 1.0) for side, low, high in boxes):
        raise RefusedError("a piece reaches from one end to the other")
    for side in ("p", "q"):
        reached = 0.0
        for low, high in sorted((low, high) for s, low, high in boxes if s == side):
            demand(low <= reached, f"nothing is said about {side} from {reached:.4g} to {low:.4g}")
            reached = max(reached, high)
        demand(reached >= 0.5, f"nothing is said about {side} from {reached:.4g} to 0.5")
