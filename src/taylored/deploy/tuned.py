"""What tuning gives: a number with an interval, from resampling the samples.

Intervals are percentiles of the bootstrap. The score is that of the samples that the number was
chosen on, and so a little too good: report that of other samples.
"""

from __future__ import annotations

from dataclasses import dataclass

import torch
from torch import Tensor

from taylored.core.checks import fail


@dataclass(frozen=True, eq=False)
class Tuned:
    """A number chosen on validation data.

    Attributes:
        metric: what it was chosen for.
        value: the number, (), or one per class, (C,).
        interval: the ends of its 95 % interval, each of the shape of the value.
        score: the metric at the value (the mean over classes).
        score_interval: 95 % interval of the score at this value.

    Example:
        >>> import torch
        >>> from taylored import tune_threshold
        >>> scores = torch.tensor([0.1, 0.2, 0.3, 0.4])
        >>> tune_threshold(scores, torch.tensor([0, 0, 1, 1]), metric="f1").score
        1.0
    """

    metric: str
    value: Tensor
    interval: tuple[Tensor, Tensor]
    score: float
    score_interval: tuple[float, float]

    def __repr__(self) -> str:
        ends = (end.reshape(-1).tolist() for end in self.interval)
        each = list(zip(self.value.reshape(-1).tolist(), *ends, strict=True))
        numbers = [f"{value:.4g} [{low:.4g}, {high:.4g}]" for value, low, high in each[:4]]
        listed = ", ".join(numbers + ["..."] * (len(each) > 4))
        low, high = self.score_interval
        return f"Tuned({listed}; {self.metric} {self.score:.4f} [{low:.4f}, {high:.4f}])"


def classified(logits: Tensor, labels: Tensor) -> tuple[Tensor, Tensor]:
    """Logits (N, C) in float64 and class indices (N,)."""
    logits, labels = torch.as_tensor(logits).detach().cpu().double(), torch.as_tensor(labels).cpu()
    if logits.dim() != 2 or labels.shape != logits.shape[:1] or not len(labels):
        expected = f"class indices (N,) for logits (N, C), here {tuple(logits.shape)}"
        fail("labels", expected, f"shape {tuple(labels.shape)}", "one class per sample")
    low, high = int(labels.min()), int(labels.max())
    if labels.is_floating_point() or low < 0 or high >= logits.shape[1]:
        fail("labels", f"classes in 0..{logits.shape[1] - 1}", f"{low}..{high}", "leave others out")
    return logits, labels.long()


def resampled(samples: int, resamples: int, seed: int) -> Tensor:
    """How often each sample is drawn, (resamples, samples)."""
    if resamples < 1:
        fail("resamples", "at least 1", resamples, "200 are enough for an interval")
    generator = torch.Generator().manual_seed(seed)
    drawn = torch.randint(samples, (resamples, samples), generator=generator)
    ones = torch.ones(1, dtype=torch.float64).expand(resamples, samples)
    return torch.zeros(resamples, samples, dtype=torch.float64).scatter_add_(1, drawn, ones)


def interval_of(values: Tensor) -> tuple[Tensor, Tensor]:
    """Ends of the 95 % interval along axis 0."""
    ends = torch.quantile(values, torch.tensor([0.025, 0.975], dtype=torch.float64), dim=0)
    return ends[0], ends[1]


def ends_of(values: Tensor) -> tuple[float, float]:
    """The same of single numbers."""
    low, high = interval_of(values)
    return float(low), float(high)
