"""A check: one question about a loss."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from dataclasses import dataclass

from taylored.doctor.finding import Finding
from taylored.doctor.patient import Patient


@dataclass(frozen=True)
class Check:
    """One question about a loss.

    Attributes:
        name: of the check.
        asks: the question.
        diagnoses: names of the findings that it can give.
        run: asks it.
    """

    name: str
    asks: str
    diagnoses: tuple[str, ...]
    run: Callable[[Patient], Iterator[Finding]]
