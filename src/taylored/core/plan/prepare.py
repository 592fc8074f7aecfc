"""From the caller's arguments to a plan: shapes, masks, weights and denominators."""

from __future__ import annotations

import math

import torch
from torch import Tensor

from taylored.core.checks import debugging, fail
from taylored.core.context import has_numbers, values_are_known
from taylored.core.inputs.logits import Logits
from taylored.core.inputs.raw_scores import check_raw_scores
from taylored.core.inputs.targets import (
    check_indices,
    check_input,
    check_probabilities,
    sigmoid_kind,
    softmax_kind,
)
from taylored.core.numerics import computing_dtype, harmless
from taylored.core.plan.canonical import canonical
from taylored.core.plan.denominator import denominator_of, divided
from taylored.core.plan.options import Options, check_options
from taylored.core.plan.per_class_numbers import (
    check_per_class,
    outcome_weights,
    tensor_or_none,
)
from taylored.core.plan.plan import Plan
from taylored.core.plan.sample_weight import per_element, per_position
from taylored.core.plan.truth_margin import TruthMargin
from taylored.core.plan.uncounted import (
    impossible,
    rows_of_masses,
    truth_of_counted,
    truth_or_nan,
)
from taylored.core.terms.summands import settled
from taylored.core.terms.term import Term

_NO_CLASS = -1
"""The class of a background row, which has no column."""


def prepare(input: Logits, target: Tensor, term: Term, options: Options) -> tuple[Tensor, Plan]:
    """Canonical logits, (N, C) or (N, C, S), and the plan for them."""
    input = check_input(input)
    check_options(options)
    build = _softmax_plan if options.link == "softmax" else _sigmoid_plan
    return build(input, target, term, options)


def prepared(
    input: Tensor, target: Tensor, rows: Tensor | float, term: Term, options: Options
) -> tuple[Tensor, Plan]:
    """Logits and plan for targets that a shortcut has already checked and weighted."""
    logits = canonical(input)
    positions = logits.shape[:1] + logits.shape[2:]
    kind = "dense" if target.shape == input.shape else "index"
    target = target.reshape(logits.shape if kind == "dense" else positions)
    if not isinstance(rows, Tensor):
        rows = torch.full(positions, rows, dtype=computing_dtype(input), device=input.device)
    rows = rows.reshape(positions).unsqueeze(1)
    # With the softmax link the weights are in the rows already.
    positive, negative = outcome_weights(options) if options.link == "sigmoid" else (None, None)
    return logits, _plan(term, options, target, kind, rows, None, None, positive, negative)


def _softmax_plan(
    input: Tensor, target: Tensor, term: Term, options: Options
) -> tuple[Tensor, Plan]:
    if input.dim() == 0:
        fail("input", "logits with classes on axis 1", "a scalar", 'use link="sigmoid"')
    kind = softmax_kind(input, target)
    if options.margin is not None and (kind != "index" or options.label_smoothing != 0.0):
        fail("target", "class indices: the margin is that of the one true class",
             f"probabilities, shape {tuple(target.shape)}, or label_smoothing",
             "use target.argmax(1)")  # fmt: skip
    if input.dim() == 1:
        input, target = input.unsqueeze(0), target.unsqueeze(0)
    logits = canonical(input)
    if debugging():
        check_raw_scores(logits, "softmax")
    positions = logits.shape[:1] + logits.shape[2:]
    check_per_class(term, options, logits.shape[1])
    dtype = computing_dtype(logits)
    rows = torch.ones((), dtype=dtype, device=logits.device)
    positive = tensor_or_none(options.weight)
    mean: Tensor | int = math.prod(positions)
    kept: Tensor | int = mean
    if kind == "index":
        target = target.reshape(positions).long()
        if options.ignore_index is None:
            rows = torch.ones_like(target, dtype=dtype)
        else:
            keep = target != options.ignore_index
            # The class of an ignored position has to have a column too.
            target, rows = torch.where(keep, target, 0), keep.to(dtype)
        check_indices(target, logits.shape[1], options.ignore_index)
        mean = kept = rows.sum()
        rows = impossible(rows, target, logits.shape[1])
        class_weight = rows
        if positive is not None:
            class_weight = rows * positive.to(rows).reshape(-1).expand(logits.shape[1])[target]
            mean = class_weight.sum()
        if options.label_smoothing == 0.0:
            # With one true class, its weight becomes a factor of the position.
            rows, positive = class_weight, None
    else:
        target = target.reshape(logits.shape)
        masses = rows_of_masses(target, options.ignore_index)
        if masses is not None:
            rows = masses.to(rows)
            mean = kept = (rows != 0).sum()
        check_probabilities(target, None, axis=1, kept=None if masses is None else rows != 0)
        if masses is not None:
            target = torch.where(rows.unsqueeze(1) == 0, 0.0, target)
    denominator = denominator_of(options.reduction, options.normalizer, mean=mean, batch_mean=kept)
    rows = divided(rows, denominator, options.normalizer)
    if options.sample_weight is not None:
        rows = rows * per_position(options.sample_weight, input, positions).to(rows)
        target = truth_of_counted(target, rows.unsqueeze(1)) if kind != "index" else target
    rows = rows.expand(positions).unsqueeze(1)
    return logits, _plan(term, options, target, kind, rows, denominator, None, positive, None)


def _sigmoid_plan(
    input: Tensor, target: Tensor, term: Term, options: Options
) -> tuple[Tensor, Plan]:
    kind = sigmoid_kind(input, target, options.background_index)
    if input.dim() < 2:
        input, target = input.reshape(-1, 1), target.reshape(-1, 1)
    logits = canonical(input)
    if debugging():
        check_raw_scores(logits, "sigmoid")
    positions = logits.shape[:1] + logits.shape[2:]
    num_classes = logits.shape[1]
    check_per_class(term, options, num_classes)
    rows = torch.ones((), dtype=computing_dtype(logits), device=logits.device)
    kept: Tensor | int = math.prod(positions)
    mean: Tensor | int = logits.numel()
    ignore: int | None = None
    if kind == "index":
        target = target.reshape(positions).long()
        if options.ignore_index is not None:
            keep = target != options.ignore_index
            target = torch.where(keep, target, 0)
            kept = keep.sum()
            mean, rows = kept * num_classes, keep.unsqueeze(1).to(rows.dtype)
        background = None
        if options.background_index is not None:
            background = target == options.background_index
            target = torch.where(background, 0, target)
        check_indices(target, num_classes, options.ignore_index)
        rows = impossible(rows, target, num_classes)
        if background is not None:
            target = torch.where(background, _NO_CLASS, target)
    else:
        check_probabilities(target, options.ignore_index, axis=None)
        target = target.reshape(logits.shape)
        if options.ignore_index is not None and target.dtype != torch.bool:
            ignore = options.ignore_index
            if options.reduction == "mean" and options.normalizer is None:
                mean = _count_kept(target, ignore)
            if options.reduction == "batch_mean":
                kept = (target != ignore).any(dim=1).sum()
    denominator = denominator_of(options.reduction, options.normalizer, mean=mean, batch_mean=kept)
    rows = divided(rows, denominator, options.normalizer)
    if options.sample_weight is not None:
        rows = rows * per_element(options.sample_weight, input, logits).to(rows)
        target = truth_of_counted(target, rows) if kind != "index" else target
    if kind != "index":
        target = truth_or_nan(target, ignore)
    width = rows.shape[1] if rows.dim() > 1 else 1
    rows = rows.expand(logits.shape[0], width, *logits.shape[2:])
    positive, negative = outcome_weights(options)
    return logits, _plan(term, options, target, kind, rows, denominator, ignore, positive, negative)


def _plan(
    term: Term,
    options: Options,
    target: Tensor,
    kind: str,
    rows: Tensor,
    denominator: Tensor | float | None,
    ignore: int | None,
    positive: Tensor | None,
    negative: Tensor | None,
) -> Plan:
    return Plan(
        link=options.link,
        term=settled(term),
        rejection=None if options.rejection is None else settled(options.rejection),
        target=target,
        target_kind="index" if kind == "index" else "dense",
        rows=rows,
        denominator=denominator,
        ignore=ignore,
        positive=positive,
        negative=negative,
        smoothing=options.label_smoothing,
        scale=tensor_or_none(options.logit_scale),
        bias=tensor_or_none(options.logit_bias),
        temperature=options.temperature,
        margin=_per_position(options.margin, rows),
        output="each" if options.reduction == "none" else "sum",
    )


def _per_position(margin: TruthMargin | None, rows: Tensor) -> TruthMargin | None:
    """The margin with numbers in the shape of the rows, finite where a position has none."""
    if margin is None:
        return None
    return margin.at(lambda values: harmless(values.reshape(rows.shape).to(rows), rows == 0))


def _count_kept(target: Tensor, ignore: int) -> Tensor:
    """Number of elements that are not ignored, without a mask of full size."""
    # To look for the least value takes a seventh of the time of counting.
    look = target.is_cpu and target.numel() > 0 and values_are_known() and has_numbers(target)
    if look and float(target.detach().amin()) > ignore:
        return torch.tensor(target.numel(), device=target.device)
    rows = max(1, (1 << 17) // max(1, target[:1].numel()))
    return torch.stack([torch.count_nonzero(part != ignore) for part in target.split(rows)]).sum()
