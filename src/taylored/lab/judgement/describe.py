"""One loss by itself: its metrics, its calibration, and its trade-off between classes."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, replace

import numpy as np
from torch import Tensor

from taylored.lab.data import Group
from taylored.lab.judgement.trained import Trained
from taylored.lab.measures import Tested, binary, calibration, measure
from taylored.lab.measures.adjust import tau_curve
from taylored.lab.measures.class_scores import class_scores
from taylored.lab.measures.measured import Measured
from taylored.lab.measures.recalibrate import recalibrated
from taylored.lab.results import BinaryResult, Likelihood, LossResult
from taylored.lab.tasks import Task

LIKELIHOODS = ("nll", "ece")
"""Metrics of probabilities and not of decisions."""

Measures = Mapping[str, Measured]
"""The metrics of one loss by key."""


@dataclass(frozen=True, eq=False)
class Described:
    """A loss with its metrics; ``measures`` is empty where its rows are a selection."""

    trained: Trained
    measures: Measures
    result: LossResult


def describe(trained: Trained, priors: Tensor, task: Task, groups: Sequence[Group]) -> Described:
    """The loss by itself.

    Likelihood and calibration are those after a recalibration that is fitted on other folds, so
    that a loss is not judged by the convention of its scores.
    """
    diverged = sum(trial.status != "ok" for trial in trained.trials)
    result = LossResult(
        name=trained.name,
        role=trained.role,
        gain=trained.gain,
        formula=trained.formula,
        learning_rate=trained.learning_rate,
        trials=trained.trials,
        diverged=diverged,
        metrics=dict.fromkeys(task.metrics),
        spread=dict.fromkeys(task.metrics),
        class_scores=(),
    )
    tested = trained.tested
    if tested is None:
        return Described(trained, {}, result)
    decisions = [key for key in task.metrics if key not in LIKELIHOODS]
    measures = measure(tested, groups, decisions)
    if trained.role != "free":  # whose decisions are other ones, at the same probabilities
        told = _recalibrated(tested, priors)
        measures |= measure(told, groups, LIKELIHOODS)
        result = replace(result, likelihood=_likelihood(tested, told, groups))
        if not tested.multi_label:
            curve = tau_curve(tested, groups, priors[: tested.repeats])
            result = replace(result, trade_off=curve)
    if tested.classes == 2 and not tested.multi_label:
        result = replace(result, binary=_binary(tested))
    values = {key: found.value for key, found in measures.items()}
    spread = {key: _spread(found) for key, found in measures.items()}
    result = replace(
        result,
        metrics={**result.metrics, **values},
        spread={**result.spread, **spread},
        class_scores=class_scores(tested),
    )
    return Described(trained, measures, result)


def _recalibrated(tested: Tested, priors: Tensor) -> Tested:
    """The rows with recalibrated probabilities; a single fold has no others to fit on."""
    if tested.fold_count < 2:
        return tested
    return replace(tested, log_p=recalibrated(tested, priors[: tested.repeats]).log_p)


def _likelihood(tested: Tested, told: Tested, groups: Sequence[Group]) -> Likelihood:
    before, after = calibration(tested), calibration(told)
    raw, nll = (measure(rows, groups, ["nll"])["nll"].value or 0.0 for rows in (tested, told))
    return Likelihood(
        raw_nll=raw,
        nll=nll,
        raw_ece=before.debiased,
        ece=after.debiased,
        resolution=after.resolution,
        bins=after.bins,
    )


def _binary(tested: Tested) -> BinaryResult:
    found = binary(tested)
    confusion = tuple(tuple(row) for row in found.confusion.tolist())
    return BinaryResult(found.positive, found.precision, found.recall, found.f1, confusion)


def _spread(found: Measured) -> float | None:
    """Standard deviation over all folds of all repeats in which the metric exists."""
    values = found.by_fold[~np.isnan(found.by_fold)]
    return float(values.std(ddof=1)) if len(values) > 1 else None
