"""What the model's p means: the p that a loss is least at, if labels are noisy or smoothed."""

from __future__ import annotations

import math
from dataclasses import asdict, dataclass
from typing import Any, NamedTuple

import torch
from torch import Tensor

from taylored.core.posterior.invertible import NoPosteriorError
from taylored.explain.subject import Subject, quiet
from taylored.explain.views import POINTS, SLOWER, WIDEST, Target
from taylored.modules.classification import ClassificationLoss

NOISE = (0.01, 0.05, 0.1, 0.2, 0.3, 0.4, 0.5)


@dataclass(frozen=True)
class Optimum:
    """Where the expected loss of two outcomes is least.

    A share `noise` of the samples that look alike has the other label. Smoothing of twice that
    share asks for the same, because half of it goes to each of two classes.

    Args:
        noise: the share of the other label.
        truth: the probability of the label, 1 - noise.
        model: the p of the model for the label at the minimum; None where there is no minimum.
        posterior: what `loss.posterior` makes of it; None where the loss has none.
        finite: whether the minimum is on the axis, and not at an infinite logit.

    """

    noise: tuple[float, ...]
    truth: tuple[float, ...]
    model: tuple[float | None, ...]
    posterior: tuple[float | None, ...]
    finite: tuple[bool, ...]

    def to_dict(self) -> dict[str, Any]:
        """Plain numbers and lists."""
        return asdict(self)


def optimum_of(subject: Subject, target: Target) -> Optimum:
    """The optimum for samples of one target, some of which are labelled as of the other."""
    points = POINTS if subject.at_once else POINTS // SLOWER
    logits = torch.linspace(-WIDEST, WIDEST, points, dtype=torch.float64)
    own, other = (_costs(subject, logits, label) for label in (target, 1 - target))
    found = [_least(logits, own, other, noise) for noise in NOISE]
    sign = 1 if target else -1
    return Optimum(
        NOISE,
        tuple(1 - noise for noise in NOISE),
        tuple(None if at is None else 1 / (1 + math.exp(-sign * at.logit)) for at in found),
        tuple(_read(subject, target, at.logit) if at and at.inside else None for at in found),
        tuple(at is not None and at.inside for at in found),
    )


class _Costs(NamedTuple):
    """The loss of a label at each logit of class 1, and its derivative by that logit."""

    value: Tensor
    slope: Tensor


class _Least(NamedTuple):
    """The logit of the least expected loss, and whether the axis does not just end there."""

    logit: float
    inside: bool


def _costs(subject: Subject, logits: Tensor, label: int) -> _Costs:
    """Both labels see the same outputs: not every loss looks at differences of logits alone."""
    values, slopes = [], []
    for part in (logits,) if subject.at_once else logits.split(1):
        leaf = part.clone().requires_grad_()
        with quiet(), torch.enable_grad():
            outputs = subject.outputs(leaf)
            value = subject.each(outputs, subject.labels(outputs.detach(), label))
            slope = torch.zeros_like(leaf)
            if value.requires_grad:
                (slope,) = torch.autograd.grad(
                    value.sum(), leaf, allow_unused=True, materialize_grads=True
                )
        values.append(value.detach().reshape(len(part), -1).sum(1))
        slopes.append(slope)
    return _Costs(torch.cat(values), torch.cat(slopes))


def _least(logits: Tensor, own: _Costs, other: _Costs, noise: float) -> _Least | None:
    expected = (1 - noise) * own.value + noise * other.value
    slope = (1 - noise) * own.slope + noise * other.slope
    if float(expected.max() - expected.min()) <= 1e-9 * float(expected.abs().max()):
        return None
    at = int(expected.nan_to_num(math.inf).argmin())
    if not 0 < at < len(expected) - 1:
        return _Least(float(logits[at]), False)
    for low in (at - 1, at):
        left, right = float(slope[low]), float(slope[low + 1])
        if left <= 0 < right or left < 0 <= right:
            step = float(logits[low + 1] - logits[low])
            return _Least(float(logits[low]) + left / (left - right) * step, True)
    return _Least(float(logits[at]), True)


def _read(subject: Subject, target: Target, logit: float) -> float | None:
    loss = subject.loss
    if not isinstance(loss, ClassificationLoss):
        return None
    try:
        outputs = subject.outputs(torch.tensor([logit], dtype=torch.float64))
        read = float(loss.posterior(outputs)[0, -1])
    except (NoPosteriorError, ValueError):
        return None
    return read if target else 1 - read
