"""What losses that follow the difficulty of classes owe: weights, margins, what they count."""

from __future__ import annotations

import torch
import torch.nn.functional as F

from kit.elements import draw
from taylored import DifficultyBalancedLoss, EquilibriumLoss

C, N = 5, 40


def batches(number: int = 4) -> list[tuple[torch.Tensor, torch.Tensor]]:
    return [
        (draw(N, C, seed=seed).requires_grad_(), torch.arange(N) * (seed + 1) % (C - 1))
        for seed in range(number)
    ]


def check_weights_follow_the_accuracy_of_the_batches_before() -> None:
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


def check_margins_follow_the_scores_of_the_batches_before() -> None:
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


def check_what_counts(kind: type) -> None:
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
