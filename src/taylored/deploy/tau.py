"""How much of the log prior comes off the logits."""

from __future__ import annotations

import math
from collections.abc import Sequence
from typing import Literal, get_args

import torch
from torch import Tensor

from taylored.core.checks import fail, in_range, one_of
from taylored.core.class_weights import log_prior
from taylored.core.labels import PerClass
from taylored.deploy.tuned import Tuned, classified, ends_of, interval_of, resampled

TauMetric = Literal["balanced_accuracy", "macro_f1", "accuracy"]


def tune_tau(
    logits: Tensor,
    labels: Tensor,
    *,
    counts: PerClass,
    metric: TauMetric,
    taus: Sequence[float] | None = None,
    resamples: int = 200,
    seed: int = 0,
) -> Tuned:
    """The tau of `adjust_logits` that is best for a metric.

    Args:
        logits: (N, C), calibrated ones for cross-entropy (`loss.logits`).
        labels: (N,) class indices.
        counts: training samples per class.
        metric: "balanced_accuracy", the mean recall of the classes; "macro_f1"; "accuracy". Classes
            that do not occur among the labels are left out.
        taus: those to try; by default 0, 0.05, ..., 3.
        resamples: number of resamples for the intervals; raising it makes them steadier.
        seed: of the resamples.

    Raises:
        ValueError: for shapes that do not fit, or an unknown metric.

    Example:
        >>> import torch
        >>> logits = torch.tensor([[2.0, 0.0], [1.5, 0.0], [1.0, 0.0], [0.5, 0.0]])
        >>> labels = torch.tensor([0, 0, 1, 1])
        >>> tune_tau(logits, labels, counts=[90, 10], metric="balanced_accuracy").value
        tensor(0.5000, dtype=torch.float64)
    """
    one_of("metric", metric, get_args(TauMetric))
    logits, labels = classified(logits, labels)
    prior = log_prior(counts, dtype=torch.float64)
    if len(prior) != logits.shape[1]:
        expected = f"one number per class: {logits.shape[1]} for these logits"
        fail("counts", expected, len(prior), "use taylored.class_counts(targets, num_classes=...)")
    tried = torch.arange(61).double() / 20 if taus is None else torch.as_tensor(taus).double()
    for tau in tried.tolist():
        in_range("taus", tau, 0.0, math.inf, "0 changes nothing", interval="[)")
    weights = torch.cat(
        [torch.ones(1, len(labels)).double(), resampled(len(labels), resamples, seed)]
    )
    scores = torch.stack(
        [_of_classes((logits - t * prior).argmax(dim=1), labels, metric, weights) for t in tried],
        dim=1,
    )  # (1 + resamples, taus)
    best = scores.argmax(dim=1)
    values = tried[best]
    chosen = scores[:, best[0]]
    return Tuned(metric, values[0], interval_of(values[1:]), float(chosen[0]), ends_of(chosen[1:]))


def _of_classes(predicted: Tensor, labels: Tensor, metric: str, weights: Tensor) -> Tensor:
    """The metric under each row of weights."""
    hits = weights * (predicted == labels)
    if metric == "accuracy":
        return hits.sum(dim=1) / weights.sum(dim=1)
    classes = int(max(labels.max(), predicted.max())) + 1
    none = weights.new_zeros(len(weights), classes)
    right, true = none.index_add(1, labels, hits), none.index_add(1, labels, weights)
    if metric == "balanced_accuracy":
        each = right / true
    else:
        each = 2 * right / (true + none.index_add(1, predicted, weights))
    return torch.where(true > 0, each, torch.nan).nanmean(dim=1)
