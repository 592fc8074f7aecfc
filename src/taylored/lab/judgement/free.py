"""What a loss reaches without another training, by an adjustment of its scores.

A loss that moves the scores towards rare classes has to be compared with the baseline after it was
moved just as far, which costs nothing.
"""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, replace
from typing import Literal

import numpy as np
import torch
from torch import Tensor

from taylored.lab.data import FOLDS, Group
from taylored.lab.decision_rule import DecisionRule
from taylored.lab.judgement.trained import Trained
from taylored.lab.measures import Tested, measure_decisions
from taylored.lab.measures.adjust import (
    TAUS,
    Move,
    adjusting,
    decisions,
    moved_scores,
    normalising,
)
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
        norm, bias = baseline.heads.norm, baseline.heads.bias
        moves = {tau: normalising(norm, bias, tau) for tau in NORMALISED}
        moved = _cross_fitted(tested, moves, primary, groups)
        found.append(_free(baseline, moved, "normalised"))
    return found


def best_move(tested: Tested, priors: Tensor, metric: Metric, groups: Sequence[Group]) -> Moved:
    """The rows after the best move: tau = 1 for recalls, else what is best on other folds."""
    if metric.key in RECALLS:
        move = adjusting(priors.to(tested.scores.dtype), 1.0)
        return Moved(replace(tested, scores=moved_scores(tested, move)), 1.0)
    return _cross_fitted(tested, _adjusting(tested, priors, TAUS), metric, groups)


def best_own_move(tested: Tested, priors: Tensor, metric: Metric, groups: Sequence[Group]) -> Moved:
    """The rows after the move that is best on other folds.

    For losses that have moved their scores themselves while training, so that tau = 1 goes too far.
    """
    return _cross_fitted(tested, _adjusting(tested, priors, OWN_TAUS), metric, groups)


def _adjusting(tested: Tested, priors: Tensor, taus: Sequence[float]) -> dict[float, Move]:
    known = priors.to(tested.scores.dtype)
    return {tau: adjusting(known, tau) for tau in taus}


def _free(baseline: Trained, moved: Moved, kind: Literal["adjusted", "normalised"]) -> Trained:
    name = DecisionRule(kind, moved.tau).named(baseline.name)
    return replace(baseline, name=name, role="free", trials=(), tested=moved.tested, heads=None)


def _cross_fitted(
    tested: Tested, moves: Mapping[float, Move], metric: Metric, groups: Sequence[Group]
) -> Moved:
    """The rows of each fold after the move that is best for the other folds of its repeat.

    So no row has a say in how it is moved itself; the rows of a split that came with the data are
    divided for it. The tau that is reported is the most frequent.
    """
    folds = tested.folds if tested.fold_count > 1 else _divided(tested)
    taus = [*moves]
    merits = np.nan_to_num(  # (taus, R, K)
        [
            metric.direction * measure_decisions(each, groups, [metric.key])[metric.key].by_fold
            for decided in decisions(tested, [*moves.values()])
            for each in [replace(decided, folds=folds)]
        ]
    )
    best = (merits.sum(axis=2, keepdims=True) - merits).argmax(axis=0)
    scores = tested.scores.clone()
    for index in np.unique(best).tolist():
        moved = moved_scores(tested, moves[taus[index]])
        for repeat, fold in np.argwhere(best == index).tolist():
            rows = torch.from_numpy(folds[repeat] == fold)
            scores[repeat, rows] = moved[repeat, rows]
    counts = np.bincount(best.ravel(), minlength=len(taus))
    return Moved(replace(tested, scores=scores), taus[int(counts.argmax())])


def _divided(tested: Tested) -> Integers:
    """Folds in which the classes have equal shares."""
    folds = np.empty(tested.rows, np.int64)
    folds[np.argsort(tested.labels, kind="stable")] = np.arange(tested.rows) % FOLDS
    return np.broadcast_to(folds, tested.folds.shape)
