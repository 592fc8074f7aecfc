"""Planted faults in losses of a batch: their suite must notice them."""

from __future__ import annotations

from collections.abc import Callable

import pytest
import torch
from torch import Tensor

from kit.cases import Case
from kit.checks import batch_calls as checks
from taylored.core.plan.options import Options
from taylored.losses.multi_label import two_way
from taylored.losses.reductions import hardest, tilted

HARDEST = Case("hardest(cross_entropy(), share=0.25)", "index", (3, 5, 4))
ALL = Case("hardest(cross_entropy(), share=1)", "index", (3, 5, 4))
TILTED = Case("tilted(cross_entropy(), t=1)", "index", (3, 5, 4))
TWO_WAY = Case("two_way()", "multi-hot", (7, 5))


def test_ignored_positions_in_the_share(monkeypatch: pytest.MonkeyPatch) -> None:
    """As in nnU-Net: the share is one of all positions."""

    def everything(input: Tensor, target: Tensor, options: Options) -> Callable[[Tensor], Tensor]:
        return torch.ones_like

    for module, case in ((hardest, ALL), (tilted, TILTED)):
        with monkeypatch.context() as patch:
            patch.setattr(module, "share_of_each", everything)
            with pytest.raises(AssertionError):
                checks.check_values(case)
            with pytest.raises(AssertionError):
                checks.check_samples_without_weight_are_not_there(case)


def test_the_easiest_in_place_of_the_hardest(monkeypatch: pytest.MonkeyPatch) -> None:
    original = hardest.hardest
    monkeypatch.setattr(hardest, "hardest", lambda v, counted, share: original(-v, counted, share))
    with pytest.raises(AssertionError):
        checks.check_values(HARDEST)


def test_one_way_alone(monkeypatch: pytest.MonkeyPatch) -> None:
    original = two_way.one_way

    def classes_only(z: Tensor, *given: object) -> tuple[Tensor, Tensor]:
        values, has_yes = original(z, *given)
        return (values if given[3] == 1 else 0 * values), has_yes

    monkeypatch.setattr(two_way, "one_way", classes_only)
    with pytest.raises(AssertionError):
        checks.check_values(TWO_WAY)
