"""Ranking losses: the metrics that they stand for, weights, and how they are related."""

from __future__ import annotations

import pytest
import torch
from sklearn.metrics import average_precision_score

from kit.checks.batch_calls import check_weights_are_numbers_of_samples
from kit.elements import draw
from taylored import AUCMarginLoss, PartialAUCLoss, SmoothAPLoss, catalog

N = 60
LOGITS = draw(N, 3, seed=1)
TRUTH = (torch.arange(3 * N).reshape(N, 3) * 7 % 5 == 0).double()


@pytest.mark.parametrize("weighted", [False, True])
def test_smooth_ap_becomes_average_precision(weighted: bool) -> None:
    weight = torch.linspace(0, 2, N, dtype=torch.float64) if weighted else None
    found = SmoothAPLoss(temperature=1e-6)(LOGITS, TRUTH, sample_weight=weight)
    expected = [
        average_precision_score(TRUTH[:, c], LOGITS[:, c], sample_weight=weight) for c in range(3)
    ]
    assert found.item() == pytest.approx(1 - sum(expected) / 3, abs=1e-9)


def test_the_margin_loss_is_that_of_all_pairs_where_all_of_them_cost() -> None:
    """Scores are in [0, 1]: at a margin of 1 every pair costs something."""
    for margin in (1.0, 1.5):
        z = LOGITS.clone().requires_grad_()
        one, other = (
            loss(z, TRUTH)
            for loss in (AUCMarginLoss(margin=margin), PartialAUCLoss(max_fpr=1, margin=margin))
        )
        torch.testing.assert_close(one, other)
        for left, right in zip(*(torch.autograd.grad(v, z) for v in (one, other)), strict=True):
            torch.testing.assert_close(left, right)


@pytest.mark.parametrize("text", ["auc_margin(margin=0.4)", "partial_auc(max_fpr=1, margin=0.4)"])
def test_weights_are_numbers_of_samples(text: str) -> None:
    check_weights_are_numbers_of_samples(text)


def test_the_game_of_the_margin_loss_is_at_its_saddle() -> None:
    """LibAUC's objective (version v2): no a and b are better for us, no alpha for the opponent."""
    z, y = LOGITS[:, 0], TRUTH[:, 0] == 1
    h, g = torch.sigmoid(z[y]), torch.sigmoid(z[~y])

    def game(a: float, b: float, alpha: float) -> float:
        value = ((h - a) ** 2).mean() + ((g - b) ** 2).mean()
        return float(value + 2 * alpha * (0.7 + g.mean() - h.mean()) - alpha**2)

    a, b = float(h.mean()), float(g.mean())
    alpha = max(0.0, 0.7 + b - a)
    saddle = AUCMarginLoss(margin=0.7)(z, y.double()).item()
    assert game(a, b, alpha) == pytest.approx(saddle)
    for step in (-0.1, 0.1):
        assert game(a + step, b, alpha) > saddle
        assert game(a, b + step, alpha) > saddle
        assert game(a, b, max(0.0, alpha + step)) < saddle


def test_only_the_hardest_others_are_compared() -> None:
    loss = PartialAUCLoss(max_fpr=0.25)
    z = torch.tensor([0.3, 2.0, 1.0, -1.0, -2.0], requires_grad=True)
    loss(z, torch.tensor([1.0, 0, 0, 0, 0])).backward()
    assert (z.grad != 0).tolist() == [True, True, False, False, False]


def test_a_class_without_both_sides_does_not_count() -> None:
    truth = TRUTH.clone()
    truth[:, 0], truth[:, 1] = 0, 1
    for name in ("auc_margin", "partial_auc", "smooth_ap"):
        loss = catalog.get(name)
        torch.testing.assert_close(loss(LOGITS, truth), loss(LOGITS[:, 2], truth[:, 2]))
        assert loss(LOGITS[:, 0], truth[:, 0]) == 0
    with pytest.raises(ValueError, match=r"`reduction`"):
        catalog.get('smooth_ap(reduction="none")')


def test_many_samples_take_no_pairs() -> None:
    """Partial AUC of 20 000 samples, whose pairs would take 3 GB."""
    z = draw(20_000, 1, seed=2)
    truth = (torch.arange(20_000) % 10 == 0).double().unsqueeze(1)
    found = PartialAUCLoss(max_fpr=1, margin=0.5)(z, truth).item()
    h, g = torch.sigmoid(z[truth == 1]), torch.sigmoid(z[truth == 0])
    expected = torch.stack(
        [((0.5 - h[i : i + 50, None] + g).clamp_min(0) ** 2).mean() for i in range(0, 2000, 50)]
    ).mean()
    assert found == pytest.approx(expected.item(), rel=1e-10)
