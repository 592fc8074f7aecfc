"""How numbers and names are written: the same in table, report and verdict."""

from __future__ import annotations

import unicodedata
from collections.abc import Sequence

MISSING = "\N{EN DASH}"
"""Stands in tables for a number that does not exist."""


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


def typeset(numbers: str) -> str:
    """Numbers with a minus sign in place of the hyphen."""
    return numbers.replace("-", "\N{MINUS SIGN}")


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


def escaped(text: str) -> str:
    r"""A message, safe to print on a terminal: what `printable` replaces is written as an escape.

    Line breaks stay. Unlike U+FFFD, an escape says which character it was.

    Example:
        >>> escaped("no file " + chr(27) + "[31m.csv")
        'no file \\x1b[31m.csv'
    """
    return "".join(_as_escape(c) if c != "\n" and _unsafe(c) else c for c in text)


def _as_escape(character: str) -> str:
    return (
        character.encode("ascii", "backslashreplace").decode()
        if ord(character) > 127
        else (f"\\x{ord(character):02x}")
    )


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
