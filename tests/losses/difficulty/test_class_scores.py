"""What losses that follow the difficulty of the classes count, batch by batch, from the logits."""

from __future__ import annotations

import io

import pytest
import torch
import torch.nn.functional as F

from kit.elements import draw
from taylored import CrossEntropyLoss, DifficultyBalancedLoss, EquilibriumLoss, LinearLogits

C, N = 5, 40


def batches(number: int = 4) -> list[tuple[torch.Tensor, torch.Tensor]]:
    return [
        (draw(N, C, seed=seed).requires_grad_(), torch.arange(N) * (seed + 1) % (C - 1))
        for seed in range(number)
    ]


def test_weights_follow_the_accuracy_of_the_batches_before() -> None:
    """Accuracies counted in Python, with forgetting; the last class is never seen."""
    loss = DifficultyBalancedLoss(num_classes=C, tau=1.5, decay=0.5)
    right, seen = [0.0] * C, [0.0] * C
    for logits, truth in batches():
        accuracy = [r / s if s else 0.0 for r, s in zip(right, seen, strict=True)]
        weights = torch.tensor([max(1 - a, 0.01) ** 1.5 for a in accuracy], dtype=torch.float64)
        weights = weights * C / weights.sum()
        expected = F.cross_entropy(logits, truth, weight=weights)
        torch.testing.assert_close(loss(logits, truth), expected)
        for c in range(C):
            rows = logits[truth == c]
            if len(rows):
                right[c] = 0.5 * right[c] + (rows.argmax(1) == c).sum().item()
                seen[c] = 0.5 * seen[c] + len(rows)
    assert loss.indicator.number.tolist() == seen
    assert loss.indicator.total.tolist() == right


def test_margins_follow_the_scores_of_the_batches_before() -> None:
    """The authors' equilibrium_loss, given the mean probabilities."""
    loss = EquilibriumLoss(num_classes=C, decay=1.0)
    scores, truths = torch.zeros(0, dtype=torch.float64), torch.zeros(0).long()
    for logits, truth in batches():
        mean = torch.tensor(
            [scores[truths == c].mean() if (truths == c).any() else 0.01 for c in range(C)],
            dtype=torch.float64,
        )
        mass = mean * torch.exp(logits)
        p = (mass / mass.sum(1, keepdim=True)).gather(1, truth.unsqueeze(1))
        torch.testing.assert_close(loss(logits, truth), -torch.log(p).mean())
        own = torch.softmax(logits.detach(), 1).gather(1, truth.unsqueeze(1)).squeeze(1)
        scores, truths = torch.cat([scores, own]), torch.cat([truths, truth])


@pytest.mark.parametrize("kind", [DifficultyBalancedLoss, EquilibriumLoss])
def test_what_counts(kind: type) -> None:
    """Ignored positions, weights of 0, evaluation and frozen states are not counted."""
    logits, truth = batches(1)[0]
    truth[:4] = -100
    weight = torch.ones(N)
    weight[4:8] = 0
    loss, other = kind(num_classes=C), kind(num_classes=C)
    loss(logits, truth, sample_weight=weight)
    other(logits[8:], truth[8:])
    assert torch.equal(loss.indicator.number, other.indicator.number)
    torch.testing.assert_close(loss.indicator.total, other.indicator.total)
    before = loss.indicator.total.clone()
    with torch.no_grad():
        loss(logits, truth)
    loss.eval()(logits, truth)
    loss.indicator.freeze()
    loss.train()(logits, truth)
    assert torch.equal(loss.indicator.total, before)


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
