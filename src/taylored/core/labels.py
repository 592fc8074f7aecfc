"""Numbers that are given by class label: brought into the order of the classes."""

from __future__ import annotations

from collections.abc import Hashable, Mapping, Sequence
from numbers import Integral, Real
from typing import Any, NoReturn, Protocol, runtime_checkable

from torch import Tensor

from taylored.core.checks import fail


@runtime_checkable
class Array(Protocol):
    """What numpy, and libraries like it, can make an array of: arrays and series."""

    def __array__(self) -> Any:
        """The numbers as an array."""
        ...


@runtime_checkable
class Indexed(Protocol):
    """Numbers with a label each, such as a pandas Series."""

    index: Any

    def to_dict(self) -> Any:
        """The number of each label."""
        ...


PerClass = Tensor | Sequence[float] | Mapping[int, float] | Array
"""One number per class: in the order of the classes, or by class label."""

_PLAIN = (Tensor, list, tuple, int, float, str, type(None))
"""What has no labels, told quickly: functions ask at every call."""

_MOST_CLASSES = 2**31


def in_class_order(name: str, given: Any, *, gaps: bool, classes: int | None = None) -> Any:
    """Numbers with integer labels in the order 0, 1, ..., as a list; anything else as it is.

    Args:
        name: of the argument, for error messages.
        given: what the caller gave. The order of a mapping or of a series says nothing:
            `pandas.value_counts` and `Counter.most_common` put the most frequent class first.
        gaps: whether a label that is missing stands for 0, as in counts; else it is refused.
        classes: how many there are, where that is known; else one more than the largest label.
    """
    if isinstance(given, _PLAIN):
        return given
    found = labelled(name, given)
    if found is None:
        # Asked for here, because torch itself takes arrays of numpy and no other library's.
        return given.__array__() if isinstance(given, Array) else given
    _check_labels(name, found)
    size = max(found) + 1 if classes is None else max(classes, max(found) + 1)
    missing = next((label for label in range(size) if label not in found), None)
    if missing is not None and not gaps:
        fail(name, "a number for every class", f"none for class {missing}", "add it")
    return [found.get(label, 0) for label in range(size)]


def labelled(name: str, given: object) -> Mapping[Any, Any] | None:
    """The numbers by label; None if they have no labels."""
    if isinstance(given, Mapping):
        found: Mapping[Any, Any] = given
    elif isinstance(given, Indexed):
        if getattr(given, "ndim", 1) != 1:
            kind = type(given).__name__
            fail(name, "one number per label", f"a {kind} of 2 axes", "pass one of its columns")
        found = given.to_dict()
        if len(found) != len(given.index):
            fix = f"add them up first: {name}.groupby(level=0).sum()"
            fail(name, "one number per label", "a label twice", fix)
    else:
        return None
    if not found:
        fail(name, "one number per class", "none", "use taylored.class_counts(targets)")
    wrong = next((value for value in found.values() if not _is_number(value)), None)
    if wrong is not None:
        fail(name, "a number for every label", repr(wrong), "give one number per class")
    return found


def _check_labels(name: str, found: Mapping[Any, Any]) -> None:
    for label in found:
        if isinstance(label, bool) or not isinstance(label, Integral):
            _refuse_label(name, label)
        if not 0 <= int(label) < _MOST_CLASSES:
            fix = f"leave it out: {{k: v for k, v in {name}.items() if k >= 0}}"
            fail(name, "labelled by the classes 0, 1, ...", f"the label {label}", fix)


def _refuse_label(name: str, label: object) -> NoReturn:
    expected = "labelled by the classes 0, 1, ... as whole numbers"
    if isinstance(label, Real) and not isinstance(label, bool):
        fix = f"relabel: {{int(k): v for k, v in {name}.items()}}"
    elif name == "counts":
        fix = "counts=taylored.class_counts(dict(counts), classes=[names in the order of columns])"
    else:
        fix = f"give a list in the order of the model's columns: [{name}[k] for k in classes]"
    fail(name, expected, f"the label {label!r}", fix)


def positions_of(classes: Sequence[Hashable]) -> dict[Hashable, int]:
    """The column of each class name."""
    if isinstance(classes, (str, bytes)):
        fail("classes", "a sequence of names", repr(classes), "give a list")
    found = {name: column for column, name in enumerate(classes)}
    if len(found) != len(classes) or not found:
        got = f"{len(classes)} names, {len(found)} of them different"
        fail("classes", "one name per column, each once", got, "list every class once")
    return found


def _is_number(value: object) -> bool:
    return isinstance(value, Real) and not isinstance(value, bool)
