"""What losses that follow the difficulty of the classes count, batch by batch, from the logits."""

from __future__ import annotations

import io

import pytest
import torch

from kit.checks import class_scores as checks
from kit.checks.class_scores import C, batches
from taylored import CrossEntropyLoss, DifficultyBalancedLoss, EquilibriumLoss, LinearLogits


def test_weights_follow_the_accuracy_of_the_batches_before() -> None:
    checks.check_weights_follow_the_accuracy_of_the_batches_before()


def test_margins_follow_the_scores_of_the_batches_before() -> None:
    checks.check_margins_follow_the_scores_of_the_batches_before()


@pytest.mark.parametrize("kind", [DifficultyBalancedLoss, EquilibriumLoss])
def test_what_counts(kind: type) -> None:
    checks.check_what_counts(kind)


@pytest.mark.parametrize("kind", [DifficultyBalancedLoss, EquilibriumLoss])
def test_it_is_saved_and_keeps_its_precision(kind: type) -> None:
    loss = kind(num_classes=C)
    for logits, truth in batches():
        loss(logits, truth)
    buffer = io.BytesIO()
    torch.save(loss.state_dict(), buffer)
    buffer.seek(0)
    other = kind(num_classes=C)
    other.load_state_dict(torch.load(buffer, weights_only=True))
    assert torch.equal(other(logits, truth), loss(logits, truth))
    assert loss.half().indicator.total.dtype == torch.float64


def test_a_batch_that_is_no_number_is_left_out() -> None:
    loss = EquilibriumLoss(num_classes=C)
    loss(torch.full((2, C), torch.nan, requires_grad=True), torch.tensor([0, 1]))
    assert loss.indicator.number.sum() == 0


def test_wrong_calls() -> None:
    with pytest.raises(ValueError, match=r"`loss` must be a softmax loss that takes `weight`"):
        DifficultyBalancedLoss(CrossEntropyLoss(weight=[1.0, 2.0]), num_classes=2)
    loss = DifficultyBalancedLoss(num_classes=3)
    with pytest.raises(ValueError, match=r"all logits at once.*input\.logits"):
        loss(LinearLogits(torch.ones(2, 4), torch.ones(3, 4)), torch.tensor([0, 1]))
    with pytest.raises(ValueError, match="`num_classes` must be"):
        EquilibriumLoss(num_classes=3)(torch.zeros(2, 4, requires_grad=True), torch.tensor([0, 1]))
