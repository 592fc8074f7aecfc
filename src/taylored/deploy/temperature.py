"""The temperature to divide logits by."""

from __future__ import annotations

from collections.abc import Callable

import torch
import torch.nn.functional as F
from torch import Tensor

from taylored.core.checks import fail, one_of
from taylored.core.plan.options import LINK_NAMES, LinkName
from taylored.deploy.tuned import Tuned, classified, ends_of, interval_of, resampled

Losses = Callable[[Tensor], tuple[Tensor, Tensor, Tensor]]
"""1 / temperature -> loss, first and second derivative of each sample."""


def tune_temperature(
    logits: Tensor,
    labels: Tensor,
    *,
    link: LinkName = "softmax",
    resamples: int = 200,
    seed: int = 0,
) -> Tuned:
    """The temperature to divide logits by, for the least negative log-likelihood ("nll").

    For losses without a `posterior`, and for models that have not learned what they were told
    (overfitting makes them too sure: a temperature above 1).

    Args:
        logits: (N, C), or (N,) for the sigmoid link.
        labels: (N,) class indices, or 0 / 1 of the shape of the logits for the sigmoid link.
        link: that of the loss.
        resamples: number of resamples for the intervals; raising it makes them steadier.
        seed: of the resamples.

    Raises:
        ValueError: for shapes that do not fit, or an unknown link.

    Example:
        >>> import torch
        >>> logits = torch.tensor([[4.0, 0.0], [4.0, 0.0], [4.0, 0.0], [4.0, 0.0]])
        >>> tune_temperature(logits, torch.tensor([0, 0, 0, 1])).value  # 4 / log(3)
        tensor(3.6410, dtype=torch.float64)

    Reference:
        Guo et al., On Calibration of Modern Neural Networks, ICML 2017, temperature scaling.
    """
    one_of("link", link, LINK_NAMES)
    if link == "softmax":
        logits, labels = classified(logits, labels)
        losses = _softmax_losses(logits, labels)
    else:
        x, y = torch.as_tensor(logits).detach().cpu().double(), torch.as_tensor(labels).cpu()
        if x.shape != y.shape or not len(x):
            fail("labels", f"0 / 1 of shape {tuple(x.shape)}", tuple(y.shape), "one per logit")
        losses = _sigmoid_losses(x.reshape(len(x), -1), y.reshape(len(x), -1).double())
    rate = torch.ones((), dtype=torch.float64)  # 1 / temperature, in which the loss is convex
    for _ in range(100):
        _, slope, bend = (each.mean() for each in losses(rate))
        step = (slope / bend.clamp_min(1e-12)).clamp(-rate, 0.5 * rate)
        rate = (rate - step).clamp(1e-4, 1e4)
        if float(step.abs()) < 1e-12 * float(rate):
            break
    value, slope, bend = losses(rate)
    weights = resampled(len(value), resamples, seed) / len(value)
    rates = (rate - (weights @ slope) / (weights @ bend).clamp_min(1e-12)).clamp(1e-4, 1e4)
    score, drawn = float(value.mean()), weights @ value
    return Tuned("nll", 1.0 / rate, interval_of(1.0 / rates), score, ends_of(drawn))


def _softmax_losses(z: Tensor, labels: Tensor) -> Losses:
    z = z - z.amax(dim=1, keepdim=True)
    true = z.gather(1, labels.unsqueeze(1)).squeeze(1)

    def losses(rate: Tensor) -> tuple[Tensor, Tensor, Tensor]:
        log_p = torch.log_softmax(rate * z, dim=1)
        p = log_p.exp()
        mean = (p * z).sum(dim=1)
        spread = (p * (z - mean.unsqueeze(1)) ** 2).sum(dim=1)
        return -log_p.gather(1, labels.unsqueeze(1)).squeeze(1), mean - true, spread

    return losses


def _sigmoid_losses(x: Tensor, y: Tensor) -> Losses:
    def losses(rate: Tensor) -> tuple[Tensor, Tensor, Tensor]:
        p = (rate * x).sigmoid()
        value = F.binary_cross_entropy_with_logits(rate * x, y, reduction="none")
        return value.mean(1), ((p - y) * x).mean(1), (p * (1 - p) * x * x).mean(1)

    return losses
