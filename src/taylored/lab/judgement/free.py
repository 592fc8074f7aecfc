"""What a loss reaches without another training, by an adjustment of its scores.

A loss that moves the scores towards rare classes has to be compared with the baseline after it was
moved just as far, which costs nothing.
"""

from collections.abc import Callable, Sequence
from dataclasses import dataclass, replace
from typing import Literal

import numpy as np
from torch import Tensor

from taylored.lab.data import FOLDS, Group
from taylored.lab.decision_rule import DecisionRule
from taylored.lab.judgement.trained import Trained
from taylored.lab.measures import Tested, measure
from taylored.lab.measures.adjust import TAUS, adjusted, by_row, tau_normalised
from taylored.lab.measures.tested import Integers
from taylored.lab.metrics import Metric

NORMALISED = tuple(step / 10 for step in range(1, 21))
OWN_TAUS = tuple(step / 5 for step in range(-5, 11))
RECALLS = ("balanced_accuracy", "head", "medium", "tail")
"""Metrics in which classes count alike, so that tau = 1 is the best move there is."""
UNMOVED = ("accuracy", "nll", "auroc", "average_precision")
"""Metrics that are best as they are, or that see no order of classes."""


@dataclass(frozen=True, eq=False)
class Moved:
    """The rows after an adjustment, and how far it went."""

    tested: Tested
    tau: float


def free_references(
    baseline: Trained, priors: Tensor, primary: Metric, groups: Sequence[Group]
) -> list[Trained]:
    """The baseline after each adjustment that costs nothing, where it may help.

    Shape:
        priors (R, K, C): log of the share of each class in the training rows of each model.
    """
    tested = baseline.tested
    if tested is None or tested.multi_label or primary.key in UNMOVED:
        return []
    moved = best_move(tested, priors, primary, groups)
    found = [_free(baseline, moved, "adjusted")]
    if baseline.heads is not None:
        norm = by_row(baseline.heads.norm, tested.folds)
        bias = by_row(baseline.heads.bias, tested.folds)

        def normalise(tau: float) -> Tensor:
            return tau_normalised(tested.scores, norm, bias, tau)

        moved = _cross_fitted(tested, NORMALISED, normalise, primary, groups)
        found.append(_free(baseline, moved, "normalised"))
    return found


def best_move(tested: Tested, priors: Tensor, metric: Metric, groups: Sequence[Group]) -> Moved:
    """The rows after the best move: tau = 1 for recalls, else what is best on other folds."""
    rows = by_row(priors[: tested.repeats].to(tested.scores.dtype), tested.folds)
    if metric.key in RECALLS:
        return Moved(replace(tested, scores=adjusted(tested.scores, rows, 1.0)), 1.0)

    def move(tau: float) -> Tensor:
        return adjusted(tested.scores, rows, tau)

    return _cross_fitted(tested, TAUS, move, metric, groups)


def best_own_move(tested: Tested, priors: Tensor, metric: Metric, groups: Sequence[Group]) -> Moved:
    """The rows after the move that is best on other folds.

    For losses that have moved their scores themselves while training, so that tau = 1 goes too far.
    """
    rows = by_row(priors[: tested.repeats].to(tested.scores.dtype), tested.folds)

    def move(tau: float) -> Tensor:
        return adjusted(tested.scores, rows, tau)

    return _cross_fitted(tested, OWN_TAUS, move, metric, groups)


def _free(baseline: Trained, moved: Moved, kind: Literal["adjusted", "normalised"]) -> Trained:
    name = DecisionRule(kind, moved.tau).named(baseline.name)
    return replace(baseline, name=name, role="free", trials=(), tested=moved.tested, heads=None)


def _cross_fitted(
    tested: Tested,
    taus: Sequence[float],
    move: Callable[[float], Tensor],
    metric: Metric,
    groups: Sequence[Group],
) -> Moved:
    """The rows of each fold after the move that is best for the other folds of its repeat.

    So no row has a say in how it is moved itself; the rows of a split that came with the data are
    divided for it. The tau that is reported is the most frequent.
    """
    folds = tested.folds if tested.fold_count > 1 else _divided(tested)

    def merit(tau: float) -> np.ndarray:
        moved = replace(tested, scores=move(tau), folds=folds)
        return metric.direction * measure(moved, groups, [metric.key])[metric.key].by_fold

    merits = np.nan_to_num(np.array([merit(tau) for tau in taus]))  # (taus, R, K)
    best = (merits.sum(axis=2, keepdims=True) - merits).argmax(axis=0)
    scores = tested.scores.clone()
    for index in np.unique(best).tolist():
        moved = move(taus[index])
        for repeat, fold in np.argwhere(best == index).tolist():
            rows = folds[repeat] == fold
            scores[repeat, rows] = moved[repeat, rows]
    counts = np.bincount(best.ravel(), minlength=len(taus))
    return Moved(replace(tested, scores=scores), taus[int(counts.argmax())])


def _divided(tested: Tested) -> Integers:
    """Folds in which the classes have equal shares."""
    folds = np.empty(tested.rows, np.int64)
    folds[np.argsort(tested.labels, kind="stable")] = np.arange(tested.rows) % FOLDS
    return np.broadcast_to(folds, tested.folds.shape)
