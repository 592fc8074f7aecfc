"""Planted faults in the ranking losses: their suites must notice them."""

from __future__ import annotations

import pytest
import torch
from torch import Tensor

from kit.cases import OF_A_BATCH, Case
from kit.checks.batch_calls import check_values, check_weights_are_numbers_of_samples
from kit.faults import Faults
from taylored.losses.ranking import auc_margin, columns, partial_auc
from taylored.losses.ranking.columns import Columns

MARGIN = Case("auc_margin()", "multi-hot", (7, 5))
PARTIAL = Case("partial_auc()", "multi-hot", (7, 5))
PRECISION = Case("smooth_ap()", "multi-hot", (7, 5))

fault = Faults()


@fault(check_values, MARGIN)
def one_side_without_its_spread(patch: pytest.MonkeyPatch) -> None:
    original = auc_margin.auc_margin_values

    def without(at: Columns, margin: float) -> Tensor:
        scores = torch.sigmoid(at.z)
        spread = at.mean((scores - at.mean(scores, at.no)) ** 2, at.no)
        return original(at, margin) - spread.squeeze(1)

    patch.setattr(auc_margin, "auc_margin_values", without)


@fault(check_values, MARGIN)
def means_through_which_no_gradient_flows(patch: pytest.MonkeyPatch) -> None:
    original = Columns.mean

    def held(self: Columns, values: Tensor, among: Tensor) -> Tensor:
        return original(self, values, among).detach() + 0 * values.sum(1, keepdim=True)

    patch.setattr(Columns, "mean", held)


@fault(check_values, PARTIAL)
def the_easiest_of_the_others(patch: pytest.MonkeyPatch) -> None:
    original = partial_auc.hardest
    patch.setattr(partial_auc, "hardest", lambda s, counted, share: original(-s, counted, share))


@fault(check_values, PARTIAL)
def costs_of_the_others_without_a_gradient(patch: pytest.MonkeyPatch) -> None:
    original = partial_auc.squared_hinges

    def held(scores: Tensor, weight: Tensor, margin: float) -> Tensor:
        found = original(scores, weight, margin)
        return found.detach() + 0 * scores

    patch.setattr(partial_auc, "squared_hinges", held)


@fault(check_values, PRECISION)
def ranks_that_begin_at_one_half(patch: pytest.MonkeyPatch) -> None:
    patch.setattr(torch, "eye", lambda n, dtype, device: torch.zeros(n, n, dtype=dtype))


@fault(check_values, PRECISION)
def precisions_over_all_samples(patch: pytest.MonkeyPatch) -> None:
    original = Columns.mean
    patch.setattr(Columns, "mean", lambda self, v, among: original(self, v, among | True))


@fault(check_values, MARGIN)
@fault(check_values, PARTIAL)
@fault(check_values, PRECISION)
def mean_over_all_classes(patch: pytest.MonkeyPatch) -> None:
    original = columns.one_if_zero

    def one_more(amount: Tensor) -> Tensor:
        return original(amount) + (amount.dim() == 0)  # of classes, not of samples

    patch.setattr(columns, "one_if_zero", one_more)


@fault(check_weights_are_numbers_of_samples, "auc_margin(margin=0.4)")
@fault(check_weights_are_numbers_of_samples, "partial_auc(max_fpr=1, margin=0.4)")
def means_without_weights(patch: pytest.MonkeyPatch) -> None:
    def plain(self: Columns, values: Tensor, among: Tensor) -> Tensor:
        count = among.sum(1, keepdim=True).clamp_min(1)
        return torch.where(among, values, 0.0).sum(1, keepdim=True) / count

    patch.setattr(Columns, "mean", plain)


@fault.each
def test_faults_are_noticed(name: str, monkeypatch: pytest.MonkeyPatch) -> None:
    fault.must_be_noticed(name, monkeypatch)


def test_every_ranking_loss_has_a_fault() -> None:
    given = [one for _, _, given in fault.planted.values() for one in given]
    planted = {one.call.name for one in given if isinstance(one, Case)}
    assert planted == {name for name, spec in OF_A_BATCH.items() if spec.family == "ranking"}
