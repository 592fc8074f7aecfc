"""From the class distribution of the training data to that of another place."""

from __future__ import annotations

import math
from typing import Literal, get_args

import torch
from torch import Tensor

from taylored.core.checks import fail
from taylored.core.class_weights import check_counts, log_prior
from taylored.core.context import values_are_known
from taylored.core.labels import PerClass, in_class_order
from taylored.core.numerics import tensor_of
from taylored.core.plan.plan import along_classes
from taylored.core.posterior.calibrated import rows_of

PriorName = Literal["train", "balanced"]
Prior = PriorName | PerClass
"""The class distribution that probabilities are wanted for."""

_CALL = 'loss.posterior(outputs, prior="balanced", counts=taylored.class_counts(targets)'


def check_prior(prior: object, counts: object, num_samples: object) -> None:
    """Refuse an unknown prior, and counts where nothing is done with them."""
    names = get_args(PriorName)
    if isinstance(prior, str) and prior not in names:
        known = '"train", "balanced", or one number per class'
        fail("prior", known, repr(prior), "give the counts where the model is used: prior=[90, 10]")
    if prior is None or (isinstance(prior, str) and prior == "train"):
        for name, given in (("counts", counts), ("num_samples", num_samples)):
            if given is not None:
                unused = f"left out with prior={prior!r}, which changes no class distribution"
                fail(name, unused, "a value", 'pass prior="balanced", or another prior')


def under_prior(
    logits: Tensor, link: str, prior: Prior, counts: PerClass | None, num_samples: float | None
) -> Tensor:
    """Calibrated logits of the training distribution, moved to another one.

    Args:
        logits: those of the training distribution.
        link: "softmax" or "sigmoid".
        prior: "balanced", or what the classes' shares are where the model is used: counts or rates
            for softmax, rates of positives for sigmoid.
        counts: training samples (positives) per class.
        num_samples: what the counts are parts of, for sigmoid.
    """
    if counts is None:
        known = "training samples per class, which this loss does not know"
        fail("counts", known, None, f"{_CALL})")
    move = _between_shares if link == "softmax" else _between_rates
    shift = move(prior, counts, num_samples)
    wide = rows_of(logits, link)
    if len(shift) != wide.shape[1]:
        expected = f"one number per class: {wide.shape[1]} for these outputs"
        fix = f"taylored.class_counts(targets, num_classes={wide.shape[1]})"
        fail("counts", expected, len(shift), fix)
    moved = wide + along_classes(shift, wide)
    if link == "softmax":
        moved = torch.log_softmax(moved, dim=1)
    return moved.reshape(logits.shape)


def _between_shares(prior: Prior, counts: PerClass, num_samples: float | None) -> Tensor:
    """Log of the new share of each class over that in training, but for a constant."""
    if num_samples is not None:
        unused = 'left out with link="softmax": every sample is in one class'
        fail("num_samples", unused, num_samples, "leave it out")
    trained = log_prior(counts, dtype=torch.float64)
    return -trained if isinstance(prior, str) else torch.log(_given(prior, len(trained))) - trained


def _between_rates(prior: Prior, counts: PerClass, num_samples: float | None) -> Tensor:
    """Log odds of the new rate of positives of each class, less those in training."""
    if num_samples is None:
        known = "how many training samples the counts are parts of (classes are no parts of one)"
        fail("num_samples", known, None, f"{_CALL}, num_samples=len(targets))")
    amounts = check_counts(counts)
    if values_are_known() and bool((amounts > num_samples).any()):
        least = f"at least the largest count, {amounts.max():g}"
        fail("num_samples", least, num_samples, "give the number of training samples")
    # Of an outcome that was never seen, half a sample.
    amounts = torch.where(amounts == 0, 0.5, amounts)
    amounts = torch.where(amounts == num_samples, num_samples - 0.5, amounts)
    trained = torch.logit(amounts / num_samples)
    if isinstance(prior, str):
        return -trained
    rates = _given(prior, len(trained))
    if values_are_known() and not bool(((rates > 0) & (rates < 1)).all()):
        expected = 'rates of positives per class, in (0, 1), with link="sigmoid"'
        fail("prior", expected, prior, "divide counts by the number of samples")
    return torch.logit(rates) - trained


def _given(prior: PerClass, classes: int) -> Tensor:
    """One number >= 0 per class, in the order of the classes."""
    listed = in_class_order("prior", prior, gaps=False, classes=classes)
    values = tensor_of(listed, torch.float64)
    if values.dim() != 1 or len(values) != classes:
        expected = f"one number per class for {classes} classes, as the counts are"
        fail("prior", expected, prior, "give one number per class")
    if values_are_known() and not bool(((values >= 0) & (values < math.inf)).all() & values.any()):
        expected = "finite, >= 0, and above 0 for some class"
        fail("prior", expected, prior, "give the counts, or shares, where the model is used")
    return values
