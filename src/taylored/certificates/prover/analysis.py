"""What is known about the sign of a quantity on (0, 1), and by which of three methods."""

from __future__ import annotations

from dataclasses import dataclass
from fractions import Fraction
from typing import Any

from taylored.certificates.enclosure.box import Box
from taylored.certificates.enclosure.interval import ZERO, Interval
from taylored.certificates.formula import Formula
from taylored.certificates.prover.coefficients import coefficients_of
from taylored.certificates.prover.exact import exact_of, polynomial_of
from taylored.certificates.prover.quantities import CURVATURE, GAIN, Quantity
from taylored.certificates.prover.signs import Cell, classify
from taylored.certificates.prover.sturm import SturmProof, signs_of

Json = dict[str, Any]
"""A proof as it is written: numbers, strings, lists and mappings of them."""


@dataclass(frozen=True)
class Signs:
    """Pieces with a sign that cover (0, 1), and the proof of it.

    `exact` says that "+0" is a sign of isolated zeros, so that a primitive still grows there.
    """

    cells: tuple[Cell, ...]
    proof: Json
    exact: bool

    def has(self, *signs: str) -> bool:
        """Whether a piece has one of these signs."""
        return any(cell.sign in signs for cell in self.cells)


def signs(formula: Formula, quantity: Quantity) -> Signs:
    """The first method that decides: coefficients, Sturm's theorem, intervals."""
    if quantity in (GAIN, CURVATURE):
        found = coefficients_of(formula)
        if found is not None and (found.falls if quantity is GAIN else found.convex):
            whole = Cell(Box("q", 0.0, 1.0), "+", Interval(0.0, 0.0))
            lowest = [[str(e), str(c)] for e, c in sorted(found.lowest.items())]
            proof = {"kind": "coefficients", "quantity": quantity.name, "lowest": lowest,
                     "highest": str(found.highest)}  # fmt: skip
            return Signs((whole,), proof, exact=True)
    exact = exact_of(formula)
    polynomial = polynomial_of(exact, quantity.name) if exact is not None else None
    if polynomial is not None:
        by_sturm = _by_sturm(*polynomial, quantity)
        if by_sturm is not None:
            return by_sturm
    cells = classify(formula, quantity)
    pieces = [written(cell) for cell in cells]
    return Signs(cells, {"kind": "pieces", "quantity": quantity.name, "cells": pieces}, exact=False)


def written(cell: Cell) -> list[Any]:
    """A piece in a proof: coordinate, from, to, sign, enclosure of the values."""
    box = cell.box
    return [box.side, box.lo, box.hi, cell.sign, cell.values.lo, cell.values.hi]


def _by_sturm(d: int, coefficients: list[Fraction], quantity: Quantity) -> Signs | None:
    if not any(coefficients):
        cell = Cell(Box("q", 0.0, 1.0), "0", ZERO)
        return Signs((cell,), {"kind": "zero", "quantity": quantity.name}, exact=True)
    found = signs_of(coefficients)
    if found is None or len(found.polynomial) > 24:  # the chain would be long to write down
        return None
    cells = []
    for i, roots in enumerate(found.roots):
        low, high = found.signs[i], found.signs[i + 1]
        sign = "+" if low > 0 else "-"
        if roots:
            sign = "?" if low != high else sign + "0"
        at = [float(found.cuts[i]) ** d, float(found.cuts[i + 1]) ** d]
        cells.append(Cell(Box("q", *at), sign, ZERO))  # type: ignore[arg-type]
    return Signs(tuple(reversed(cells)), _sturm_proof(d, found, quantity), exact=True)


def _sturm_proof(d: int, found: SturmProof, quantity: Quantity) -> Json:
    return {
        "kind": "sturm",
        "quantity": quantity.name,
        "root": d,
        "polynomial": [str(c) for c in found.polynomial],
        "chain": [[str(c) for c in each] for each in found.chain],
        "cuts": [str(x) for x in found.cuts],
        "signs": found.signs,
        "roots": found.roots,
    }
