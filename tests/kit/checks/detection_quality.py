"""Checks of single detection losses by hand."""

from __future__ import annotations

import torch
from torch import Tensor

from kit.elements import HARD, LOGITS, C, N, draw, gradient_of
from kit.tolerances import close
from references.formulas import entropy, sigmoid
from taylored import GHMLoss, VarifocalLoss


def check_varifocal_sides() -> None:
    """Negatives are focused, positives weighted by their score and never focused."""
    scores = torch.sigmoid(draw(N, C, seed=3)) * HARD
    found = VarifocalLoss(alpha=0.4, gamma=1.5, reduction="none")(LOGITS, scores)
    p = sigmoid(LOGITS)
    close(found[HARD == 0], (0.4 * p**1.5 * entropy(LOGITS, scores))[HARD == 0])
    close(found[HARD == 1], (scores * entropy(LOGITS, scores))[HARD == 1])


def check_equal_bins() -> None:
    """The weights of each filled bin add up to the same share of the elements."""
    loss = GHMLoss(bins=6, reduction="none")
    weights = loss(LOGITS, HARD) / entropy(LOGITS, HARD)
    place = ((sigmoid(LOGITS) - HARD).abs() * 6).long()
    sums = torch.stack([weights[place == b].sum() for b in place.unique()])
    close(sums, torch.full_like(sums, LOGITS.numel() / len(sums)))
    # Constants: the gradient is that of binary cross-entropy, times the weights.
    expected = weights * (sigmoid(LOGITS) - HARD)
    close(gradient_of(GHMLoss(bins=6, reduction="sum"), HARD), expected)


def check_ignored_density() -> None:
    target = HARD.clone()
    target.view(-1)[::4] = -100
    kept = target != -100
    loss = GHMLoss()
    close(loss(LOGITS, target), loss(LOGITS[kept], target[kept]))
    assert (gradient_of(loss, target)[~kept] == 0).all()


def _counts(logits: Tensor, target: Tensor, bins: int) -> Tensor:
    place = ((sigmoid(logits) - target).abs() * bins).long()
    return torch.bincount(place.flatten(), minlength=bins).double()


def check_momentum() -> None:
    """Averages of the batches that had something in the bin, weighted 1, m, m^2, ... backwards."""
    bins, momentum = 8, 0.6
    loss = GHMLoss(bins=bins, momentum=momentum).double()
    # All on the right side, and easier and easier: bins of large gradients fall empty.
    batches = [LOGITS.abs() * (2 * HARD - 1) * factor for factor in (0.3, 1.0, 4.0)]
    seen: list[Tensor] = []
    for logits in batches:
        counts = _counts(logits, HARD, bins)
        seen.append(counts)
        average = torch.zeros(bins, dtype=torch.float64)
        for b in range(bins):
            filled = [c[b] for c in seen if c[b] > 0]
            powers = [momentum**i for i in range(len(filled))]
            if filled:
                average[b] = sum(w * n for w, n in zip(powers, filled[::-1], strict=True)) / sum(
                    powers
                )
        weights = torch.where(counts > 0, LOGITS.numel() / average / (counts > 0).sum(), 0.0)
        place = ((sigmoid(logits) - HARD).abs() * bins).long()
        expected = (weights[place] * entropy(logits, HARD)).mean()
        close(loss(logits, HARD), expected)
    assert any((c == 0).any() for c in seen[1:])


def check_momentum_counts_training_only() -> None:
    loss = GHMLoss(momentum=0.5)
    before = loss(LOGITS, HARD)
    state = {name: value.clone() for name, value in loss.state_dict().items()}
    with torch.no_grad():
        loss(2 * LOGITS, HARD)
    loss.eval()
    again = loss(LOGITS, HARD)
    assert all(torch.equal(value, state[name]) for name, value in loss.state_dict().items())
    close(again, before)
    loss.train()
    loss(2 * LOGITS, HARD)
    assert not torch.equal(loss.density, state["density"])
