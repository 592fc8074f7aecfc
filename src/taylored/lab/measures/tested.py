"""What one loss said about rows that its models had not seen, and what it decided."""

from dataclasses import dataclass, field
from functools import cached_property
from typing import Any

import numpy as np
import numpy.typing as npt
import torch
from torch import Tensor

Floats = npt.NDArray[np.float64]
Integers = npt.NDArray[np.int64]


class Folded:
    """Rows that are tested by the models of their folds, in every repeat once."""

    labels: npt.NDArray[np.signedinteger[Any]]
    folds: Integers

    @property
    def classes(self) -> int:
        """Classes, or labels."""
        raise NotImplementedError

    @property
    def repeats(self) -> int:
        """Times that every row was tested."""
        return len(self.folds)

    @property
    def rows(self) -> int:
        """Rows that were tested."""
        return len(self.folds[0])

    @property
    def multi_label(self) -> bool:
        """Whether a row has any number of labels."""
        return self.labels.ndim == 2

    @cached_property
    def fold_count(self) -> int:
        """Folds; 1 for a split that came with the data."""
        return int(self.folds.max()) + 1

    @cached_property
    def class_counts(self) -> Integers:
        """Rows of each class, positives of each label."""
        if self.multi_label:
            positives: Integers = self.labels.sum(axis=0, dtype=np.int64)
            return positives
        counts: Integers = np.bincount(self.labels, minlength=self.classes).astype(np.int64)
        return counts


@dataclass(frozen=True, eq=False)
class Decided(Folded):
    """The class that each row was taken for, where every row has one.

    Shape:
        predicted and folds (R, N); labels (N,).
    """

    predicted: Integers = field(repr=False)
    labels: npt.NDArray[np.signedinteger[Any]] = field(repr=False)
    folds: Integers = field(repr=False)
    number_of_classes: int

    @property
    def classes(self) -> int:
        """Classes."""
        return self.number_of_classes

    @cached_property
    def correct(self) -> Floats:
        """1 where a row was taken for its class, (R, N)."""
        hits: Floats = (self.predicted == self.labels).astype(np.float64)
        return hits


@dataclass(frozen=True, eq=False)
class Tested(Folded):
    """The outputs of one loss on every row, in each repeat by a model that had not seen the row.

    For a split that came with the data the rows are its test rows, all in fold 0, and a repeat is
    one training: initial weights and batches.

    Args:
        scores: logits by which classes are ranked and predicted.
        labels: one class per row, or 0 and 1 for any number of labels per row.
        folds: the fold whose model tested the row, 0 .. K-1.
        log_p: log-probabilities of the classes; None for the log-softmax of the scores, and for
            many labels their log-sigmoid.

    Shape:
        scores and log_p (R, N, C); labels (N,) or (N, C); folds (R, N).
    """

    scores: Tensor = field(repr=False)
    labels: npt.NDArray[np.signedinteger[Any]] = field(repr=False)
    folds: Integers = field(repr=False)
    log_p: Tensor | None = field(default=None, repr=False)

    def __post_init__(self) -> None:
        if self.scores.ndim != 3:
            raise ValueError(
                f"scores must be (repeats, rows, classes), got shape {tuple(self.scores.shape)}"
            )
        repeats, rows, classes = self.scores.shape
        if self.labels.shape not in ((rows,), (rows, classes)):
            raise ValueError(
                f"labels must be ({rows},) for classes or ({rows}, {classes}) for labels, as the "
                f"scores have {rows} rows, got {self.labels.shape}"
            )
        if self.folds.shape != (repeats, rows):
            raise ValueError(
                f"folds must be ({repeats}, {rows}), one number per repeat and row, got "
                f"{self.folds.shape}"
            )
        if self.log_p is not None and self.log_p.shape != self.scores.shape:
            raise ValueError(
                f"log_p must have the shape of the scores, {tuple(self.scores.shape)}, got "
                f"{tuple(self.log_p.shape)}"
            )

    @property
    def classes(self) -> int:
        """Classes, or labels."""
        return self.scores.shape[2]

    @cached_property
    def decided(self) -> Decided:
        """The decisions for the class with the largest score."""
        return Decided(self.predicted, self.labels, self.folds, self.classes)

    @property
    def correct(self) -> Floats:
        """1 where the class of the row has the largest score, (R, N)."""
        return self.decided.correct

    @cached_property
    def predicted(self) -> Integers:
        """The class with the largest score, (R, N)."""
        return most_likely(self.scores)

    def log_probabilities(self, repeat: int) -> Tensor:
        """Log-probabilities of one repeat in float64, (N, C)."""
        if self.log_p is not None:
            return self.log_p[repeat].double()
        wide = self.scores[repeat].double()
        if self.multi_label:
            return torch.nn.functional.logsigmoid(wide)
        return torch.log_softmax(wide, dim=1)

    def log_odds(self, repeat: int) -> Tensor:
        """log p - log(1 - p) of every label in one repeat, in float64, (N, C)."""
        return self.scores[repeat].double() if self.log_p is None else logit(self.log_p[repeat])


def most_likely(scores: Tensor) -> Integers:
    """The place of the largest score of each row, the first of several; numpy is the faster."""
    found: Integers = scores.numpy().argmax(axis=-1)
    return found


def logit(log_p: Tensor) -> Tensor:
    """log p - log(1 - p) in float64, exact at both ends.

    >>> logit(torch.tensor([0.25]).log()).exp()
    tensor([0.3333], dtype=torch.float64)
    """
    wide = log_p.double()
    # 1 - p from expm1 has its digits where p is close to 1, log1p where p is close to 0.
    log_q = torch.where(wide > -0.7, (-torch.expm1(wide)).log(), torch.log1p(-wide.exp()))
    return wide - log_q
