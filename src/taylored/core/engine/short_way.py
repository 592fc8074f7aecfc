"""The shortcut of the torch executors: small plain calls as the few operations that they need.

Margin and gradient are those of `core/links/softmax.py`. Plan, masks and the limits for infinite
logits take several times as long as both; a call that needs any of them is declined.
"""

from __future__ import annotations

import torch
from torch import Tensor, nn

from taylored.core.checks import debugging
from taylored.core.context import unobserved
from taylored.core.engine.executor import Direct, gradient_dtype
from taylored.core.inputs.logits import Logits
from taylored.core.links.class_sums import RunningSums
from taylored.core.numerics import computing_dtype, without_offset
from taylored.core.plan.canonical import canonical
from taylored.core.plan.options import REDUCTIONS, Options, PerClass
from taylored.core.plan.plan import along_classes
from taylored.core.terms.point import EDGE, Point
from taylored.core.terms.summands import settled
from taylored.core.terms.term import Term

MOST_LOGITS = 1 << 18
"""As many as one block has (`blocked.py`): these operations gain nothing from pieces until then."""


def short_way(input: Logits, target: Tensor, term: Term, options: Options) -> Direct | None:
    """Loss and gradient of logits against one true class each; None for anything unusual."""
    if not isinstance(input, Tensor) or not _plain(input, target, options) or term.parameters():
        return None
    hot = canonical(target.unsqueeze(1))
    wanted = input.requires_grad and torch.is_grad_enabled()
    counts = options.indicator is not None and options.indicator.collecting()
    if counts and (not wanted or options.weight is not None):
        return None  # a plan adds up the weighted gradients
    with torch.no_grad():
        logits = canonical(input.detach()).to(computing_dtype(input))
        if isinstance(options.logit_bias, Tensor):
            logits = without_offset(logits, 1) + along_classes(options.logit_bias, logits)
        others = logits.scatter(1, hot, torch.finfo(logits.dtype).min)
        peak = others.amax(dim=1, keepdim=True)
        sizes = others.sub_(peak).exp_()
        mass = sizes.sum(dim=1, keepdim=True)
        margin = logits.gather(1, hot).sub_(peak).sub_(mass.log())
        low, high = margin.aminmax()
        if not -EDGE < float(low) <= float(high) < EDGE:
            return None  # logits that are infinite, or none
        rows, denominator = _rows(hot, logits, options)
        if denominator == 0.0:
            return None  # classes without a weight only
        values, slopes = settled(term).evaluate_with_slope(Point(margin))
        gradient = sums = None
        if wanted:
            pulls = slopes * rows
            gradient = sizes.mul_(pulls / mass)
            if counts:
                running = RunningSums.of(logits)
                running.add_rivals(gradient, pulls, hot)
                sums = running.stacked()
            gradient = gradient.scatter_(1, hot, pulls.neg_()).to(gradient_dtype(input))
            gradient = gradient.reshape(input.shape)
        values = values * rows
        loss = values.reshape(target.shape) if options.reduction == "none" else values.sum()
    return Direct(loss, gradient, target, rows, sums, denominator)


def _rows(hot: Tensor, logits: Tensor, options: Options) -> tuple[Tensor | float, float | None]:
    """The coefficient of each position, or one for all, and what it was divided by."""
    divides = options.reduction in ("mean", "batch_mean")
    count = float(hot.numel())
    if not isinstance(options.weight, Tensor):
        return (1.0 / count, count) if divides else (1.0, None)
    weights = options.weight.to(logits)[hot]
    if not divides:
        return weights, None
    amount = count if options.reduction == "batch_mean" else float(weights.sum())
    return weights / amount, amount


def _plain(input: Tensor, target: Tensor, options: Options) -> bool:
    """Whether it is a small call of the plainest kind, whose every class has a column."""
    ignore, shape = options.ignore_index, input.shape
    if not (_without_options(options) and unobserved()) or debugging():
        return False
    if target.dtype is not torch.int64 or target.shape != (*shape[:1], *shape[2:]):
        return False
    if not (_ordinary(input) and _ordinary(target) and input.is_floating_point()):
        return False
    if len(shape) < 2 or shape[1] < 2 or not 0 < input.numel() <= MOST_LOGITS:
        return False
    if ignore is not None and 0 <= ignore < shape[1]:
        return False
    for values in (options.weight, options.logit_bias):
        if values is not None and not _is_per_class(values, shape[1]):
            return False
    low, high = target.aminmax()
    return bool(low.item() >= 0 and high.item() < shape[1])


def _ordinary(values: Tensor) -> bool:
    """Whether it is a tensor with numbers on the CPU, and no subclass."""
    return type(values) in (Tensor, nn.Parameter) and values.is_cpu


def _is_per_class(values: PerClass, classes: int) -> bool:
    """Whether it is one constant for each class."""
    return (
        isinstance(values, Tensor)
        and _ordinary(values)
        and values.shape == (classes,)
        and not values.requires_grad
    )


def _without_options(options: Options) -> bool:
    return (
        options.link == "softmax"
        and options.reduction in REDUCTIONS
        and options.sample_weight is None
        and options.normalizer is None
        and options.logit_scale is None
        and options.temperature == 1.0
        and options.label_smoothing == 0.0
        and options.margin is None
        and options.background_index is None
        and options.alpha is options.pos_weight is options.neg_weight is None
        and options.rejection is None
    )
