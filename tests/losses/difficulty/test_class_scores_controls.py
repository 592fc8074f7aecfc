"""Planted faults in the losses that follow the difficulty of the classes."""

from __future__ import annotations

import pytest
import torch
from torch import Tensor

from kit.cases import Case
from kit.catalogued import CLASSIFICATION
from kit.checks import class_scores as checks
from kit.checks.every_loss import check_gradient, check_value
from kit.faults import Faults
from taylored import DifficultyBalancedLoss, EquilibriumLoss
from taylored.core.plan.options import Options
from taylored.core.state.class_scores import ClassScores
from taylored.losses.difficulty import difficulty_balanced, scored

BALANCED = Case("difficulty_balanced()", "index", (7, 5))
EQUILIBRIUM = Case("equilibrium()", "index", (7, 5))

fault = Faults()


@fault(check_gradient, BALANCED)  # of the sum: the mean divides by the weights
def weights_of_sum_one(patch: pytest.MonkeyPatch) -> None:
    original = difficulty_balanced.difficulty_weights
    patch.setattr(
        difficulty_balanced, "difficulty_weights", lambda a, tau: original(a, tau) / len(a)
    )


@fault(check_value, BALANCED)
def weights_of_the_accuracy(patch: pytest.MonkeyPatch) -> None:
    original = difficulty_balanced.difficulty_weights
    patch.setattr(difficulty_balanced, "difficulty_weights", lambda a, tau: original(1.0 - a, tau))


@fault(check_gradient, EQUILIBRIUM)
@fault(checks.check_margins_follow_the_scores_of_the_batches_before)
def margins_the_wrong_way(patch: pytest.MonkeyPatch) -> None:
    original = EquilibriumLoss.fill

    def turned(self: EquilibriumLoss, options: Options) -> Options:
        filled = original(self, options)
        return filled._replace(logit_bias=-filled.logit_bias)

    patch.setattr(EquilibriumLoss, "fill", turned)


@fault(checks.check_weights_follow_the_accuracy_of_the_batches_before)
def accuracy_that_is_a_probability(patch: pytest.MonkeyPatch) -> None:
    patch.setattr(DifficultyBalancedLoss, "score", lambda self, outputs: outputs.softmax(1))


@fault(checks.check_weights_follow_the_accuracy_of_the_batches_before)
@fault(checks.check_margins_follow_the_scores_of_the_batches_before)
def sums_in_the_place_of_means(patch: pytest.MonkeyPatch) -> None:
    patch.setattr(ClassScores, "mean", lambda self: self.total.clamp(0.01, 0.99))


@fault(checks.check_weights_follow_the_accuracy_of_the_batches_before)
def nothing_is_forgotten(patch: pytest.MonkeyPatch) -> None:
    original = ClassScores._step

    def step(self: ClassScores, batch: Tensor, complete: Tensor | None) -> None:
        decay, self.decay = self.decay, 1.0
        original(self, batch, complete)
        self.decay = decay

    patch.setattr(ClassScores, "_step", step)


@fault(checks.check_what_counts, DifficultyBalancedLoss)
@fault(checks.check_what_counts, EquilibriumLoss)
def ignored_positions_that_count(patch: pytest.MonkeyPatch) -> None:
    original = scored.element_batch

    def without_weights(logits: Tensor, target: Tensor, options: Options) -> object:
        return original(logits, target.clamp_min(0), options._replace(sample_weight=None))

    patch.setattr(scored, "element_batch", without_weights)


@fault.each
def test_faults_are_noticed(name: str, monkeypatch: pytest.MonkeyPatch) -> None:
    torch.manual_seed(0)
    fault.must_be_noticed(name, monkeypatch)


def test_every_check_and_every_loss_has_a_fault() -> None:
    assert fault.not_noticing(checks) == set()
    given = [one for _, _, given in fault.planted.values() for one in given]
    planted = {one.call.name for one in given if isinstance(one, Case)}
    assert planted == {n for n, spec in CLASSIFICATION.items() if spec.family == "difficulty"}
