"""Average precision and calibration of many labels, against scikit-learn and plain loops."""

import math

import numpy as np
import pytest
import torch
from sklearn.metrics import average_precision_score, log_loss

from taylored.lab.tasks import MULTI_LABEL
from taylored.lab.trial.average_precision import average_precisions
from taylored.lab.trial.evaluation import measure, per_class

LABELS = 9
GROUPS = ("head",) * 3 + ("medium",) * 3 + ("tail",) * 3
WANTED = tuple(MULTI_LABEL.metrics)


def drawn(rows: int = 300, seed: int = 3) -> tuple[torch.Tensor, torch.Tensor]:
    generator = torch.Generator().manual_seed(seed)
    share = torch.tensor([0.5, 0.4, 0.3, 0.2, 0.1, 0.05, 0.02, 0.01, 0.0])
    truth = (torch.rand(rows, LABELS, generator=generator) < share).float()
    logits = torch.randn(rows, LABELS, generator=generator) + truth - 2
    return logits, truth


def expected(logits: torch.Tensor, truth: torch.Tensor) -> np.ndarray:
    return np.array(
        [
            average_precision_score(truth[:, k], logits[:, k]) if truth[:, k].any() else np.nan
            for k in range(truth.shape[1])
        ]
    )


@pytest.mark.parametrize("digits", [None, 1, 0])
def test_average_precision_agrees_with_scikit_learn(digits):
    logits, truth = drawn()
    if digits is not None:  # ties, up to columns of a few distinct scores
        logits = logits.round(decimals=digits)
    found = average_precisions(logits, truth).numpy()
    assert np.isnan(found[-1])
    np.testing.assert_allclose(found, expected(logits, truth), rtol=0, atol=1e-12)


def test_ties_do_not_depend_on_the_order_of_rows():
    truth = torch.tensor([[1.0], [0.0], [0.0], [1.0]])
    same = torch.zeros(4, 1)
    assert average_precisions(same, truth).item() == pytest.approx(0.5)
    assert average_precisions(same, truth.flip(0)).item() == pytest.approx(0.5)


def test_perfect_and_worst_order():
    truth = torch.tensor([[1.0, 0.0], [1.0, 0.0], [0.0, 1.0], [0.0, 1.0]])
    scores = torch.tensor([4.0, 3.0, 2.0, 1.0])[:, None].expand(4, 2)
    assert average_precisions(scores, truth).tolist() == pytest.approx([1.0, (1 / 3 + 2 / 4) / 2])


def test_groups_and_means_are_means_over_labels():
    logits, truth = drawn()
    each = expected(logits, truth)
    found = measure("multi-label", logits, truth, GROUPS, "sigmoid", WANTED)
    assert tuple(found) == WANTED
    assert found["mean_average_precision"] == pytest.approx(np.nanmean(each), abs=1e-12)
    assert found["head"] == pytest.approx(each[:3].mean(), abs=1e-12)
    assert found["medium"] == pytest.approx(each[3:6].mean(), abs=1e-12)
    assert found["tail"] == pytest.approx(np.nanmean(each[6:]), abs=1e-12)
    micro = average_precision_score(truth.numpy(), logits.numpy(), average="micro")
    assert found["micro_average_precision"] == pytest.approx(micro, abs=1e-12)
    lists = per_class("multi-label", logits, truth, LABELS)
    assert lists.recall is None
    assert lists.average_precision[:8] == pytest.approx(each[:8], abs=1e-12)
    assert lists.average_precision[8] is None


def test_calibration_is_over_all_elements():
    logits, truth = drawn()
    found = measure("multi-label", logits, truth, GROUPS, "sigmoid", ("nll", "ece"))
    p = (1 / (1 + np.exp(-logits.double().numpy()))).ravel()
    y = truth.double().numpy().ravel()
    assert found["nll"] == pytest.approx(log_loss(y, p, labels=[0, 1]), abs=1e-12)
    gap = 0.0
    for i in range(15):
        inside = (p >= i / 15) & (p < (i + 1) / 15)
        if inside.any():
            gap += inside.mean() * abs(y[inside].mean() - p[inside].mean())
    assert found["ece"] == pytest.approx(gap, abs=1e-12)


def test_extreme_logits_stay_finite():
    logits = torch.tensor([[1e4, -1e4], [-1e4, 1e4]])
    truth = torch.tensor([[0.0, 1.0], [1.0, 0.0]])
    found = measure("multi-label", logits, truth, ("head", "tail"), "sigmoid", WANTED)
    assert all(value is None or math.isfinite(value) for value in found.values())
    assert found["medium"] is None
    assert found["mean_average_precision"] == pytest.approx(0.5)
    assert found["ece"] == pytest.approx(1.0)
