"""A term at log odds that are lower by a margin, so that the truth has to win by it."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

import torch
from torch import Tensor

from taylored.core.checks import fail
from taylored.core.numerics import SignedLog, tensor_of
from taylored.core.terms.point import Point
from taylored.core.terms.power_series import Series
from taylored.core.terms.term import Pick, Term
from taylored.core.written import literal


@dataclass(frozen=True, eq=False, repr=False)
class Shifted(Term):
    """phi(sigmoid(x - m)) with p = sigmoid(x).

    The margin moves the log odds of the truth and nothing else, so that the loss still is a
    function of p_t alone.
    """

    term: Term
    margin: float | Tensor

    def evaluate(self, at: Point) -> Tensor:
        """The value at the moved point."""
        return self.term.evaluate(self._moved(at))

    def evaluate_with_slope(self, at: Point) -> tuple[Tensor, Tensor]:
        """Value and slope at the moved point: both are functions of the log odds."""
        return self.term.evaluate_with_slope(self._moved(at))

    def logarithms(self, at: Point) -> tuple[SignedLog, SignedLog]:
        """Those at the moved point."""
        return self.term.logarithms(self._moved(at))

    def _moved(self, at: Point) -> Point:
        return Point(at.margin - self.margin)

    def bind(self, pick: Pick) -> Term:
        """With the margin of each position's class, and the inner term bound."""
        margin = pick(self.margin) if isinstance(self.margin, Tensor) else self.margin
        return Shifted(self.term.bind(pick), margin)

    def parameters(self) -> tuple[Tensor, ...]:
        """The margins, where there is one per class, and those of the inner term."""
        own = (self.margin,) if isinstance(self.margin, Tensor) else ()
        return (*own, *self.term.parameters())

    def series(self, order: int) -> Series:
        """None: its series has a radius of e^-m and says nothing about usual p_t."""
        fail("term", "one with a power series in 1 - p_t", repr(self), "use that of the inner term")

    def __repr__(self) -> str:
        return f"shifted({self.term!r}, {literal(self.margin)})"

    def __str__(self) -> str:
        margin = "m" if isinstance(self.margin, Tensor) else f"{self.margin:g}"
        return f"[{self.term!s} at log(p/(1-p)) - {margin}]"


def shifted(term: Term, margin: float | Sequence[float] | Tensor) -> Term:
    """A term whose truth has to win by a margin in the logits; one number, or one per class.

    Args:
        term: any term.
        margin: what is taken off the log odds of the truth; raising it raises the loss of samples
            that are right by less.

    Example:
        >>> from taylored import terms
        >>> harder = terms.shifted(terms.nll, 1.0)
        >>> round(harder.value(0.5).item(), 4), round(terms.nll.value(0.5).item(), 4)
        (1.3133, 0.6931)
    """
    if not isinstance(margin, (int, float, Tensor)):
        margin = tensor_of(margin, torch.float64)
    return Shifted(term, margin)
