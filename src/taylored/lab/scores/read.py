"""Scores as they are given: what each loss said about the same rows, or one number per training."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np
import numpy.typing as npt
import torch

from taylored.lab.errors import UsageError
from taylored.lab.measures import Tested
from taylored.lab.scores.forms import Form, Numbers, shaped_scores


@dataclass(frozen=True, eq=False)
class Read:
    """What was given, checked.

    ``tested`` has one entry per loss, with scores of 0 and 1 where only decisions are known; it is
    empty where ``numbers`` has one array (R,) per loss.
    """

    form: Form
    tested: Mapping[str, Tested]
    numbers: Mapping[str, Numbers]
    folds_given: bool = False

    @property
    def names(self) -> tuple[str, ...]:
        """The losses, in the order in which they were given."""
        return tuple(self.numbers or self.tested)

    @property
    def tested_logits(self) -> bool:
        """Whether scores of all classes are there, and not only decisions."""
        return self.form == "logits"


def read_scores(scores: object, labels: object, folds: object) -> Read:
    """Check what was given and tell what it is."""
    arrays = _arrays(scores)
    if labels is None and not any(array.dtype == np.bool_ for array in arrays.values()):
        return Read("numbers", {}, _numbers(arrays, folds))
    form, shaped, truth = shaped_scores(
        arrays, None if labels is None else _array("labels", labels)
    )
    shapes = {name: array.shape for name, array in shaped.items()}
    first, expected = next(iter(shapes.items()))
    for name, shape in shapes.items():
        if shape != expected:
            raise UsageError(
                f"scores: the losses must be paired, with the same rows and repeats: {name!r} has "
                f"shape {shape}, {first!r} has {expected}. Give the same test rows of each."
            )
    repeats, rows = expected[:2]
    of_rows = _folds(folds, repeats, rows)
    tested = {
        name: Tested(torch.from_numpy(array), truth, of_rows) for name, array in shaped.items()
    }
    return Read(form, tested, {}, folds is not None)


def _arrays(scores: object) -> dict[str, Numbers]:
    if type(scores).__name__ == "DataFrame":  # of pandas: one column per loss
        scores = dict(scores.items())  # type: ignore[attr-defined]
    if not isinstance(scores, Mapping) or len(scores) < 2:
        raise UsageError(
            "scores must be a mapping with at least two losses, such as "
            "{'cross_entropy': predictions, 'focal': predictions}, got "
            f"{type(scores).__name__}{f' of {len(scores)}' if isinstance(scores, Mapping) else ''}."
        )
    arrays = {}
    for name, values in scores.items():
        if not isinstance(name, str) or not name.strip():
            raise UsageError(f"scores: the names of losses must be texts, got {name!r}.")
        array = _array(f"scores[{name!r}]", values)
        if not array.size:
            raise UsageError(f"scores[{name!r}] is empty.")
        if array.dtype.kind == "f" and not np.isfinite(array).all():
            where = np.argwhere(~np.isfinite(array))[0].tolist()
            raise UsageError(
                f"scores[{name!r}] must be finite, got {array[tuple(where)]} at {where}. A loss "
                "that diverged has no scores: leave it out and say so."
            )
        arrays[name] = array
    return arrays


def _array(what: str, values: Any) -> Numbers:
    if hasattr(values, "detach"):
        values = values.detach().cpu().float() if values.is_floating_point() else values.cpu()
    try:
        array = np.asarray(values)
    except (ValueError, TypeError) as error:
        raise UsageError(f"{what} cannot be made an array ({error}).") from error
    if array.dtype == object and all(isinstance(value, str) for value in array.flat):
        array = array.astype(str)
    if array.dtype.kind not in "fiubU":
        raise UsageError(f"{what} must hold numbers, booleans or class names, got {array.dtype}.")
    return array


def _numbers(arrays: Mapping[str, Numbers], folds: object) -> dict[str, Numbers]:
    if folds is not None:
        raise UsageError(
            "folds: numbers of folds are not independent, and without the rows behind them their "
            "error cannot be told. Give predictions of every row, with labels= and folds=."
        )
    lengths = {len(array) if array.ndim == 1 else None for array in arrays.values()}
    if None in lengths or any(array.dtype.kind == "U" for array in arrays.values()):
        name = next(n for n, a in arrays.items() if a.ndim != 1 or a.dtype.kind == "U")
        raise UsageError(
            f"scores[{name!r}] must be one number per training without labels=, got "
            f"{arrays[name].dtype} of shape {arrays[name].shape}. Give labels= for predictions or "
            "logits."
        )
    if len(lengths) > 1:
        raise UsageError(
            "scores: trainings are compared in pairs (same seed, same batches), so every loss "
            f"needs as many numbers; got { {name: len(a) for name, a in arrays.items()} }."
        )
    if lengths == {1}:
        raise UsageError(
            "scores: one number per loss has no error. Give those of several trainings, or the "
            "predictions of every row with labels=."
        )
    return {name: array.astype(np.float64) for name, array in arrays.items()}


def _folds(folds: object, repeats: int, rows: int) -> npt.NDArray[np.int64]:
    if folds is None:
        return np.zeros((repeats, rows), dtype=np.int64)
    given = _array("folds", folds)
    if given.shape not in ((rows,), (repeats, rows)):
        raise UsageError(
            f"folds must be ({rows},) or ({repeats}, {rows}), the fold in which each row was "
            f"tested, got {given.shape}."
        )
    every = np.broadcast_to(given, (repeats, rows))
    numbered = np.stack([np.unique(row, return_inverse=True)[1] for row in every])
    counts = [len(np.unique(row)) for row in numbered]
    if len(set(counts)) > 1 or counts[0] < 2:
        raise UsageError(
            f"folds must name the same number of folds in every repeat, at least 2, got {counts}. "
            "For one test set, leave folds out."
        )
    return numbered.astype(np.int64)


def counts_of(counts: Sequence[int] | None, classes: int) -> npt.NDArray[np.int64] | None:
    """The training samples per class, checked."""
    if counts is None:
        return None
    given = np.asarray(counts)
    if given.shape != (classes,) or given.dtype.kind not in "iu" or given.min() < 0:
        raise UsageError(
            f"train_counts must hold {classes} whole numbers, the training samples of each class "
            f"in order, got {counts!r:.80}."
        )
    return given.astype(np.int64)
