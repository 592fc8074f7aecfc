"""Metrics of one class per sample: accuracy overall, by class and by group; calibration."""

from collections.abc import Sequence

import torch
from torch import Tensor

from taylored.lab.data import GROUPS, Group

ECE_BINS = 15  # Guo et al., On Calibration of Modern Neural Networks, ICML 2017


def log_probabilities(logits: Tensor, link: str) -> Tensor:
    """Log-probabilities in float64: softmax of the logits, or sigmoid scores scaled to sum 1."""
    wide = logits.double()
    scores = wide if link == "softmax" else torch.nn.functional.logsigmoid(wide)
    return torch.log_softmax(scores, dim=1)


def recalls(predicted: Tensor, labels: Tensor, num_classes: int) -> Tensor:
    """Share of each class that is recognised; NaN for a class without samples."""
    total = torch.bincount(labels, minlength=num_classes).double()
    right = torch.bincount(labels[predicted == labels], minlength=num_classes).double()
    return right / total


def accuracies(logits: Tensor, labels: Tensor, groups: Sequence[Group]) -> dict[str, float | None]:
    """Overall accuracy, mean recall, and mean recall inside the head, medium and tail classes."""
    predicted = logits.argmax(dim=1)
    recall = recalls(predicted, labels, len(groups))
    return {
        "accuracy": float((predicted == labels).double().mean()),
        "balanced_accuracy": mean_of(recall),
        **group_means(recall, groups),
    }


def calibration(logits: Tensor, labels: Tensor, link: str) -> dict[str, float | None]:
    """Mean negative log-likelihood in nats and expected calibration error in 15 equal bins."""
    log_p = log_probabilities(logits, link)
    nll = -log_p.gather(1, labels[:, None]).mean()
    confidence, predicted = log_p.exp().max(dim=1)
    right = (predicted == labels).double()
    bins = (confidence * ECE_BINS).long().clamp(max=ECE_BINS - 1)
    gap = torch.zeros(ECE_BINS, dtype=torch.float64).index_add_(0, bins, right - confidence)
    return {"nll": float(nll), "ece": float(gap.abs().sum() / len(labels))}


def recall_list(logits: Tensor, labels: Tensor, num_classes: int) -> tuple[float | None, ...]:
    """Recall of each class as JSON numbers; None for a class without test samples."""
    return numbers_of(recalls(logits.argmax(dim=1), labels, num_classes))


def group_means(values: Tensor, groups: Sequence[Group]) -> dict[str, float | None]:
    """Mean of one number per class, (C,), inside the head, medium and tail classes."""
    return {
        name: mean_of(values[torch.tensor([group == name for group in groups])]) for name in GROUPS
    }


def numbers_of(values: Tensor) -> tuple[float | None, ...]:
    """The numbers for JSON, with None in place of NaN."""
    return tuple(None if value != value else value for value in values.tolist())


def mean_of(values: Tensor) -> float | None:
    """Mean of the numbers that are not NaN; None if all are."""
    present = values[~values.isnan()]
    return float(present.mean()) if len(present) else None
