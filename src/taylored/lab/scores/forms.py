"""The forms in which decisions and scores come, all brought to scores (repeats, rows, classes)."""

from collections.abc import Mapping
from typing import Any, Literal

import numpy as np
import numpy.typing as npt

from taylored.lab.data.labels import encode_labels
from taylored.lab.errors import UsageError

Form = Literal["logits", "predictions", "correctness", "numbers"]
Numbers = npt.NDArray[Any]
Truth = npt.NDArray[np.int64] | npt.NDArray[np.int8]
Shaped = tuple[Form, dict[str, Numbers], Truth]

_MIXED = (
    "scores: give the same kind for every loss: whether it was right (booleans), predicted classes "
    "(integers or names), or logits (rows, classes)."
)


def shaped_scores(arrays: Mapping[str, Numbers], truth: Numbers | None) -> Shaped:
    """The form, scores (R, N, C) by loss, and the labels as class numbers or 0 and 1."""
    if all(array.dtype == np.bool_ for array in arrays.values()):
        return _correctness(arrays, truth)
    if any(array.dtype == np.bool_ for array in arrays.values()):
        raise UsageError(_MIXED)
    assert truth is not None  # noqa: S101 - without labels there are booleans, or no rows at all
    if truth.ndim == 2:
        return _many_labels(arrays, truth)
    if truth.ndim != 1:
        raise UsageError(f"labels must be (rows,) or (rows, labels), got shape {truth.shape}.")
    kinds = {_are_predictions(name, array, len(truth)) for name, array in arrays.items()}
    if len(kinds) > 1:
        raise UsageError(_MIXED)
    return _predictions(arrays, truth) if kinds == {True} else _logits(arrays, truth)


def _are_predictions(name: str, array: Numbers, rows: int) -> bool:
    discrete = array.dtype.kind in "iuU"
    if discrete and array.ndim <= 2 and array.shape[-1] == rows:
        return True
    if array.ndim in (2, 3) and array.shape[-2] == rows and array.dtype.kind != "U":
        return False
    if array.shape[-1] == rows:
        raise UsageError(
            f"scores[{name!r}] holds one number with decimals per row. Predicted classes are "
            "integers: .astype(int). For two classes, give logits (rows, 2), such as "
            "numpy.stack([0 * score, score], axis=1)."
        )
    raise UsageError(
        f"scores[{name!r}] must be (rows,) or (repeats, rows) predictions, or (rows, classes) or "
        f"(repeats, rows, classes) logits of the {rows} rows that have labels, got {array.shape}."
    )


def _correctness(arrays: Mapping[str, Numbers], labels: Numbers | None) -> Shaped:
    rows = next(iter(arrays.values())).shape[-1]
    truth: npt.NDArray[np.int64] = np.zeros(rows, dtype=np.int64)
    classes = 2
    if labels is not None:
        if labels.shape != (rows,):
            raise UsageError(
                f"labels must be ({rows},), one class per row of the scores, got {labels.shape}."
            )
        truth, names = _encoded(labels)
        classes = len(names)
    shaped = {}
    for name, array in arrays.items():
        if array.ndim > 2 or array.shape[-1] != rows:
            raise UsageError(
                f"scores[{name!r}] must be ({rows},) or (repeats, {rows}) booleans, as the losses "
                f"are compared on the same rows, got {array.shape}."
            )
        # Which class is taken instead of the right one is not known, and does not count.
        taken = np.where(np.atleast_2d(array), truth, (truth + 1) % classes)
        shaped[name] = _one_hot(taken, classes)
    return "correctness", shaped, truth


def _predictions(arrays: Mapping[str, Numbers], labels: Numbers) -> Shaped:
    if labels.dtype.kind == "f" and (labels == np.floor(labels)).all():
        labels = labels.astype(np.int64)
    everything = np.concatenate(
        [labels.astype(str), *(array.astype(str).ravel() for array in arrays.values())]
    )
    numbers, names = _encoded(everything)
    truth, shaped, start = numbers[: len(labels)], {}, len(labels)
    for name, array in arrays.items():
        taken = numbers[start : start + array.size].reshape(np.atleast_2d(array).shape)
        start += array.size
        shaped[name] = _one_hot(taken, len(names))
    return "predictions", shaped, truth


def _logits(arrays: Mapping[str, Numbers], labels: Numbers) -> Shaped:
    classes = next(iter(arrays.values())).shape[-1]
    if labels.dtype.kind in "iu":
        truth = labels.astype(np.int64)
        if truth.min() < 0 or truth.max() >= classes:
            raise UsageError(
                f"labels must be positions in the {classes} columns of the logits, 0 .. "
                f"{classes - 1}, got {truth.min()} .. {truth.max()}."
            )
    else:
        truth, names = _encoded(labels)
        if len(names) != classes:
            raise UsageError(
                f"labels: {len(names)} class names for {classes} columns of logits. Give the "
                "position of the column of each row's class."
            )
    return "logits", {name: _with_repeats(array) for name, array in arrays.items()}, truth


def _many_labels(arrays: Mapping[str, Numbers], truth: Numbers) -> Shaped:
    if not np.isin(truth, (0, 1)).all():
        raise UsageError("labels of shape (rows, labels) must hold 0 and 1 only.")
    for name, array in arrays.items():
        if array.shape[-2:] != truth.shape or array.ndim > 3:
            raise UsageError(
                f"scores[{name!r}] must be logits of shape {truth.shape}, one per row and label, "
                f"or (repeats, ...) of these, got {array.shape}."
            )
    shaped = {name: _with_repeats(array) for name, array in arrays.items()}
    return "logits", shaped, truth.astype(np.int8)


def _with_repeats(array: Numbers) -> Numbers:
    wide = array.astype(np.float32)
    return wide[None] if wide.ndim == 2 else wide


def _encoded(values: Numbers) -> tuple[npt.NDArray[np.int64], tuple[str, ...]]:
    if values.dtype.kind == "f" and (values == np.floor(values)).all():
        values = values.astype(np.int64)
    numbers, names, _ = encode_labels("labels", values.tolist())
    return numbers, names


def _one_hot(taken: npt.NDArray[np.int64], classes: int) -> Numbers:
    return np.eye(classes, dtype=np.float32)[taken]
