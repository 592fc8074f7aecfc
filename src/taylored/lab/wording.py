"""How the lab's numbers are named, scaled and written: the same in table, report and verdict."""

from __future__ import annotations

import math
import unicodedata
from collections.abc import Sequence
from dataclasses import dataclass

MISSING = "\N{EN DASH}"
"""Stands in tables for a number that does not exist."""


@dataclass(frozen=True)
class Metric:
    """One reported number: its key in the results, its names, and how it is written.

    Accuracies and the calibration error are shown in percent (``scale`` 100), their differences in
    percentage points; ``direction`` is +1 where more is better and -1 where less is.
    """

    key: str
    label: str
    short: str
    scale: int
    digits: int
    direction: int

    def value(self, number: float | None) -> str:
        """Text of a value, for instance ``"61.2"`` for an accuracy of 0.612."""
        return MISSING if number is None else f"{number * self.scale:.{self.digits}f}"

    def difference(self, number: float | None) -> str:
        """Text of a difference with its sign, without unit."""
        if number is None:
            return MISSING
        rounded = round(number * self.scale, self.digits)
        # A plain format would write "-0.0" for a tiny negative number.
        return f"{rounded + 0.0:+.{self.digits}f}" if rounded else f"{0.0:.{self.digits}f}"

    def points(self, number: float | None) -> str:
        """Text of a difference with its sign and unit."""
        return MISSING if number is None else self.difference(number) + self.unit

    @property
    def unit(self) -> str:
        """`" points"` for percentages, nothing for the rest."""
        return " points" if self.scale == 100 else ""


def _by_key(*metrics: Metric) -> dict[str, Metric]:
    return {metric.key: metric for metric in metrics}


METRICS: dict[str, Metric] = _by_key(
    Metric("balanced_accuracy", "balanced accuracy", "balanced", 100, 1, +1),
    Metric("accuracy", "overall accuracy", "overall", 100, 1, +1),
    Metric("head", "head accuracy", "head", 100, 1, +1),
    Metric("medium", "medium accuracy", "medium", 100, 1, +1),
    Metric("tail", "tail accuracy", "tail", 100, 1, +1),
    Metric("nll", "negative log-likelihood", "NLL", 1, 3, -1),
    Metric("ece", "calibration error", "ECE", 100, 1, -1),
)
"""The metrics of one class per sample by key, in the order in which tables show them."""

MULTI_LABEL_METRICS: dict[str, Metric] = _by_key(
    Metric("mean_average_precision", "mean average precision", "mAP", 100, 1, +1),
    Metric("micro_average_precision", "micro average precision", "micro", 100, 1, +1),
    Metric("head", "head average precision", "head", 100, 1, +1),
    Metric("medium", "medium average precision", "medium", 100, 1, +1),
    Metric("tail", "tail average precision", "tail", 100, 1, +1),
    # Most elements are clear negatives, so both are small numbers.
    Metric("nll", "binary negative log-likelihood", "NLL", 1, 4, -1),
    Metric("ece", "calibration error", "ECE", 100, 2, -1),
)
"""The same for many labels per sample."""


def p_text(p: float | None) -> str:
    """A p-value as people write it: three digits, and ``< 0.001`` below that.

    Example:
        >>> p_text(0.0312), p_text(0.00002)
        ('0.031', '< 0.001')
    """
    if p is None:
        return MISSING
    return "< 0.001" if p < 0.001 else f"{p:.3f}"


def p_clause(p: float | None) -> str:
    """A p-value inside a sentence: ``p = 0.031`` or ``p < 0.001``."""
    text = p_text(p)
    return f"p {text}" if text.startswith("<") else f"p = {text}"


def join(names: Sequence[str]) -> str:
    """Names as a list in a sentence: ``a, b and c``."""
    if len(names) < 2:
        return "".join(names)
    return f"{', '.join(names[:-1])} and {names[-1]}"


def plural_of(noun: str) -> str:
    """``seeds``, ``losses``, ``classes``."""
    return f"{noun}{'es' if noun.endswith('s') else 's'}"


def plural(count: int, noun: str) -> str:
    """``1 seed``, ``5 seeds``, ``2 losses``, ``3 classes``."""
    return f"{count} {noun if count == 1 else plural_of(noun)}"


def printable(text: str) -> str:
    """Text from data, safe to show: control and bidirectional-override characters become U+FFFD.

    They could move a terminal's cursor, reverse the reading order of a line, or make an SVG
    unreadable; every other script passes unchanged.

    Example:
        >>> printable("tail" + chr(27) + "[31m") == "tail" + chr(0xFFFD) + "[31m"
        True
    """
    return "".join("\ufffd" if _unsafe(c) else c for c in text)


def _unsafe(character: str) -> bool:
    code = ord(character)
    # Joiners (also category Cf) stay: Persian, Indic scripts and emoji are spelled with them.
    bidirectional = 0x202A <= code <= 0x202E or 0x2066 <= code <= 0x2069
    noncharacter = code & 0xFFFE == 0xFFFE
    return (
        bidirectional or noncharacter or unicodedata.category(character) in {"Cc", "Cs", "Zl", "Zp"}
    )


def shorten(text: str, width: int) -> str:
    """Text of at most ``width`` characters, with the middle left out when it is longer.

    Example:
        >>> shorten("class_balanced(focal(gamma=2))", 20)
        'class_bala…gamma=2))'
    """
    if len(text) <= width:
        return text
    tail = (width - 1) // 2
    return f"{text[: width - 1 - tail]}…{text[len(text) - tail :]}"


def finite(number: object) -> float | None:
    """The number as a float, or None for a missing or non-finite one."""
    if isinstance(number, bool) or not isinstance(number, int | float):
        return None
    return float(number) if math.isfinite(number) else None
