"""What becomes of a trained model without training: other priors, and other lengths of weights."""

from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from typing import Final

import numpy as np
import torch
from torch import Tensor

from taylored.lab.data import Group
from taylored.lab.measures.accuracies import class_means, class_weights, weighted
from taylored.lab.measures.tested import Decided, Integers, Tested, most_likely

TAUS: Final = tuple(step / 10 for step in range(-10, 21))
_AT_ONCE = 2**17  # scores that are moved together: they stay in the cache for all moves

Move = Callable[[Tensor, int, int], Tensor]
"""From scores (N, C) of rows that the model of a repeat and fold has tested, to other scores."""


@dataclass(frozen=True)
class TauPoint:
    """Accuracies of one loss after its scores were adjusted by ``tau`` log prior.

    `values` holds balanced_accuracy, accuracy, head, medium and tail; None for a group that the
    data do not have.
    """

    tau: float
    values: Mapping[str, float | None]


def by_row(per_fold: Tensor, folds: Integers) -> Tensor:
    """What belongs to the model of a fold, (R, K, C), for each row that it tested, (R, N, C)."""
    repeats = torch.arange(len(per_fold))[:, None]
    return per_fold[repeats, torch.from_numpy(folds)]


def adjusting(log_prior: Tensor, tau: float) -> Move:
    """The move of `adjusted` scores, with the prior of each model, (R, K, C)."""
    return lambda scores, repeat, fold: adjusted(scores, log_prior[repeat, fold], tau)


def normalising(norm: Tensor, bias: Tensor, tau: float) -> Move:
    """The move of `tau_normalised` scores, with the head of each model, (R, K, C)."""
    return lambda scores, repeat, fold: tau_normalised(
        scores, norm[repeat, fold], bias[repeat, fold], tau
    )


def moved_scores(tested: Tested, move: Move) -> Tensor:
    """The scores of all rows after a move, (R, N, C)."""
    scores = torch.empty_like(tested.scores)
    for repeat, fold, rows in _pieces(tested):
        scores[repeat, rows] = move(tested.scores[repeat, rows], repeat, fold)
    return scores


def decisions(tested: Tested, moves: Sequence[Move]) -> list[Decided]:
    """The classes that have the largest scores after each of the moves."""
    predicted = np.empty((len(moves), tested.repeats, tested.rows), dtype=np.int64)
    for repeat, fold, rows in _pieces(tested):
        scores = tested.scores[repeat, rows]
        for number, move in enumerate(moves):
            predicted[number, repeat, rows] = most_likely(move(scores, repeat, fold))
    return [Decided(each, tested.labels, tested.folds, tested.classes) for each in predicted]


def _pieces(tested: Tested) -> Iterator[tuple[int, int, Tensor]]:
    """All rows in pieces of one repeat and fold."""
    size = max(1, _AT_ONCE // tested.classes)
    for repeat, folds in enumerate(tested.folds):
        for fold in range(tested.fold_count):
            for rows in torch.from_numpy(np.flatnonzero(folds == fold)).split(size):
                yield repeat, fold, rows


def adjusted(scores: Tensor, log_prior: Tensor, tau: float) -> Tensor:
    """Scores minus tau times the logarithm of the prior.

    A larger ``tau`` favours rare classes more; 1 turns the posterior of the training prior into
    that of equal priors. A class without training rows is left as it is.

    Shape:
        scores (R, N, C); log_prior any shape that broadcasts to it, such as `by_row` gives.

    Reference:
        A. K. Menon et al., Long-Tail Learning via Logit Adjustment, ICLR 2021, eq. 9.
    """
    return scores - tau * finite(log_prior)


def tau_normalised(scores: Tensor, norm: Tensor, bias: Tensor, tau: float) -> Tensor:
    """Scores of a linear head whose weights are divided by their length to the power of tau.

    A larger ``tau`` takes away more of the advantage of long weights, which frequent classes have;
    0 only drops the bias.

    Shape:
        scores (R, N, C); norm, the length of the weight of each class, and bias any shapes that
        broadcast to it.

    Reference:
        B. Kang et al., Decoupling Representation and Classifier for Long-Tailed Recognition, ICLR
        2020, section 4.3.
    """
    return (scores - bias) / norm**tau


def tau_curve(
    tested: Tested, groups: Sequence[Group], log_prior: Tensor, taus: Sequence[float] = TAUS
) -> tuple[TauPoint, ...]:
    """Accuracies after adjustment by each tau: what a loss trades between frequent and rare.

    Args:
        tested: the outputs of one loss, one class per row.
        groups: head, medium or tail for each class.
        log_prior: logarithm of the share of each class in the training rows of each fold.
        taus: the strengths; larger ones favour rare classes more.

    Shape:
        log_prior (R, K, C).
    """
    priors = log_prior.to(tested.scores.dtype)
    labels = tested.labels.astype(np.int64)
    weights = {
        key: class_weights(tested, groups, key)
        for key in ("balanced_accuracy", "accuracy", "head", "medium", "tail")
    }
    points = []
    decided = decisions(tested, [adjusting(priors, tau) for tau in taus])
    for tau, each in zip(taus, decided, strict=True):
        share = each.correct.mean(axis=0)
        recall = class_means(share, labels, tested.classes)
        values = {
            key: None if weight is None else weighted(recall, weight)
            for key, weight in weights.items()
        }
        points.append(TauPoint(tau, values))
    return tuple(points)


def finite(log_prior: Tensor) -> Tensor:
    """The logarithm of the prior with 0 for a class that has none, which has no say then."""
    return torch.where(log_prior.isinf(), 0, log_prior)
