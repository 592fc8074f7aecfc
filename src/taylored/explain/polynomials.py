"""A loss as a series in q = 1 - p_t: coefficients, partial sums, what is left after them."""

from __future__ import annotations

from dataclasses import asdict, dataclass
from typing import Any

import torch

from taylored.core.terms.term import Term
from taylored.modules.classification import ClassificationLoss

_AT = (0.1, 0.3, 0.5, 0.9)
_KEPT = (1, 2, 4, 8, 16)
_SHOWN = 8
_LONGEST = 400
"""Terms that are tried at most."""


@dataclass(frozen=True)
class Polynomials:
    """The power series of a loss.

    Args:
        term: the loss as a function of p_t.
        exponents: of the lowest powers of q.
        coefficients: theirs.
        p: where sums and remainders are given.
        value: the loss at each p.
        sums: after so many terms, the partial sum at each p.
        remainders: the loss minus these.
        needed: for an error and a smallest p_t, how many terms keep within it; None beyond 400.
        first: share of the first polynomial in the gradient at each p.

    """

    term: str
    exponents: tuple[float, ...]
    coefficients: tuple[float, ...]
    p: tuple[float, ...]
    value: tuple[float, ...]
    sums: dict[int, tuple[float, ...]]
    remainders: dict[int, tuple[float, ...]]
    needed: tuple[tuple[float, float, int | None], ...]
    first: tuple[float, ...]

    def to_dict(self) -> dict[str, Any]:
        """Plain numbers and lists."""
        return asdict(self)


def polynomials_of(loss: object) -> Polynomials | None:
    """The series of a loss; None for one that is no function of p_t, or has no series."""
    if not isinstance(loss, ClassificationLoss) or not loss.has_term:
        return None
    term = loss.term
    if term.parameters():  # one value per class: no single series
        return None
    try:
        series = term.series(_LONGEST)
    except ValueError:
        return None
    if not series.exponents:
        return None
    p = torch.tensor(_AT, dtype=torch.float64)
    value, gain = term.value(p), term.gain(p)
    powers = torch.tensor(series.exponents, dtype=p.dtype)
    each = torch.tensor(series.coefficients, dtype=p.dtype) * (1 - p).unsqueeze(1) ** powers
    sums = each.cumsum(1)
    kept = [n for n in _KEPT if n <= len(series)]
    # The gain of q^e is e p q^(e - 1): the constant, if there is one, has no gradient.
    leading = next((i for i, e in enumerate(series.exponents) if e > 0), 0)
    e, c = series.exponents[leading], series.coefficients[leading]
    first = c * e * p * (1 - p) ** (e - 1)
    needed = [
        (error, low, _needed(term, series.exponents, series.coefficients, error, low))
        for error in (0.1, 0.01)
        for low in (0.5, 0.1)
    ]
    return Polynomials(
        term=repr(term),
        exponents=series.exponents[:_SHOWN],
        coefficients=series.coefficients[:_SHOWN],
        p=_AT,
        value=tuple(value.tolist()),
        sums={n: tuple(sums[:, n - 1].tolist()) for n in kept},
        remainders={n: tuple((value - sums[:, n - 1]).tolist()) for n in kept},
        needed=tuple(needed),
        first=tuple((first / gain).nan_to_num(0.0, 0.0, 0.0).tolist()),
    )


def _needed(
    term: Term,
    exponents: tuple[float, ...],
    coefficients: tuple[float, ...],
    error: float,
    low: float,
) -> int | None:
    """The fewest terms whose sum is within the error of the loss for every p_t from `low` on."""
    p = torch.linspace(low, 1.0, 65, dtype=torch.float64)[:-1]
    powers = torch.tensor(exponents, dtype=p.dtype)
    each = torch.tensor(coefficients, dtype=p.dtype) * (1 - p).unsqueeze(1) ** powers
    left = (term.value(p).unsqueeze(1) - each.cumsum(1)).abs().amax(0)
    good = left <= error
    return int(good.int().argmax()) + 1 if bool(good.any()) else None
