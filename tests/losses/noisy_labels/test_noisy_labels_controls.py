"""Planted faults in the noise-robust losses: the suites must notice them."""

from __future__ import annotations

import pytest
import torch

from kit.cases import Case
from kit.checks import every_loss as loss_checks
from kit.checks import noisy_labels as checks
from kit.checks import other_calls
from kit.faults import Faults
from kit.other_calls import Subject
from taylored.core.terms import noise_robust
from taylored.core.terms.point import Point
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
VIEWS = Subject("generalized_jensen_shannon(pi=0.3)")

fault = Faults()


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
    original = torch.where

    def where(condition: torch.Tensor, near: object, far: object) -> object:
        forms = isinstance(near, torch.Tensor) and isinstance(far, torch.Tensor)
        return near if forms else original(condition, near, far)

    patch.setattr(noise_robust.torch, "where", where)


@fault(checks.check_divergence, 0.3)
@fault(loss_checks.check_value, DIVERGENCE, "composed")
def divergence_that_is_not_normalised(patch: pytest.MonkeyPatch) -> None:
    original = noise_robust.JensenShannon._value
    patch.setattr(
        noise_robust.JensenShannon, "_value", lambda self, at: original(self, at) * (1 - self.pi)
    )


@fault(other_calls.check_values, VIEWS, (7,), torch.float64)
def no_consistency(patch: pytest.MonkeyPatch) -> None:
    """JensenShannonNoConsistency of the official code."""
    original = generalized_jensen_shannon.disagreement
    patch.setattr(
        generalized_jensen_shannon, "disagreement", lambda log_p, mean: 0 * original(log_p, mean)
    )


@fault.each
def test_the_fault_is_noticed(name: str, monkeypatch: pytest.MonkeyPatch) -> None:
    fault.must_be_noticed(name, monkeypatch)


def test_a_term_of_its_own_is_still_a_function_of_one_point() -> None:
    """The leaves see nothing but the point: the complement's complement changes no digit."""
    at = Point(torch.linspace(-9, 9, 7).double())
    for term in (noise_robust.box_cox(0.7), noise_robust.jensen_shannon(0.2)):
        assert torch.equal(term.evaluate(at.complement().complement()), term.evaluate(at))


def test_every_check_has_a_fault_that_it_notices() -> None:
    assert fault.not_noticing(checks) == set()
