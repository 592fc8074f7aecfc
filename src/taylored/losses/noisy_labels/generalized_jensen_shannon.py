"""Generalised Jensen-Shannon loss: label and several predictions of a sample, all to agree."""

from __future__ import annotations

import math
from dataclasses import replace
from typing import Annotated, Unpack

import torch
from torch import Tensor

from taylored.core.checks import fail
from taylored.core.engine.elementwise import element_batch
from taylored.core.engine.elementwise_pass import loss_of_batch
from taylored.core.inputs.logits import Logits
from taylored.core.inputs.targets import check_input
from taylored.core.numerics import computing_dtype, harmless
from taylored.core.plan.canonical import canonical
from taylored.core.plan.options import Options
from taylored.core.posterior.calibrated import calibrated_logits
from taylored.core.terms.noise_robust import jensen_shannon
from taylored.core.terms.point import EDGE, Point
from taylored.modules.fields.parameter import About
from taylored.modules.function import function_of
from taylored.modules.spec import Reference, spec_of
from taylored.modules.vocabulary import WeightedCall, WeightedLoss

__all__ = ["GeneralizedJensenShannonLoss", "generalized_jensen_shannon_loss"]


def disagreement(log_p: Tensor, log_mean: Tensor) -> Tensor:
    """Mean of KL(p_m || mean of the p_m), per position."""
    return (torch.exp(log_p) * (log_p - log_mean)).sum(dim=2).mean(dim=0)


def agreement_loss(input: Logits, target: Tensor, pi: float, options: Options) -> Tensor:
    """Jensen-Shannon loss of the mean, plus the disagreement over -log(1 - pi) (eq. 5 to 7)."""
    term = jensen_shannon(pi)
    logits = _views(input)
    given = element_batch(logits[0], target, options)
    positions = (logits.shape[1], 1, *logits.shape[3:])
    logits = harmless(logits, (given.plan.rows == 0).reshape(positions))
    # A class without probability has none in the mean either, and a logarithm that is finite.
    log_p = torch.log_softmax(logits, dim=2).clamp_min(-EDGE)
    log_mean = torch.logsumexp(log_p, dim=0) - math.log(len(logits))
    apart = disagreement(log_p, log_mean).reshape(given.plan.rows.shape)

    def values(at: Point, y: Tensor, apart: Tensor) -> Tensor:
        return y * (term.evaluate(at) - apart / math.log1p(-pi))

    # The softmax of the mean's logarithm is the mean.
    given = replace(given, logits=canonical(log_mean), beside=(apart,))
    return loss_of_batch(log_mean, given, values)


def _views(input: Logits) -> Tensor:
    """The stacked logits in the dtype to compute in."""
    logits = check_input(input)
    if logits.dim() < 3 or logits.shape[0] == 0:
        fail(
            "input",
            "logits of M >= 1 predictions, stacked: (M, N, C, d1, ...)",
            f"shape {tuple(logits.shape)}",
            "use torch.stack([model(view) for view in views])",
        )
    return logits.to(computing_dtype(logits))


class GeneralizedJensenShannonLoss(WeightedLoss):
    r"""GJS: divergence of a label and M predictions of the same sample from their mixture.

    With c = 1 - pi, weights c / M for the predictions and m = pi y + (c / M) sum p_i, it is
    (pi KL(y || m) + (c / M) sum KL(p_i || m)) / (-c log c). That is the Jensen-Shannon loss of the
    mean prediction, plus (1 / -log c) times how far the predictions are from their mean: it asks
    for the label and for consistency, and a noisy label cannot buy the latter off. With M = 1 it is
    `JensenShannonLoss`. `weight` multiplies both parts.

    Shape:
        input (M, N, C, d1, ...) logits, the M predictions (of views, augmentations or dropout)
        stacked; target (N, d1, ...) class indices, or probabilities (N, C, d1, ...). The call also
        takes `sample_weight`, one number per sample or position, and `normalizer`, which replaces
        the denominator of "mean". `posterior`, `logits` and `predict` take the logits of one
        prediction, (N, C, d1, ...).

    Example:
        >>> import torch
        >>> loss = GeneralizedJensenShannonLoss(pi=0.3)
        >>> view, other = torch.tensor([[2.0, 0.0]]), torch.tensor([[0.0, 1.0]])
        >>> truth = torch.tensor([0])
        >>> loss(torch.stack([view, view]), truth), loss(torch.stack([view, other]), truth)
        (tensor(0.1256), tensor(1.1101))

    Soft targets: the loss is sum_k y_k phi(p_k) plus the consistency, the expected loss under the
    target, not the divergence from the soft label itself.
    """

    link = "softmax"
    class_dim = 2
    pi: Annotated[
        float,
        About(
            "weight of the label in the mixture; raising it forgives badly wrong samples more and "
            "weighs consistency less",
            within="[1e-9, 0.999999999]",
            domain="a number in (0, 1), from 1e-9 to 1 - 1e-9",
            fix="0.5 is the middle, and 0 and 1 are limits without a mixture",
            search=(0.05, 0.95),
        ),
    ] = 0.5

    def evaluate(self, input: Logits, target: Tensor, options: Options) -> Tensor:
        """The loss of stacked predictions against one target per sample."""
        return agreement_loss(input, target, self.pi, options)

    def calibrated(self, outputs: Tensor, options: Options) -> Tensor:
        """Those of the Jensen-Shannon loss: at the minimum all predictions agree."""
        return calibrated_logits(outputs, jensen_shannon(self.pi), options)


@function_of(GeneralizedJensenShannonLoss)
def generalized_jensen_shannon_loss(
    input: Tensor, target: Tensor, *, pi: float = 0.5, **shared: Unpack[WeightedCall]
) -> Tensor:
    r"""GJS: divergence of a label and M predictions of the same sample from their mixture.

    Example:
        >>> import torch
        >>> views = torch.tensor([[[2.0, 0.0]], [[0.0, 1.0]]])
        >>> generalized_jensen_shannon_loss(views, torch.tensor([0]))
        tensor(0.8092)

    Shape:
        As for `GeneralizedJensenShannonLoss`.
    """
    return agreement_loss(input, target, pi, Options(link="softmax", **shared))


SPEC = spec_of(
    "generalized_jensen_shannon",
    GeneralizedJensenShannonLoss,
    generalized_jensen_shannon_loss,
    summary="divergence of a label and several predictions of the sample from their mixture",
    formula=(
        r"\frac{\pi\,\mathrm{KL}(y\,\|\,m) + \frac{1-\pi}{M} \sum_i \mathrm{KL}(p_i\,\|\,m)}"
        r"{-(1-\pi)\log(1-\pi)},\quad m = \pi y + \frac{1-\pi}{M} \sum_i p_i"
    ),
    reference=Reference(
        "Englesson, Azizpour",
        "Generalized Jensen-Shannon Divergence Loss for Learning with Noisy Labels",
        "NeurIPS 2021",
        "equations 5 to 7",
    ),
    differs={
        "ErikEnglesson/GJS": "JensenShannonDivergenceWeightedScaled(weights='pi (1-pi)/M ...'): "
        "equal, up to its clamp of probabilities at 1e-7 before the logarithms; takes a list of M "
        "predictions and class indices",
        "timm": "JsdCrossEntropy: cross-entropy of the first view plus 12 times the consistency "
        "alone, with the views one after the other in the batch (AugMix)",
    },
    value_range="that of jensen_shannon, plus log M / -log(1 - pi)",
    examples=("generalized_jensen_shannon(pi=0.3)", "generalized_jensen_shannon(pi=0.8)"),
    call="stacked",
)
