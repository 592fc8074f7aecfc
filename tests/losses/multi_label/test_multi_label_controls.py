"""Planted faults in the multi-label losses: the suites must notice them."""

from __future__ import annotations

from collections.abc import Callable

import pytest
import torch
from torch import Tensor

from kit.cases import Case
from kit.checks import every_loss as loss_checks
from kit.checks import multi_label as checks
from kit.faults import Faults
from taylored.losses.multi_label import asymmetric, distribution_balanced

INDEX = (7, 5)
ASYMMETRIC = Case("asymmetric()", "multi-hot", INDEX)
BALANCED = Case("distribution_balanced()", "multi-hot", INDEX)

fault = Faults()


@fault(loss_checks.check_value, ASYMMETRIC, "whole")
@fault(checks.check_asymmetric_margin)
def probability_that_is_not_shifted(patch: pytest.MonkeyPatch) -> None:
    original = asymmetric.asymmetric_terms
    patch.setattr(asymmetric, "asymmetric_terms", lambda yes, no, margin: original(yes, no, 0.0))


@fault(loss_checks.check_value, ASYMMETRIC, "whole")
def focusing_of_positives_and_negatives_swapped(patch: pytest.MonkeyPatch) -> None:
    original = asymmetric.asymmetric_terms
    patch.setattr(asymmetric, "asymmetric_terms", lambda yes, no, m: original(no, yes, m))


@fault(loss_checks.check_value, BALANCED, "whole")
@fault(checks.check_rows_without_positives)
def rows_without_positives_divide_by_zero(patch: pytest.MonkeyPatch) -> None:
    def weight(inverse: Tensor, floor: float, beta: float, mu: float) -> Callable[..., Tensor]:
        def of(y: Tensor) -> Tensor:
            share = inverse / (y * inverse).sum(dim=1, keepdim=True)
            share = torch.where(share.isinf(), torch.nan, share)
            return floor + torch.sigmoid(beta * (share - mu))

        return of

    patch.setattr(distribution_balanced, "rebalancing_weight", weight)


@fault(loss_checks.check_value, BALANCED, "whole")
@fault(checks.check_official_distribution_balanced)
def shift_with_the_wrong_sign(patch: pytest.MonkeyPatch) -> None:
    original = distribution_balanced.distribution_balanced_values
    patch.setattr(
        distribution_balanced,
        "distribution_balanced_values",
        lambda weight, prior, *settings: original(weight, -prior, *settings),
    )


@fault(loss_checks.check_permutations, BALANCED, "whole")
def classes_in_the_wrong_order(patch: pytest.MonkeyPatch) -> None:
    original = distribution_balanced.rebalancing_weight
    patch.setattr(
        distribution_balanced,
        "rebalancing_weight",
        lambda inverse, *settings: original(inverse.sort().values, *settings),
    )


@fault.each
def test_the_fault_is_noticed(name: str, monkeypatch: pytest.MonkeyPatch) -> None:
    fault.must_be_noticed(name, monkeypatch)


def test_every_check_has_a_fault_that_it_notices() -> None:
    assert fault.not_noticing(checks) == set()
