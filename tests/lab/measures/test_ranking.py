"""AUROC and average precision of columns against scikit-learn, and their influence on rows."""

import numpy as np
import pytest
import torch
from sklearn.metrics import average_precision_score, roc_auc_score

from taylored.lab.measures.ranking import Ranked, auroc, average_precision

METRICS = {
    "auroc": (auroc, roc_auc_score),
    "average_precision": (average_precision, average_precision_score),
}


def drawn(rows: int, digits: int | None, seed: int = 3) -> tuple[torch.Tensor, torch.Tensor]:
    generator = torch.Generator().manual_seed(seed)
    share = torch.tensor([0.5, 0.3, 0.1, 0.05])
    truth = (torch.rand(rows, 4, generator=generator) < share).long()
    truth[:2] = torch.tensor([[1], [0]])
    scores = torch.randn(rows, 4, generator=generator) + truth
    return (scores if digits is None else scores.round(decimals=digits)), truth


@pytest.mark.parametrize("digits", [None, 1, 0])
@pytest.mark.parametrize("name", METRICS)
def test_values_are_those_of_scikit_learn(name, digits):
    ours, theirs = METRICS[name]
    scores, truth = drawn(400, digits)
    expected = [theirs(truth[:, c], scores[:, c]) for c in range(4)]
    assert ours(Ranked.of(scores, truth))[0].tolist() == pytest.approx(expected, abs=1e-12)


@pytest.mark.parametrize("digits", [None, 1, 0])
@pytest.mark.parametrize("name", METRICS)
def test_influence_is_the_derivative_by_the_weight_of_a_row(name, digits):
    ours, theirs = METRICS[name]
    scores, truth = drawn(60, digits)
    influence = ours(Ranked.of(scores, truth))[1].numpy()
    step = 1e-5
    for column in range(4):
        for row in range(60):
            up, down = np.ones(60), np.ones(60)
            up[row] += step
            down[row] -= step
            y, s = truth[:, column].numpy(), scores[:, column].numpy()
            slope = theirs(y, s, sample_weight=up) - theirs(y, s, sample_weight=down)
            assert influence[row, column] == pytest.approx(slope / (2 * step), abs=2e-8)


@pytest.mark.parametrize("name", METRICS)
def test_influence_adds_up_to_nothing(name):
    scores, truth = drawn(500, 1)
    assert METRICS[name][0](Ranked.of(scores, truth))[1].sum(0).tolist() == pytest.approx(
        [0] * 4, abs=1e-12
    )


@pytest.mark.parametrize("name", METRICS)
def test_the_order_of_rows_does_not_matter(name):
    scores, truth = drawn(300, 1)
    shuffled = torch.randperm(300, generator=torch.Generator().manual_seed(1))
    value, influence = METRICS[name][0](Ranked.of(scores, truth))
    other, moved = METRICS[name][0](Ranked.of(scores[shuffled], truth[shuffled]))
    torch.testing.assert_close(other, value, rtol=0, atol=1e-12)
    torch.testing.assert_close(moved, influence[shuffled], rtol=0, atol=1e-12)


def test_columns_without_positives_do_not_exist():
    scores, truth = drawn(30, None)
    truth[:, 1] = 0
    for metric in (auroc, average_precision):
        value, influence = metric(Ranked.of(scores, truth))
        assert value.isnan().tolist() == [False, True, False, False]
        assert influence[:, 1].isnan().all()
    truth[:, 1] = (
        1  # no negatives: every positive is found with precision 1, but there are no pairs
    )
    assert auroc(Ranked.of(scores, truth))[0].isnan().tolist() == [False, True, False, False]
    assert average_precision(Ranked.of(scores, truth))[0][1] == 1
