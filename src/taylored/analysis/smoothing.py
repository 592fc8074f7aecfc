"""Label smoothing: where it puts the optimum, and what that does to features."""

from __future__ import annotations

import math
from dataclasses import dataclass

from torch import Tensor

from taylored.core.checks import fail


@dataclass(frozen=True)
class SmoothedOptimum:
    """What a model that reaches the minimum of smoothed cross-entropy says of a sample.

    Args:
        truth: probability of the true class.
        other: probability of each other class.
        gap: logit of the truth above each other, finite as soon as labels are smoothed.
        loss: the least loss, in nats: the entropy of the smoothed label, no longer 0.

    """

    truth: float
    other: float
    gap: float
    loss: float


def smoothed_optimum(num_classes: int, smoothing: float) -> SmoothedOptimum:
    r"""Minimum of cross-entropy with smoothed labels.

    The label is :math:`1 - e + e / C` for the truth and :math:`e / C` for every other class, and
    the optimal model gives just these, with a gap of :math:`\log(1 + C (1 - e) / e)`.

    Args:
        num_classes: C; raising it widens the gap.
        smoothing: e, the share of a label that is spread over all classes; raising it draws the
            logits together. 0 has no finite optimum: the gap is infinite.

    Raises:
        ValueError: for fewer than two classes, or a smoothing outside [0, 1].

    Example:
        >>> smoothed_optimum(5, 0.1).truth
        0.92
        >>> round(smoothed_optimum(1000, 0.1).gap, 2)
        9.11

    Reference:
        Szegedy et al., *Rethinking the Inception Architecture*, CVPR 2016, section 7.
    """
    if num_classes < 2:
        fail("num_classes", "at least 2", num_classes, "count the classes of the softmax")
    if not 0 <= smoothing <= 1:
        fail("smoothing", "in [0, 1]", smoothing, "0.1 moves a tenth of the label")
    other = smoothing / num_classes
    truth = 1 - smoothing + other
    if other == 0:
        return SmoothedOptimum(1.0, 0.0, math.inf, 0.0)
    entropy = -truth * math.log(truth) - (num_classes - 1) * other * math.log(other)
    return SmoothedOptimum(truth, other, math.log(truth / other), entropy)


@dataclass(frozen=True)
class ClassSpread:
    """How far samples are from their class's mean, and these from the mean of all.

    Args:
        within: mean squared distance of a sample to the mean of its class.
        between: mean squared distance of that mean to the mean of all samples.

    """

    within: float
    between: float

    @property
    def ratio(self) -> float:
        """Within over between: small where classes are tight clusters far apart."""
        return self.within / self.between


def class_spread(features: Tensor, labels: Tensor) -> ClassSpread:
    """Spread of features within and between classes, free of their scale as `ratio`.

    Smoothed labels ask for the same gap to all other classes, which gathers the samples of a class
    around one point: compare the ratio with and without smoothing.

    Args:
        features: (N, D), for example inputs of the last layer.
        labels: class indices (N,).

    Raises:
        ValueError: for shapes that do not fit.

    Example:
        >>> import torch
        >>> features = torch.tensor([[0.0], [2.0], [10.0], [12.0]])
        >>> class_spread(features, torch.tensor([0, 0, 1, 1]))
        ClassSpread(within=1.0, between=25.0)

    Reference:
        Müller, Kornblith and Hinton, *When Does Label Smoothing Help?*, NeurIPS 2019, section 2.
    """
    if features.dim() != 2 or labels.shape != features.shape[:1]:
        fail("labels", "one class index per row of features (N, D)",
             f"{tuple(labels.shape)} for {tuple(features.shape)}", "flatten both")  # fmt: skip
    x = features.detach().double()
    _, index, counts = labels.unique(return_inverse=True, return_counts=True)
    means = x.new_zeros(len(counts), x.shape[1]).index_add_(0, index, x) / counts.unsqueeze(1)
    own = means[index]
    within = (x - own).square().sum(1).mean()
    between = (own - x.mean(0)).square().sum(1).mean()
    return ClassSpread(float(within), float(between))
