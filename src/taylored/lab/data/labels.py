"""Class labels of any plain kind as the numbers 0 .. C-1."""

import re
from collections import Counter, defaultdict
from collections.abc import Sequence
from typing import Final

import numpy as np
import numpy.typing as npt

from taylored.lab.data.checks import some
from taylored.lab.data.errors import DataError

_WHOLE: Final = re.compile(r"-?(?:0|[1-9]\d*)")
_MOST_FRACTIONS: Final = 20
"""Distinct texts with fractions up to which they may be classes, as half stars are."""


def encode_labels(
    where: str, values: Sequence[object]
) -> tuple[npt.NDArray[np.int64], tuple[str, ...], tuple[str, ...]]:
    """Number the distinct values in ascending order; their texts are the names of the classes.

    Whole numbers (also stored as floats), booleans or text; one kind only. Text is taken as it
    stands, without blanks around it: "01" is not "1". `where` opens the error message. Returned
    last is what is to be said about texts that look alike.

    >>> encode_labels("labels", ["cat", "ant", " cat"])[:2]
    (array([1, 0, 1]), ('ant', 'cat'))
    """
    distinct = set(values)
    if all(isinstance(value, float) for value in distinct):
        fractions = [value for value in distinct if not float(str(value)).is_integer()]
        if fractions:
            raise DataError(
                f"{where} must be classes, but holds numbers with fractions or NaN such as "
                f"{some(sorted(map(str, fractions)))}. Cut a continuous target into classes first"
            )
        values = [int(float(str(value))) for value in values]
        distinct = set(values)
    kinds = {type(value) for value in distinct}
    if len(kinds) != 1 or not kinds <= {int, bool, str}:
        raise DataError(
            f"{where} must hold whole numbers or text, one kind only, "
            f"got {some(sorted(kind.__name__ for kind in kinds)) or 'nothing'}"
        )
    if kinds == {str}:
        texts = [str(value).strip() for value in values]
        notes = alike(where, [str(value) for value in values])
        values, distinct = list(texts), set(texts)
        _refuse_fractions(where, set(texts))
        if all(map(_WHOLE.fullmatch, texts)):
            ordered: list[object] = [*sorted(set(texts), key=int)]
            return *_numbered(texts, ordered), notes
    else:
        notes = ()
    ordered = sorted(distinct)  # type: ignore[type-var]  # one kind, checked above
    return *_numbered(values, ordered), notes


def _numbered(
    values: Sequence[object], ordered: Sequence[object]
) -> tuple[npt.NDArray[np.int64], tuple[str, ...]]:
    number = {value: index for index, value in enumerate(ordered)}
    labels = np.array([number[value] for value in values], dtype=np.int64)
    return labels, tuple(str(value) for value in ordered)


def _refuse_fractions(where: str, texts: set[str]) -> None:
    """A continuous target, read as text, would be one class per row."""
    fractions = sorted(text for text in texts if _is_fraction(text))
    if len(fractions) > _MOST_FRACTIONS:
        raise DataError(
            f"{where} must be classes, but holds {len(fractions):,} different numbers with "
            f"fractions such as {some(fractions)}. Cut a continuous target into classes first"
        )


def _is_fraction(text: str) -> bool:
    try:
        return not float(text.replace(",", ".")).is_integer()
    except (ValueError, OverflowError):
        return False


def alike(where: str, texts: Sequence[str]) -> tuple[str, ...]:
    """Notes on texts that become one by stripping, and on those that differ by case or zeros."""
    notes = []
    counts = Counter(texts)
    padded = sorted(text for text in counts if text != text.strip())
    joined = [text for text in padded if text.strip() in counts]
    if joined:
        notes.append(f"{where}: blanks around {some([repr(text) for text in joined])} removed")
    alike = defaultdict(set)
    for text in {text.strip() for text in counts}:
        alike[_folded(text)].add(text)
    pairs = [" and ".join(map(repr, sorted(group))) for group in alike.values() if len(group) > 1]
    if pairs:
        notes.append(f"Warning: {where}: {some(sorted(pairs))} are different classes")
    return tuple(notes)


def _folded(text: str) -> str:
    try:
        return f"{float(text):g}"
    except ValueError:
        return " ".join(text.casefold().split())
