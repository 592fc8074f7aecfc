"""The threshold on scores: yes above it."""

from __future__ import annotations

from typing import Literal, get_args

import torch
from torch import Tensor

from taylored.core.checks import fail, one_of
from taylored.deploy.tuned import Tuned, ends_of, interval_of, resampled

ThresholdMetric = Literal["f1", "balanced_accuracy", "accuracy"]

_PART = 1 << 22
"""Numbers that are looked at in one piece."""


def tune_threshold(
    scores: Tensor,
    labels: Tensor,
    *,
    metric: ThresholdMetric,
    resamples: int = 200,
    seed: int = 0,
) -> Tuned:
    """The threshold on scores that is best for a metric: yes where the score is above it.

    Any scores will do that rise with the chance of a yes; those of `loss.posterior` also say what
    to expect (the best threshold for accuracy is 1/2 there).

    Args:
        scores: (N,), or (N, C) for a threshold of each class.
        labels: 0 / 1, of the same shape.
        metric: "f1"; "balanced_accuracy", the mean of the shares of yes and no that are found;
            "accuracy".
        resamples: number of resamples for the intervals; raising it makes them steadier.
        seed: of the resamples.

    Raises:
        ValueError: for shapes that do not fit, labels other than 0 and 1, or an unknown metric.

    Example:
        >>> import torch
        >>> scores = torch.tensor([0.1, 0.35, 0.4, 0.8, 0.2, 0.9])
        >>> tune_threshold(scores, torch.tensor([0, 0, 1, 1, 0, 1]), metric="f1").value
        tensor(0.3750, dtype=torch.float64)
    """
    one_of("metric", metric, get_args(ThresholdMetric))
    scores, labels = torch.as_tensor(scores).detach().cpu().double(), torch.as_tensor(labels).cpu()
    if scores.dim() not in (1, 2) or scores.shape != labels.shape or not len(scores):
        expected = f"0 / 1 of the shape of `scores`, {tuple(scores.shape)}: (N,) or (N, C)"
        fail("labels", expected, f"shape {tuple(labels.shape)}", "give one label per score")
    if not bool(((labels == 0) | (labels == 1)).all()) or bool(scores.isnan().any()):
        fail("labels", "0 or 1, with scores that are numbers", "others", "leave such samples out")
    weights = resampled(len(scores), resamples, seed)
    columns = zip(scores.reshape(len(scores), -1).T, labels.reshape(len(scores), -1).T, strict=True)
    found = [_threshold_of(x, y.double(), metric, weights) for x, y in columns]
    value, values, score, drawn = (torch.stack(part, -1) for part in zip(*found, strict=True))
    shape = scores.shape[1:]
    low, high = interval_of(values)
    return Tuned(
        metric, value.reshape(shape), (low.reshape(shape), high.reshape(shape)),
        float(score.mean()), ends_of(drawn.mean(dim=-1)),
    )  # fmt: skip


def _threshold_of(
    scores: Tensor, truth: Tensor, metric: str, weights: Tensor
) -> tuple[Tensor, Tensor, Tensor, Tensor]:
    """Best threshold, those of the resamples, its score, and the scores of the resamples at it."""
    order = scores.argsort()
    scores, truth = scores[order], truth[order]
    last = torch.nextafter(scores[:1], torch.full_like(scores[:1], -torch.inf))
    between = torch.cat([last, 0.5 * (scores[:-1] + scores[1:]), scores[-1:]])
    edge = torch.cat([torch.ones(1).bool(), scores[1:] > scores[:-1], torch.ones(1).bool()])

    def scored(w: Tensor) -> Tensor:
        """The metric at every place between neighbours; w is (B, N)."""
        yes, no = (torch.nn.functional.pad((w * t).cumsum(1), (1, 0)) for t in (truth, 1 - truth))
        found, wrong = yes[:, -1:] - yes, no[:, -1:] - no
        positive, negative = yes[:, -1:], no[:, -1:]
        if metric == "f1":
            value = 2 * found / (found + wrong + positive)
        elif metric == "accuracy":
            value = (found + negative - wrong) / (positive + negative)
        else:
            value = 0.5 * (found / positive + 1 - wrong / negative)
        return torch.where(edge, value.nan_to_num(0.0), -1.0)

    whole = scored(torch.ones(1, len(scores), dtype=torch.float64))[0]
    place = whole.argmax()
    parts = weights[:, order].split(max(1, _PART // len(scores)))
    all_scored = [scored(part) for part in parts]
    places = torch.cat([part.argmax(dim=1) for part in all_scored])
    drawn = torch.cat([part[:, place] for part in all_scored])
    return between[place], between[places], whole[place], drawn
