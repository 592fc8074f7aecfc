"""Planted faults in the influence-balanced loss: the suites must notice them."""

from __future__ import annotations

import pytest
import torch
from torch import Tensor

from kit.checks import other_calls
from kit.faults import Faults
from kit.other_calls import Subject
from taylored.losses.long_tail import influence_balanced

INDEX = (7, 5)
INFLUENCE = Subject("influence_balanced(scale=3)")

fault = Faults()


@fault(other_calls.check_values, INFLUENCE, (3, 4), torch.float64)
def divisor_in_the_graph(patch: pytest.MonkeyPatch) -> None:
    patch.setattr(influence_balanced, "influence", influence_balanced.influence.__wrapped__)


@fault(other_calls.check_values, INFLUENCE, (7,), torch.float64)
def euclidean_features(patch: pytest.MonkeyPatch) -> None:
    def euclidean(features: Tensor, input: Tensor, order: float) -> Tensor:
        return features.detach().norm(dim=1)

    patch.setattr(influence_balanced, "feature_size", euclidean)


@fault.each
def test_the_fault_is_noticed(name: str, monkeypatch: pytest.MonkeyPatch) -> None:
    fault.must_be_noticed(name, monkeypatch)
