"""Planted faults in numbers per class: every check must be able to fail."""

from __future__ import annotations

from typing import Any

import pytest
import torch

from kit.checks import per_class_numbers as checks
from kit.faults import Faults
from taylored.core import class_weights, labels
from taylored.losses.margins import logit_adjusted
from taylored.modules.fields import declared, field

fault = Faults(pytest.fail.Exception, torch._dynamo.exc.TorchDynamoException, TypeError)


@fault(checks.check_forms, "balanced_softmax")
@fault(checks.check_forms, "focal")
def labels_in_the_order_given(patch: pytest.MonkeyPatch) -> None:
    """As `list(counts.values())` has it, and torch.as_tensor of a series."""

    def listed(_name: str, given: Any, **_options: Any) -> Any:
        found = labels.labelled("counts", given)
        return given if found is None else list(found.values())

    for module in (field, class_weights):
        patch.setattr(module, "in_class_order", listed)


@fault(checks.check_refused, "balanced_softmax")
def names_in_any_order(patch: pytest.MonkeyPatch) -> None:
    patch.setattr(labels, "_check_labels", lambda _name, _found: None)


@fault(checks.check_refused, "focal")
def gaps_are_zeros(patch: pytest.MonkeyPatch) -> None:
    original = labels.in_class_order
    patch.setattr(field, "in_class_order", lambda *a, **o: original(*a, **{**o, "gaps": True}))


@fault(checks.check_module_and_function, "cross_entropy")
def rounded_to_float32(patch: pytest.MonkeyPatch) -> None:
    original = field.Field.kept

    def kept(self: field.Field, value: Any) -> object:
        found = original(self, value)
        wide = isinstance(found, torch.Tensor) and found.is_floating_point()
        return found.float() if wide else found

    patch.setattr(field.Field, "kept", kept)


@fault(checks.check_module_and_function, "logit_adjusted")
def derived_in_float32(patch: pytest.MonkeyPatch) -> None:
    def derive(self: Any) -> None:
        adjusted(self)
        self.logit_bias = torch.nn.Buffer(self.logit_bias.float(), persistent=False)

    adjusted = logit_adjusted.LogitAdjustedLoss.derive
    patch.setattr(logit_adjusted.LogitAdjustedLoss, "derive", derive)


@fault(checks.check_half, "cross_entropy")
@fault(checks.check_half, "ldam")
def half_precision_for_weights(patch: pytest.MonkeyPatch) -> None:
    patch.setattr(declared, "keep_wide", lambda _module, _before: None)


@fault(checks.check_truth_values, "cross_entropy")
def only_the_first_is_looked_at(patch: pytest.MonkeyPatch) -> None:
    original = field.Field._check_list

    def check(self: field.Field, value: list[Any]) -> None:
        original(self, [value[0], *(float(each) for each in value[1:])])

    patch.setattr(field.Field, "_check_list", check)


@fault(checks.check_compiled, "balanced_softmax")
def values_are_looked_at_while_compiling(patch: pytest.MonkeyPatch) -> None:
    patch.setattr(class_weights, "values_are_known", lambda: True)


@fault.each
def test_the_fault_is_noticed(name: str, monkeypatch: pytest.MonkeyPatch) -> None:
    fault.must_be_noticed(name, monkeypatch)


def test_every_check_has_a_fault_that_it_notices() -> None:
    assert fault.not_noticing(checks) == set()
