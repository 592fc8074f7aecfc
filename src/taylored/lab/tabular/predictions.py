"""What every model of a run said about every row that it had not seen."""

from collections.abc import Iterator, Sequence
from pathlib import Path
from typing import TYPE_CHECKING, Any

import numpy as np
import numpy.typing as npt

from taylored.lab.data.optional import require
from taylored.lab.errors import UsageError
from taylored.lab.results import LossResult, Results
from taylored.lab.store.sealed import read_sealed
from taylored.lab.store.tested_rows import ROWS, TestedRows
from taylored.lab.store.timed_trial import KeptTrial
from taylored.lab.trial.outputs import Outputs
from taylored.lab.trial.protocol import TrialSpec

if TYPE_CHECKING:
    from pandas import DataFrame

Numbers = npt.NDArray[Any]


def predictions_of(results: Results, folder: Path) -> "DataFrame":
    """One row per tested row and repeat; for many labels per row, one per label of it as well."""
    pandas = require("pandas", extra="lab", purpose="A data frame")
    tested = _read(TestedRows, folder / ROWS)
    names = np.array(results.dataset.class_names, dtype=object)
    folds = np.array(tested.folds)[: results.statistics.repeats]
    multi_label = results.dataset.task == "multi-label"
    columns = _places(tested, folds)
    if multi_label:
        columns = {key: np.repeat(values, len(names)) for key, values in columns.items()}
        columns["label"] = np.tile(names, folds.size)
        columns["truth"] = np.tile(_truth(tested, len(names)).ravel(), len(folds))
    else:
        columns["label"] = np.tile(names[[labels[0] for labels in tested.labels]], len(folds))
    for loss in results.losses:
        if loss.role == "free":  # it is no model of its own
            continue
        predicted, p = _said(loss, tested, folds, folder, len(names), multi_label=multi_label)
        columns[f"{loss.name}: predicted"] = predicted if multi_label else _named(predicted, names)
        columns[f"{loss.name}: p"] = p
    frame: DataFrame = pandas.DataFrame(columns)
    return frame


def _places(tested: TestedRows, folds: Numbers) -> dict[str, Numbers]:
    repeats, rows = folds.shape
    return {
        "row": np.tile(np.array(tested.rows), repeats),
        "repeat": np.repeat(np.arange(repeats), rows),
        "fold": folds.ravel(),
    }


def _truth(tested: TestedRows, classes: int) -> Numbers:
    truth = np.zeros((len(tested.rows), classes), dtype=np.int8)
    for row, labels in enumerate(tested.labels):
        truth[row, list(labels)] = 1
    return truth


def _said(
    loss: LossResult,
    tested: TestedRows,
    folds: Numbers,
    folder: Path,
    classes: int,
    *,
    multi_label: bool,
) -> tuple[Numbers, Numbers]:
    """Predictions and the probability of the truth, flat; -1 and NaN where a training failed."""
    shape = (*folds.shape, classes) if multi_label else folds.shape
    predicted, p = np.full(shape, -1, dtype=np.int64), np.full(shape, np.nan)
    truth = _truth(tested, classes)
    for place, outputs in _outputs(loss, folder):
        if place[0] >= len(folds):
            continue
        inside = folds[place[0]] == place[1]
        scores = outputs.score_array
        log_p = outputs.log_p_array
        if multi_label:
            yes = 1 / (1 + np.exp(-scores.astype(float))) if log_p is None else np.exp(log_p)
            predicted[place[0], inside] = scores > 0
            p[place[0], inside] = np.where(truth[inside] == 1, yes, 1 - yes)
            continue
        each = _log_softmax(scores) if log_p is None else log_p
        right = np.array([labels[0] for labels in tested.labels])[inside]
        predicted[place[0], inside] = scores.argmax(axis=1)
        p[place[0], inside] = np.exp(each[np.arange(len(right)), right])
    return predicted.ravel(), p.ravel()


def _outputs(loss: LossResult, folder: Path) -> Iterator[tuple[tuple[int, int], Outputs]]:
    for trial in loss.trials:
        if trial.status == "ok":
            kept = _read(KeptTrial, folder / "trials" / f"{TrialSpec.of(trial).id}.json")
            if kept.content.outputs is not None:
                yield (trial.repeat, trial.fold), kept.content.outputs


def _read(kind: Any, file: Path) -> Any:
    try:
        return read_sealed(kind, file)
    except (OSError, ValueError) as error:
        raise UsageError(
            f"predictions: {file} cannot be read ({error}). They are taken from the folder of the "
            "run: restore it, or finish the run with taylored.lab.resume."
        ) from error


def _named(predicted: Numbers, names: Sequence[str] | Numbers) -> Numbers:
    return np.array([*names, None], dtype=object)[predicted]


def _log_softmax(scores: Numbers) -> Numbers:
    shifted = scores.astype(np.float64) - scores.max(axis=1, keepdims=True)
    found: Numbers = shifted - np.log(np.exp(shifted).sum(axis=1, keepdims=True))
    return found
