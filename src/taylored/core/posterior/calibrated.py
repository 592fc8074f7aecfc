"""From the outputs of a trained model to the class probabilities that they stand for.

Where the classes of a position have the probabilities eta, the expected loss is the sum of
eta_k w_k phi_k(p_k), and its minimum over the logits is where eta_k w_k g_k(p_k) / p_k is alike for
all classes, g = -p phi' the gain. So the outputs of a model that has learned what it was told say
what eta was, in closed form:

    softmax    eta_k proportional to p_k / (w_k g_k(p_k))
    sigmoid    eta / (1 - eta) = (b g_0(q) / q) / (a g_1(p) / p), a and b the weights of yes and no

Everything is done with logarithms of slopes, h = q g, which every term knows at any logit.
"""

from __future__ import annotations

import math

import torch
from torch import Tensor

from taylored.core.links.margins import margins_of
from taylored.core.logistic import sigmoid
from taylored.core.numerics import (
    computing_dtype,
    scaled_without_offset,
    smoothing_parts,
    tensor_of,
    without_offset,
)
from taylored.core.plan.canonical import canonical
from taylored.core.plan.options import Options, PerClass
from taylored.core.plan.per_class_numbers import outcome_weights
from taylored.core.plan.plan import along_classes
from taylored.core.posterior.invertible import check_invertible
from taylored.core.terms.point import Point
from taylored.core.terms.summands import settled
from taylored.core.terms.term import Term

_FARTHEST = 1e30
"""Margins beyond this one, infinite ones too, are as good as it; products with it are finite."""


def calibrated_logits(outputs: Tensor, term: Term, options: Options) -> Tensor:
    """Logits whose softmax, or sigmoid, is the distribution of the training data.

    Args:
        outputs: what a model trained with this term and these options gives, (N, C, d1, ...), (C,)
            for the softmax link or (N,) for the sigmoid link.
        term: phi of the truth, and of "no" too if the options have no rejection.
        options: those of the training: weights, scale, bias, temperature, smoothing.

    Returns:
        Logits of the shape of `outputs`, log-probabilities for the softmax link; float32 for half
        precision. NaN where the loss rises with the probability of the truth, so that no minimum
        is there; -inf where eta is 0.
    """
    check_invertible(term, options)
    z = rows_of(outputs, options.link, options.logit_scale)
    x = z if options.logit_bias is None else z + _along(options.logit_bias, z)
    x = x / options.temperature
    calibrate = _softmax if options.link == "softmax" else _sigmoid
    return calibrate(x, term, options).reshape(outputs.shape)


def rows_of(outputs: Tensor, link: str, scale: PerClass | None = None) -> Tensor:
    """Outputs as (N, C) or (N, C, S), in the dtype to compute in; scaled by class (softmax).

    What softmax ignores is taken off.
    """
    z = outputs.to(computing_dtype(outputs))
    if link == "sigmoid":
        return z.reshape(-1, 1) if z.dim() < 2 else canonical(z)
    z = z.unsqueeze(0) if z.dim() < 2 else canonical(z)
    if scale is not None:
        z = scaled_without_offset(z, _along(scale, z), 1)
    return without_offset(z, 1)


def without_smoothing(log_shares: Tensor, smoothing: float) -> Tensor:
    """Log-probabilities over axis 1 before the smoothing; what it cannot have made counts as 0."""
    log_shares = torch.log_softmax(log_shares, dim=1)
    if smoothing == 0.0:
        return log_shares
    _, even = smoothing_parts(smoothing, log_shares.shape[1])
    return torch.log_softmax(log_excess(torch.exp(log_shares), even), dim=1)


def log_excess(shares: Tensor, even: float) -> Tensor:
    """log(share - even), -inf where there is no excess, NaN where the share is NaN."""
    none = shares <= even
    return torch.where(none, -math.inf, torch.log(torch.where(none, 1.0, shares - even)))


def _softmax(x: Tensor, term: Term, options: Options) -> Tensor:
    at = point_of(margins_of(x))
    log_eta = at.log_p + at.log_q - _log_slope(term, at, x)
    if options.weight is not None:
        log_eta = log_eta - _log_weight(options.weight, x)
    masked = x == -math.inf
    return without_smoothing(torch.where(masked, -math.inf, log_eta), options.label_smoothing)


def _sigmoid(x: Tensor, term: Term, options: Options) -> Tensor:
    at = point_of(x)
    rejection = term if options.rejection is None else options.rejection
    log_odds = _log_slope(rejection, at.complement(), x) - _log_slope(term, at, x)
    yes, no = outcome_weights(options)
    if yes is not None:
        log_odds = log_odds - _log_weight(yes, x)
    if no is not None:
        log_odds = log_odds + _log_weight(no, x)
    if options.label_smoothing == 0.0:
        return log_odds
    _, even = smoothing_parts(options.label_smoothing, 2)
    return log_excess(sigmoid(log_odds), even) - log_excess(sigmoid(-log_odds), even)


def point_of(margins: Tensor) -> Point:
    """The point of margins that may be infinite."""
    return Point(margins.clamp(-_FARTHEST, _FARTHEST))


def _log_slope(term: Term, at: Point, x: Tensor) -> Tensor:
    """Logarithm of h; NaN where the loss rises."""
    _, slope = settled(term).bind(lambda values: along_classes(values, x)).logarithms(at)
    return torch.where(slope.sign < 0, math.nan, slope.log)


def _log_weight(weight: PerClass, x: Tensor) -> Tensor:
    """Logarithm of a weight per class; NaN for a weight of 0, with which nothing is learned."""
    values = _along(weight, x)
    return torch.where(values > 0, torch.log(values), math.nan)


def _along(values: PerClass, x: Tensor) -> Tensor:
    given = values if isinstance(values, Tensor) else tensor_of(values, torch.float64)
    return along_classes(given, x)
