"""Which classes the federated loss counts: those of the batch, and drawn ones."""

from __future__ import annotations

import pytest
import torch
import torch.nn.functional as F

from kit.elements import HARD, LOGITS
from taylored import FederatedLoss
from taylored.losses.multi_label.federated import chosen_classes

COUNTS = [900, 250, 40, 7, 1]


def test_the_draw_is_one_without_replacement() -> None:
    """As torch.multinomial draws: the shares of all pairs, from 20 000 draws."""
    torch.manual_seed(0)
    chances = torch.tensor([0.5, 0.3, 0.15, 0.05], dtype=torch.float64)
    none = torch.zeros(4, dtype=torch.bool)
    ours = torch.zeros(4)
    theirs = torch.zeros(4)
    for _ in range(4000):
        ours += chosen_classes(none, torch.log(chances), 2)
        theirs[torch.multinomial(chances, 2)] += 1
    assert ours.sum() == 8000
    torch.testing.assert_close(ours / 4000, theirs / 4000, rtol=0, atol=0.04)


def test_present_classes_are_always_chosen() -> None:
    torch.manual_seed(0)
    present = torch.tensor([False, True, False, True, False])
    for number, size in ((1, 2), (2, 2), (4, 4), (9, 5)):
        chosen = chosen_classes(present, torch.zeros(5), number)
        assert chosen[present].all()
        assert chosen.sum() == size


def test_it_is_the_loss_of_the_chosen_classes() -> None:
    target = HARD.clone()
    target[:, [0, 3]] = 0
    loss = FederatedLoss(counts=COUNTS, num_sampled=1, reduction="batch_mean")
    kept = [k for k in range(5) if target[:, k].any()]
    expected = F.binary_cross_entropy_with_logits(LOGITS[:, kept], target[:, kept], reduction="sum")
    torch.testing.assert_close(loss(LOGITS, target), expected / len(LOGITS))
    whole = F.binary_cross_entropy_with_logits(LOGITS, target, reduction="sum")
    torch.testing.assert_close(loss.eval()(LOGITS, target), whole / len(LOGITS))


def test_draws_differ_and_can_be_repeated() -> None:
    loss = FederatedLoss(counts=[1] * 50, num_sampled=10)
    logits, target = torch.randn(2, 50), torch.tensor([0, 1])
    torch.manual_seed(1)
    first, second = loss(logits, target), loss(logits, target)
    assert first != second
    torch.manual_seed(1)
    assert loss(logits, target) == first


@pytest.mark.parametrize("power", [0.0, 0.5, 1.0])
def test_chances_go_with_a_power_of_the_counts(power: float) -> None:
    loss = FederatedLoss(counts=COUNTS, power=power)
    expected = torch.tensor(COUNTS, dtype=torch.float64) ** power
    torch.testing.assert_close(loss.log_chances.exp(), expected / expected.sum())


def test_what_does_not_count_is_not_present() -> None:
    """Ignored elements and samples without weight; a normalizer and weights of classes stay."""
    target = torch.zeros(9, 5, dtype=torch.float64)
    target[0, 0], target[1, 1], target[2, 2] = 1, 1, 1
    weight = torch.ones(9, dtype=torch.float64)
    weight[0] = 0
    target[1, 1] = -100
    loss = FederatedLoss(counts=COUNTS, num_sampled=1, weight=[1.0, 1.0, 3.0, 1.0, 1.0])
    found = loss(LOGITS, target, sample_weight=weight, normalizer=2.0)
    each = F.binary_cross_entropy_with_logits(LOGITS[:, 2], target[:, 2], reduction="none")
    torch.testing.assert_close(found, 3 * (weight * each).sum() / 2)
