"""Planted faults in the single-label asymmetric loss: the suites must notice them."""

from __future__ import annotations

import pytest

from kit.cases import Case
from kit.checks import every_loss as loss_checks
from kit.faults import Faults
from taylored.core.engine import elementwise
from taylored.losses.classification import asymmetric_single_label

INDEX = (7, 5)
SINGLE = Case("asymmetric_single_label()", "index", INDEX)

fault = Faults()


@fault(loss_checks.check_value, SINGLE, "whole")
@fault(loss_checks.check_gradient, SINGLE, "whole")
def smoothed_label_in_the_focusing(patch: pytest.MonkeyPatch) -> None:
    original = asymmetric_single_label.asymmetric_single_label_values

    def smoothed(positive: float, negative: float, smoothing: float) -> elementwise.Values:
        values = original(positive, negative, smoothing)
        return lambda at, y: values(at, y * (1 - smoothing) + smoothing / y.shape[1])

    patch.setattr(asymmetric_single_label, "asymmetric_single_label_values", smoothed)


@fault.each
def test_the_fault_is_noticed(name: str, monkeypatch: pytest.MonkeyPatch) -> None:
    fault.must_be_noticed(name, monkeypatch)
