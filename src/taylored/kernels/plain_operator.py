"""A plain call as one operator of torch: targets, options and sweep, from the caller's arguments.

A compiler makes loops of its own of what `prepare` does with targets; where positions are many, as
in segmentation, these take a tenth as long as the sweep. The library does it in one pass, and where
it declines, as eager calls of it do, the operator makes the plan.
"""

from __future__ import annotations

from array import array
from typing import Any, NamedTuple

import torch
from torch import Tensor

from taylored.core.checks import debugging
from taylored.core.context import being_transformed, exporting
from taylored.core.engine.executor import Direct
from taylored.core.inputs.logits import Logits
from taylored.core.plan.canonical import in_shape_of
from taylored.core.plan.options import LinkName, Options, Reduction
from taylored.core.plan.per_class_numbers import outcome_weights, tensor_or_none
from taylored.core.plan.plan import sums_by_logits
from taylored.core.plan.prepare import prepare
from taylored.core.terms.elementary import NegativeLogLikelihood
from taylored.core.terms.term import Term
from taylored.kernels.abi import FLOATS, TRUTHS, layout_of
from taylored.kernels.executor import packed
from taylored.kernels.library import Library
from taylored.kernels.parcel import (
    EXACT,
    OPERATORS,
    define,
    fake_loss,
    fake_parcel,
    fake_sums,
    laid_out,
    parcel_for,
)
from taylored.kernels.plain import countable, has_plain_options, run_plain
from taylored.kernels.program import Program, program_of
from taylored.kernels.sweep import swept

_GIVEN = (
    "(Tensor logits, Tensor target, Tensor? weight, Tensor? positive, Tensor? negative, "
    "Tensor? scale, Tensor? bias, str link, str reduction, int? ignore, float smoothing, "
    "float gamma, float[] log_factor, float[] rest, int skipped)"
)
"""`_Call`."""


class _Call(NamedTuple):
    """What the operators are called with: tensors and options, then the term as a `Program`.

    Attributes:
        weight: coefficient of the true class (softmax).
        positive: coefficient per class of being the truth (sigmoid).
        negative: that of not being it.
    """

    logits: Tensor
    target: Tensor
    weight: Tensor | None
    positive: Tensor | None
    negative: Tensor | None
    scale: Tensor | None
    bias: Tensor | None
    link: LinkName
    reduction: Reduction
    ignore: int | None
    smoothing: float
    gamma: float
    log_factor: list[float]
    rest: list[float]
    skipped: int

    def options(self) -> Options:
        """The options that give these numbers."""
        return Options(
            link=self.link,
            weight=self.weight,
            pos_weight=self.positive,
            neg_weight=self.negative,
            logit_scale=self.scale,
            logit_bias=self.bias,
            ignore_index=self.ignore,
            label_smoothing=self.smoothing,
            reduction=self.reduction,
        )

    def program(self) -> Program:
        """The term."""
        log_factor, rest = array("d", self.log_factor), array("d", self.rest)
        return Program(self.gamma, None, log_factor, rest, self.skipped)


def recorded(input: Logits, target: Tensor, term: Term, options: Options) -> Direct | None:
    """The loss of one operator, which backward can be called on; None for anything unusual."""
    if exporting() or being_transformed() or debugging() or not isinstance(input, Tensor):
        return None
    if not has_plain_options(options) or not _has_plain_target(input, target, options):
        return None
    program = program_of(term)
    if program is None or program.gammas is not None:
        return None
    by_element = options.link == "sigmoid"
    outcomes = outcome_weights(options) if by_element else (None, None)
    per_class = (
        None if by_element else tensor_or_none(options.weight),
        *outcomes,
        tensor_or_none(options.logit_scale),
        tensor_or_none(options.logit_bias),
    )
    if not all(each is None or _is_plain(each, input.shape[1]) for each in per_class):
        return None
    call = _Call(
        input,
        target,
        *per_class,
        options.link,
        options.reduction,
        options.ignore_index,
        options.label_smoothing,
        program.gamma,
        list(program.log_factor),
        list(program.rest),
        program.skipped,
    )
    sums = denominator = None
    wanted = torch.is_grad_enabled() and input.requires_grad
    if options.indicator is not None and options.indicator.collecting():
        if not wanted or not countable(options):
            return None
        loss, _, sums, denominator = torch.ops.taylored.plain_counting_sweep(*call)
    elif wanted:
        loss = torch.ops.taylored.plain_sweep(*call)[0]
    else:
        loss = torch.ops.taylored.plain_value(*call)
    divided = options.reduction in ("mean", "batch_mean")
    return Direct(loss, None, target, 1.0, sums, denominator if divided else None)


def _has_plain_target(input: Tensor, target: Tensor, options: Options) -> bool:
    """Whether shapes and dtypes are right, and known to the library."""
    shape = input.shape
    if len(shape) < 2 or input.dtype not in FLOATS or target.requires_grad:
        return False
    if not all(each.is_cpu and each.layout is torch.strided for each in (input, target)):
        return False
    if target.shape == shape:
        allowed = target.dtype in TRUTHS
        return allowed if options.link == "sigmoid" else target.is_floating_point() and shape[1] > 1
    by_index = target.dtype is torch.int64 and target.shape == (shape[0], *shape[2:])
    return by_index and shape[1] > 1


def _is_plain(values: Tensor, classes: int) -> bool:
    """Whether it is one constant, or one for each class."""
    return (
        values.is_cpu
        and not values.requires_grad
        and (values.dim() == 0 or values.shape == (classes,))
    )


def register(library: Library) -> None:
    """Say what the operators do on the CPU: run this library."""

    def plain_value(*given: Any) -> Tensor:
        return _run(library, _Call(*given), None, None)[0]

    def plain_sweep(*given: Any) -> tuple[Tensor, Tensor]:
        parcel, gradient = parcel_for(given[0])
        return _run(library, _Call(*given), gradient, None)[0], parcel

    def plain_counting_sweep(*given: Any) -> tuple[Tensor, Tensor, Tensor, Tensor]:
        parcel, gradient = parcel_for(given[0])
        sums = torch.zeros(2, given[0].shape[1], dtype=torch.float64, device="cpu")
        loss, found, denominator = _run(library, _Call(*given), gradient, sums)
        assert found is not None  # noqa: S101 - it was given sums
        amount = torch.empty((), dtype=torch.float64, device="cpu")
        amount.fill_(1.0 if denominator is None else denominator)
        return loss, parcel, found, amount

    for operator in (plain_value, plain_sweep, plain_counting_sweep):
        OPERATORS.impl(operator.__name__, operator, "CPU")


_Found = tuple[Tensor, Tensor | None, Tensor | float | None]
"""Loss, sums and denominator."""


def _run(library: Library, call: _Call, gradient: Tensor | None, sums: Tensor | None) -> _Found:
    """The shortcut, or else the plan; the gradient is written in its layout."""
    logits, target, options = laid_out(call.logits), call.target.contiguous(), call.options()
    if logits.numel() > 0:
        found = run_plain(library, logits, target, call.program(), options, gradient, sums)
        if found is not None:
            return found.loss, found.sums, found.denominator
    return _planned(library, call._replace(logits=logits, target=target), gradient, sums)


def _planned(library: Library, call: _Call, gradient: Tensor | None, sums: Tensor | None) -> _Found:
    """The same by a plan, which raises for whatever is wrong."""
    logits, plan = prepare(call.logits, call.target, NegativeLogLikelihood(), call.options())
    if logits.numel() == 0:
        return _loss_like(*call), sums, plan.denominator
    if layout_of(logits) is None:
        logits = logits.contiguous()
    batch, formula = packed(logits, plan)
    program = call.program()
    formula = formula._replace(
        gamma=program.gamma,
        log_factor=program.log_factor,
        rest=program.rest,
        skipped=program.skipped,
    )
    into = None if gradient is None else torch.empty_like(logits, dtype=gradient.dtype)
    loss = swept(library, batch, formula, into, sums)
    if gradient is not None and into is not None:
        gradient.copy_(into.reshape(gradient.shape))
    found = None if sums is None else sums_by_logits(sums, plan)
    return in_shape_of(call.logits, loss, plan), found, plan.denominator


def _loss_like(*given: Any) -> Tensor:
    call = _Call(*given)
    return fake_loss(call.logits, call.link, by_value=call.reduction == "none")


def _fake_sweep(*given: Any) -> tuple[Tensor, Tensor]:
    return _loss_like(*given), fake_parcel(given[0])


def _fake_counting_sweep(*given: Any) -> tuple[Tensor, Tensor, Tensor, Tensor]:
    sums = fake_sums(given[0])
    return _loss_like(*given), fake_parcel(given[0]), sums, sums.new_zeros(())


OPERATORS.define(f"plain_value{_GIVEN} -> Tensor", tags=EXACT)
OPERATORS.impl("plain_value", _loss_like, "Meta")
define("plain_sweep", _GIVEN, "(Tensor, Tensor)", _fake_sweep)
define("plain_counting_sweep", _GIVEN, "(Tensor, Tensor, Tensor, Tensor)", _fake_counting_sweep)
