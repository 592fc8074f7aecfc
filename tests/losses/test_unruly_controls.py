"""Planted faults: the checks of unruly logits must be able to fail."""

from __future__ import annotations

import pytest
import torch
from torch import Tensor

from kit.cases import Case
from kit.checks import unruly as checks
from kit.executors import torch_alone
from kit.faults import Faults
from taylored.core.engine import elementwise
from taylored.core.links import margins, sigmoid, softmax
from taylored.core.plan import plan

FOCAL = Case("focal(gamma=1.5)", "index", (7, 5))
SOFT = Case("focal(gamma=1.5)", "probabilities", (7, 5))
BINARY = Case('focal(gamma=2, link="sigmoid", alpha=0.25)', "multi-hot", (7, 5))
QUALITY = Case("quality_focal(beta=0.5)", "multi-hot", (7, 5))
ONE_LABEL = Case("asymmetric_single_label()", "index", (7, 5))
PRIOR = Case("balanced_softmax()", "index", (7, 5))
WEIGHTED = Case("cross_entropy()", "index", (7, 5))

fault = Faults()


@fault(checks.check_ignored, FOCAL, "whole")
@fault(checks.check_ignored, BINARY, "composed")
@fault(checks.check_ignored, QUALITY, "whole")
@fault(checks.check_sample_weight, SOFT, "composed")
@fault(checks.check_class_weight, WEIGHTED, "blocked")
def zero_times_nan(patch: pytest.MonkeyPatch) -> None:
    for module in (plan, sigmoid, elementwise):
        patch.setattr(module, "harmless", lambda values, nothing: values)


@fault(checks.check_huge, SOFT, "whole")
@fault(checks.check_huge, FOCAL, "composed")
@fault(checks.check_infinite, SOFT, "whole")
@fault(checks.check_infinite, FOCAL, "composed")
@fault(checks.check_infinite, QUALITY, "composed")
def infinite_margins(patch: pytest.MonkeyPatch) -> None:
    for module in (softmax, sigmoid, elementwise):
        patch.setattr(module, "inside", lambda margin: margin)


@fault(checks.check_infinite, FOCAL, "whole")
@fault(checks.check_infinite, ONE_LABEL, "whole")
def a_plausible_loss_of_a_masked_truth(patch: pytest.MonkeyPatch) -> None:
    for module in (softmax, sigmoid, elementwise):
        patch.setattr(module, "continued", lambda values, margin, coefficient: values)


@fault(checks.check_spoiled, FOCAL, "whole")
@fault(checks.check_spoiled, ONE_LABEL, "whole")
def a_plausible_loss_of_an_infinite_logit(patch: pytest.MonkeyPatch) -> None:
    def above(chosen: Tensor, peak: Tensor, log_sum: Tensor) -> Tensor:
        return (chosen - peak) - log_sum

    patch.setattr(margins, "_above", above)
    patch.setattr(margins, "without_offset", lambda z, axis: torch.nan_to_num(z))


@fault(checks.check_offset, PRIOR, "whole")
@fault(checks.check_offset, PRIOR, "composed")
def a_prior_on_raw_logits(patch: pytest.MonkeyPatch) -> None:
    patch.setattr(plan, "without_offset", lambda z, axis: z)


@fault.each
def test_faults_are_noticed(name: str, monkeypatch: pytest.MonkeyPatch) -> None:
    torch_alone(monkeypatch)
    fault.must_be_noticed(name, monkeypatch)


def test_every_check_has_a_fault() -> None:
    assert fault.not_noticing(checks) == {"check_everywhere"}
