"""Planted faults in the detection losses: the suites must notice them."""

from __future__ import annotations

from dataclasses import replace

import pytest
import torch
from torch import Tensor

from kit.cases import Case
from kit.checks import detection_quality as checks
from kit.checks import every_loss as loss_checks
from kit.checks import other_calls
from kit.faults import Faults
from kit.other_calls import Subject
from taylored.core.engine import elementwise, elementwise_pass
from taylored.losses.detection_quality import distribution_focal, ghm, quality_focal, varifocal

INDEX = (7, 5)
VARIFOCAL = Case("varifocal()", "soft", INDEX)
QUALITY = Case("quality_focal()", "soft", INDEX)
HARMONY = Case("ghm(bins=10)", "index", INDEX)
DISTANCES = Subject("distribution_focal()")
VIEWS = Subject("generalized_jensen_shannon(pi=0.3)")

fault = Faults()


def all_counted(found: elementwise.Elements) -> elementwise.Elements:
    return replace(found, coefficient=torch.ones_like(found.coefficient))


@fault(loss_checks.check_value, VARIFOCAL, "whole")
@fault(checks.check_varifocal_sides)
def positives_without_their_score(patch: pytest.MonkeyPatch) -> None:
    original = varifocal.varifocal_values

    def unweighted(alpha: float, gamma: float) -> elementwise.Values:
        values = original(alpha, gamma)
        return lambda at, y: values(at, y) / torch.where(y > 0, y, 1.0)

    patch.setattr(varifocal, "varifocal_values", unweighted)


@fault(loss_checks.check_gradient, QUALITY, "whole")
def constant_modulator(patch: pytest.MonkeyPatch) -> None:
    original = quality_focal._distance_power
    patch.setattr(
        quality_focal, "_distance_power", lambda at, y, beta: original(at, y, beta).detach()
    )


@fault(loss_checks.check_gradient, HARMONY, "whole")
@fault(checks.check_equal_bins)
def density_by_the_signed_gradient(patch: pytest.MonkeyPatch) -> None:
    def signed(x: Tensor, y: Tensor, bins: int) -> Tensor:
        size = (torch.sigmoid(x) - y).detach()
        return (size * bins).long().clamp(0, bins - 1)

    patch.setattr(ghm, "gradient_bins", signed)


@fault(checks.check_ignored_density)
@fault(loss_checks.check_ignored, HARMONY, "whole")
def ignored_elements_in_the_density(patch: pytest.MonkeyPatch) -> None:
    original = ghm.bin_counts
    patch.setattr(ghm, "bin_counts", lambda found, bins: original(all_counted(found), bins))


@fault(checks.check_momentum)
def average_that_starts_at_zero(patch: pytest.MonkeyPatch) -> None:
    """As the public code: the first weights are larger by 1 / (1 - m)."""
    original = ghm.GHMLoss._averaged

    def uncorrected(self: ghm.GHMLoss, counts: Tensor) -> Tensor:
        original(self, counts)
        return self.density

    patch.setattr(ghm.GHMLoss, "_averaged", uncorrected)


@fault(checks.check_momentum_counts_training_only)
def counting_in_evaluation(patch: pytest.MonkeyPatch) -> None:
    patch.setattr(ghm.torch, "is_grad_enabled", lambda: True)


@fault(other_calls.check_values, DISTANCES, (7,), torch.float64)
def mass_on_the_wrong_neighbour(patch: pytest.MonkeyPatch) -> None:
    original = distribution_focal.two_point_target
    patch.setattr(
        distribution_focal,
        "two_point_target",
        lambda distance, bins: original(distance, bins).roll(1, dims=1),
    )


@fault(other_calls.check_values, DISTANCES, (7,), torch.float64)
def last_bin_out_of_reach(patch: pytest.MonkeyPatch) -> None:
    """What public callers do: clamp the number below the last bin."""
    original = distribution_focal.two_point_target
    patch.setattr(
        distribution_focal,
        "two_point_target",
        lambda distance, bins: original(distance.clamp(max=bins - 1.01), bins),
    )


@fault(loss_checks.check_ignored, QUALITY, "whole")
@fault(loss_checks.check_nothing_left, QUALITY, "whole")
@fault(other_calls.check_ignored, VIEWS, (3, 4))
def nothing_is_ignored_by_losses_of_their_own(patch: pytest.MonkeyPatch) -> None:
    original = elementwise.elements

    def unmasked(given: elementwise.ElementBatch) -> elementwise.Elements:
        truth = elementwise._dense(given).clamp(0, 1)
        return replace(all_counted(original(given)), y=truth.to(given.logits.dtype))

    for module in (elementwise, elementwise_pass):
        patch.setattr(module, "elements", unmasked)


@fault.each
def test_the_fault_is_noticed(name: str, monkeypatch: pytest.MonkeyPatch) -> None:
    fault.must_be_noticed(name, monkeypatch)


def test_every_check_has_a_fault_that_it_notices() -> None:
    assert fault.not_noticing(checks) == set()
