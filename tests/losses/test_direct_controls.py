"""Planted faults: the checks of losses of one value per position must be able to fail."""

from __future__ import annotations

import dataclasses

import pytest
import torch
from torch import Tensor

from kit.checks import direct as checks
from kit.direct import Direct
from kit.faults import Faults
from taylored.catalog import parser
from taylored.core.boxes import geometry
from taylored.core.context import transformed
from taylored.core.plan import reduced
from taylored.losses.boxes import eiou, focal_eiou
from taylored.losses.regression import log_cosh, smooth_l1
from taylored.losses.scores import score_loss
from taylored.modules import values

SMOOTH, COSH = Direct("smooth_l1(beta=0.1)"), Direct("log_cosh()")
GIOU = Direct("giou()")

fault = Faults(RuntimeError, TypeError, AttributeError)


@fault(checks.check_value, SMOOTH)
def half_of_the_value(patch: pytest.MonkeyPatch) -> None:
    original = smooth_l1.smooth_l1_values
    patch.setattr(smooth_l1, "smooth_l1_values", lambda *given: 0.5 * original(*given))


@fault(checks.check_value, Direct("hinge()"))
def answers_of_0_that_count_as_0(patch: pytest.MonkeyPatch) -> None:
    patch.setattr(score_loss, "margins", lambda scores, truth: scores * truth)


@fault(checks.check_derivatives, COSH)
def a_gradient_that_is_not_that_of_the_value(patch: pytest.MonkeyPatch) -> None:
    original = log_cosh.log_cosh_values

    def leaking(input: Tensor, target: Tensor) -> Tensor:
        return original(input, target) + 0.1 * (input - input.detach())

    patch.setattr(log_cosh, "log_cosh_values", leaking)


@fault(checks.check_weights, SMOOTH)
@fault(checks.check_weights, GIOU)
def a_mean_over_weights(patch: pytest.MonkeyPatch) -> None:
    original = values.reduced

    def other(found: Tensor, reduction: str, weight=None, *rest: object) -> Tensor:
        value = original(found, reduction, weight, *rest)
        return value if weight is None else value * found.numel() / weight.expand(found.shape).sum()

    patch.setattr(values, "reduced", other)


@fault(checks.check_what_counts_for_nothing, SMOOTH)
@fault(checks.check_what_counts_for_nothing, GIOU)
def nothing_is_silenced(patch: pytest.MonkeyPatch) -> None:
    patch.setattr(values, "silenced", lambda each, *given: each)


@fault(checks.check_half, COSH, torch.float16)
def computed_in_half_precision(patch: pytest.MonkeyPatch) -> None:
    patch.setattr(values, "computing_dtype", lambda each: each.dtype)


@fault(checks.check_nothing, SMOOTH)
def a_mean_of_nothing_is_nan(patch: pytest.MonkeyPatch) -> None:
    patch.setattr(reduced, "divided", lambda rows, amount, *given: rows / torch.tensor(amount))


@fault(checks.check_refused, SMOOTH)
@fault(checks.check_refused, GIOU)
def shapes_are_broadcast(patch: pytest.MonkeyPatch) -> None:
    patch.setattr(smooth_l1.SmoothL1Loss, "check_call", lambda *given: None)
    patch.setattr("taylored.modules.boxes.check_boxes", lambda *given: None)


@fault(checks.check_value, GIOU)
def an_eps_in_the_denominator(patch: pytest.MonkeyPatch) -> None:
    patch.setattr(geometry.Pair, "iou", property(lambda at: at.intersection / (at.union + 1e-7)))


@fault(checks.check_inputs_stay, SMOOTH)
def the_input_is_written_to(patch: pytest.MonkeyPatch) -> None:
    original = smooth_l1.smooth_l1_values

    def writing(input: Tensor, target: Tensor, beta: float) -> Tensor:
        with torch.no_grad():
            target.add_(1.0)
        return original(input, target, beta)

    patch.setattr(smooth_l1, "smooth_l1_values", writing)


@fault(checks.check_function, SMOOTH)
def a_function_with_another_default(patch: pytest.MonkeyPatch) -> None:
    called = smooth_l1.SPEC.function
    other = dataclasses.replace(smooth_l1.SPEC, function=lambda *given, **named: called(*given))
    patch.setitem(parser.KNOWN, "smooth_l1", other)


@fault(checks.check_normalizer, SMOOTH)
def a_normalizer_that_is_ignored(patch: pytest.MonkeyPatch) -> None:
    original = values.reduced
    patch.setattr(values, "reduced", lambda found, how, weight, normalizer: original(found, how))


@fault(checks.check_compiled, COSH, "eager")
@fault(checks.check_compiled, GIOU, "aot_eager")
def numbers_that_differ_when_compiled(patch: pytest.MonkeyPatch) -> None:
    original = values.reduced

    def other(*given: object) -> Tensor:
        return original(*given) * (2.0 if torch.compiler.is_compiling() else 1.0)

    patch.setattr(values, "reduced", other)


@fault(checks.check_identity, Direct("focal_eiou(gamma=0)"), Direct("eiou()"))
def a_weight_that_is_never_one(patch: pytest.MonkeyPatch) -> None:
    patch.setattr(focal_eiou, "constant", lambda found: 0.5 * found.detach() + 0.1)
    patch.setattr(focal_eiou, "eiou_costs", lambda pair: 0.9 * eiou.eiou_costs(pair))


@fault(checks.check_transforms, COSH)
def other_numbers_inside_a_transform(patch: pytest.MonkeyPatch) -> None:
    original = values.reduced
    patch.setattr(values, "reduced", lambda *given: original(*given) * (1.0 + transformed()))


@fault.each
def test_the_fault_is_noticed(name: str, monkeypatch: pytest.MonkeyPatch) -> None:
    fault.must_be_noticed(name, monkeypatch)


def test_every_check_has_a_fault_that_it_notices() -> None:
    assert fault.not_noticing(checks) == set()
