"""Label ranking against scikit-learn's metric."""

from __future__ import annotations

import pytest
import torch

from kit.elements import HARD, LOGITS
from taylored import LabelRankingLoss

metrics = pytest.importorskip("sklearn.metrics")


def test_it_is_scikit_learn_s() -> None:
    target, logits = HARD.clone(), LOGITS.round()  # with ties
    target[0], target[1] = 0, 1
    found = LabelRankingLoss(pairs="wrong")(logits, target)
    expected = metrics.label_ranking_loss(target.numpy(), logits.numpy())
    assert found.item() == pytest.approx(expected)


def test_the_documented_number() -> None:
    truth, score = [[1, 0, 0], [0, 0, 1]], [[0.75, 0.5, 1.0], [1.0, 0.2, 0.1]]
    found = LabelRankingLoss(pairs="wrong")(torch.tensor(score), torch.tensor(truth))
    assert found.item() == pytest.approx(0.75)
