"""Validation losses in which every class counts alike, as sums that may be taken part by part."""

from __future__ import annotations

import torch
import torch.nn.functional as F
from torch import Tensor

from taylored.analysis.named import LossFunction


def class_mean(target: Tensor, classes: int) -> LossFunction:
    """Mean over the classes of their mean cross-entropy, for rows of these classes.

    It is the loss behind balanced accuracy. A class without rows is left out.
    """
    weight = _shares(torch.bincount(target, minlength=classes))

    def loss(logits: Tensor, target: Tensor) -> Tensor:
        return F.cross_entropy(logits, target, weight=weight.to(logits), reduction="sum")

    return loss


def label_mean(target: Tensor, classes: int) -> LossFunction:
    """Mean over the labels of their cross-entropy per positive, for rows with these labels.

    All elements of a label count alike, so that its best probabilities are the true ones, and no
    push is wanted that would only move its threshold. A label without a positive is left out.
    """
    weight = _shares(_answers(target, classes).sum(0))

    def loss(logits: Tensor, target: Tensor) -> Tensor:
        truth = _answers(target, classes).to(logits.dtype)
        return F.binary_cross_entropy_with_logits(
            logits, truth, weight=weight.to(logits), reduction="sum"
        )

    return loss


def _answers(target: Tensor, classes: int) -> Tensor:
    """0 and 1 for each label; one class per row is a row with one positive."""
    return target if target.dim() == 2 else F.one_hot(target, classes)


def _shares(counts: Tensor) -> Tensor:
    """What each sample of a class counts."""
    there = counts > 0
    return torch.where(there, 1.0 / counts.clamp(min=1), 0.0) / there.sum().clamp(min=1)
