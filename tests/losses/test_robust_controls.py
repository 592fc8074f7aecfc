"""Planted faults in the robust, multi-label and detection losses: the suites must notice them."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import replace

import pytest
import torch
from torch import Tensor
from torch.autograd.gradcheck import GradcheckError

from kit.cases import Case
from kit.checks import every_loss as loss_checks
from kit.checks import other_calls
from kit.checks import robust as checks
from taylored.core.engine import elementwise, elementwise_pass
from taylored.core.terms import noise_robust
from taylored.core.terms.point import Point
from taylored.losses.classification import asymmetric_single_label
from taylored.losses.detection_quality import distribution_focal, ghm, quality_focal, varifocal
from taylored.losses.long_tail import influence_balanced
from taylored.losses.multi_label import asymmetric, distribution_balanced
from taylored.losses.noisy_labels import (
    generalized_jensen_shannon,
    jensen_shannon,
    symmetric_cross_entropy,
)

INDEX = (7, 5)
GENERALIZED = Case("generalized_cross_entropy(q=0.7)", "index", INDEX)
SYMMETRIC = Case("symmetric_cross_entropy()", "index", INDEX)
DIVERGENCE = Case("jensen_shannon(pi=0.5)", "index", INDEX)
NARROW = Case('jensen_shannon(pi=0.1, link="sigmoid", pos_weight=3)', "soft", INDEX)
ASYMMETRIC = Case("asymmetric()", "multi-hot", INDEX)
SINGLE = Case("asymmetric_single_label()", "index", INDEX)
BALANCED = Case("distribution_balanced()", "multi-hot", INDEX)
VARIFOCAL = Case("varifocal()", "soft", INDEX)
QUALITY = Case("quality_focal()", "soft", INDEX)
HARMONY = Case("ghm(bins=10)", "index", INDEX)
DISTANCES, INFLUENCE, VIEWS, _ = other_calls.SUBJECTS

Fault = Callable[[pytest.MonkeyPatch], None]
FAULTS: dict[str, tuple[Fault, Callable[[], None]]] = {}


def fault(check: Callable[..., None], *arguments: object) -> Callable[[Fault], Fault]:
    """Register a fault with a check that has to notice it."""

    def register(plant: Fault) -> Fault:
        name = f"{plant.__name__}-{check.__name__}-{len(FAULTS)}"
        FAULTS[name] = (plant, lambda: check(*arguments))
        return plant

    return register


@fault(loss_checks.check_gradient, GENERALIZED, "whole")
@fault(loss_checks.check_derivatives, Case("generalized_cross_entropy(q=0.7)", "index", (3, 5)))
@fault(checks.check_generalized_gradient)
def gradient_of_cross_entropy(patch: pytest.MonkeyPatch) -> None:
    patch.setattr(noise_robust.BoxCox, "_slope", lambda self, at: at.q)


@fault(loss_checks.check_value, GENERALIZED, "whole")
@fault(loss_checks.check_value, GENERALIZED, "composed")
def power_that_is_not_divided(patch: pytest.MonkeyPatch) -> None:
    original = noise_robust.BoxCox._value
    patch.setattr(
        noise_robust.BoxCox, "_value", lambda self, at: original(self, at) * self.exponent
    )


@fault(loss_checks.check_value, SYMMETRIC, "whole")
def log_of_zero_with_the_wrong_sign(patch: pytest.MonkeyPatch) -> None:
    patch.setattr(
        symmetric_cross_entropy,
        "symmetric_cross_entropy_term",
        lambda a, b, zero: a * noise_robust.box_cox(0.0) + (zero * b) * noise_robust.box_cox(1.0),
    )


@fault(loss_checks.check_value, DIVERGENCE, "whole")
@fault(checks.check_divergence, 0.3)
def label_and_prediction_swapped(patch: pytest.MonkeyPatch) -> None:
    patch.setattr(
        jensen_shannon,
        "jensen_shannon",
        lambda pi: noise_robust.jensen_shannon(min(1 - pi, 0.95) * 0.99),
    )


@fault(loss_checks.check_value, NARROW, "whole")
def near_form_everywhere(patch: pytest.MonkeyPatch) -> None:
    """log(1 + r) with the ratio kept finite, where the mixture is not near the prediction."""
    patch.setattr(noise_robust.torch, "where", lambda condition, near, far: near)


@fault(checks.check_divergence, 0.3)
@fault(loss_checks.check_value, DIVERGENCE, "composed")
def divergence_that_is_not_normalised(patch: pytest.MonkeyPatch) -> None:
    original = noise_robust.JensenShannon._value
    patch.setattr(
        noise_robust.JensenShannon, "_value", lambda self, at: original(self, at) * (1 - self.pi)
    )


@fault(loss_checks.check_value, ASYMMETRIC, "whole")
@fault(checks.check_asymmetric_margin)
def probability_that_is_not_shifted(patch: pytest.MonkeyPatch) -> None:
    original = asymmetric.asymmetric_terms
    patch.setattr(asymmetric, "asymmetric_terms", lambda yes, no, margin: original(yes, no, 0.0))


@fault(loss_checks.check_value, ASYMMETRIC, "whole")
def focusing_of_positives_and_negatives_swapped(patch: pytest.MonkeyPatch) -> None:
    original = asymmetric.asymmetric_terms
    patch.setattr(asymmetric, "asymmetric_terms", lambda yes, no, m: original(no, yes, m))


@fault(loss_checks.check_value, SINGLE, "whole")
@fault(loss_checks.check_gradient, SINGLE, "whole")
def smoothed_label_in_the_focusing(patch: pytest.MonkeyPatch) -> None:
    original = asymmetric_single_label.asymmetric_single_label_values

    def smoothed(positive: float, negative: float, smoothing: float) -> elementwise.Values:
        values = original(positive, negative, smoothing)
        return lambda at, y: values(at, y * (1 - smoothing) + smoothing / y.shape[1])

    patch.setattr(asymmetric_single_label, "asymmetric_single_label_values", smoothed)


@fault(loss_checks.check_value, BALANCED, "whole")
@fault(checks.check_rows_without_positives)
def rows_without_positives_divide_by_zero(patch: pytest.MonkeyPatch) -> None:
    def weight(y: Tensor, inverse: Tensor, settings: object) -> Tensor:
        share = (inverse * y + 1e-30) / (y * inverse).sum(dim=1, keepdim=True) * 0 + (
            inverse / (y * inverse).sum(dim=1, keepdim=True)
        )
        return settings.floor + torch.sigmoid(settings.beta * (share - settings.mu))

    patch.setattr(distribution_balanced, "rebalancing_weight", weight)


@fault(loss_checks.check_value, BALANCED, "whole")
@fault(checks.check_official_distribution_balanced)
def shift_with_the_wrong_sign(patch: pytest.MonkeyPatch) -> None:
    original = distribution_balanced.distribution_balanced_values
    patch.setattr(
        distribution_balanced,
        "distribution_balanced_values",
        lambda inverse, prior, settings: original(inverse, -prior, settings),
    )


@fault(loss_checks.check_permutations, BALANCED, "whole")
def classes_in_the_wrong_order(patch: pytest.MonkeyPatch) -> None:
    original = distribution_balanced.rebalancing_weight
    patch.setattr(
        distribution_balanced,
        "rebalancing_weight",
        lambda y, inverse, settings: original(y, inverse.sort().values, settings),
    )


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
    patch.setattr(
        ghm,
        "bin_counts",
        lambda found, bins: original(replace(found, kept=None), bins),
    )


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


@fault(other_calls.check_values, INFLUENCE, (3, 4), torch.float64)
def divisor_in_the_graph(patch: pytest.MonkeyPatch) -> None:
    patch.setattr(influence_balanced, "influence", influence_balanced.influence.__wrapped__)


@fault(other_calls.check_values, INFLUENCE, (7,), torch.float64)
def euclidean_features(patch: pytest.MonkeyPatch) -> None:
    def euclidean(features: Tensor, given: elementwise.Own) -> Tensor:
        return features.detach().norm(dim=1, keepdim=True)

    patch.setattr(influence_balanced, "feature_size", euclidean)


@fault(other_calls.check_values, VIEWS, (7,), torch.float64)
def no_consistency(patch: pytest.MonkeyPatch) -> None:
    """JensenShannonNoConsistency of the official code."""
    original = generalized_jensen_shannon.disagreement
    patch.setattr(
        generalized_jensen_shannon, "disagreement", lambda log_p, mean: 0 * original(log_p, mean)
    )


@fault(loss_checks.check_ignored, QUALITY, "whole")
@fault(loss_checks.check_nothing_left, QUALITY, "whole")
@fault(other_calls.check_ignored, VIEWS, (3, 4))
def nothing_is_ignored_by_losses_of_their_own(patch: pytest.MonkeyPatch) -> None:
    original = elementwise.elements

    def kept(given: elementwise.Own) -> elementwise.Elements:
        found = original(given)
        return elementwise.Elements(found.z, found.y.clamp(0, 1), None)

    def unmasked(given: elementwise.Own, found: elementwise.Elements) -> Tensor:
        return torch.ones_like(given.plan.rows)

    patch.setattr(elementwise, "_kept", lambda given: None)
    for module in (elementwise, elementwise_pass):
        patch.setattr(module, "elements", kept)
        patch.setattr(module, "coefficients", unmasked)


@pytest.mark.parametrize("name", FAULTS)
def test_the_fault_is_noticed(name: str, monkeypatch: pytest.MonkeyPatch) -> None:
    plant, check = FAULTS[name]
    check()  # without the fault the check is content
    plant(monkeypatch)
    with pytest.raises((AssertionError, GradcheckError)):
        check()


def test_a_term_of_its_own_is_still_a_function_of_one_point() -> None:
    """The leaves see nothing but the point: the complement's complement changes no digit."""
    at = Point(torch.linspace(-9, 9, 7).double())
    for term in (noise_robust.box_cox(0.7), noise_robust.jensen_shannon(0.2)):
        assert torch.equal(term.evaluate(at.complement().complement()), term.evaluate(at))
