"""What becomes of a trained model without training: other priors, and other lengths of weights."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Final

import numpy as np
import torch
from torch import Tensor

from taylored.lab.data import Group
from taylored.lab.measures.accuracies import class_means, class_weights, weighted
from taylored.lab.measures.tested import Integers, Tested

TAUS: Final = tuple(step / 10 for step in range(-10, 21))


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
    priors = by_row(log_prior.to(tested.scores.dtype), tested.folds)
    labels = tested.labels.astype(np.int64)
    weights = {
        key: class_weights(tested, groups, key)
        for key in ("balanced_accuracy", "accuracy", "head", "medium", "tail")
    }
    points = []
    for tau in taus:
        predicted = adjusted(tested.scores, priors, tau).argmax(dim=2).numpy()
        share = (predicted == labels).mean(axis=0)
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
