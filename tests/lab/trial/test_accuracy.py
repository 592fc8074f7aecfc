"""Metrics against scikit-learn and against definitions written out in loops."""

import math

import numpy as np
import pytest
import torch
from sklearn.metrics import accuracy_score, log_loss, recall_score

from taylored.lab.trial.accuracy import (
    accuracies,
    calibration,
    log_probabilities,
    recall_list,
)

CLASSES = 6
GROUPS = ("head", "head", "medium", "medium", "tail", "tail")


@pytest.fixture
def scores() -> tuple[torch.Tensor, torch.Tensor]:
    generator = torch.Generator().manual_seed(3)
    logits = 2 * torch.randn(400, CLASSES, generator=generator)
    labels = torch.randint(0, CLASSES - 1, (400,), generator=generator)  # the last class is absent
    logits[torch.arange(400), labels] += 1.0
    return logits, labels


def test_accuracies_agree_with_scikit_learn(scores):
    logits, labels = scores
    predicted = logits.argmax(1)
    recall = recall_score(labels, predicted, labels=range(CLASSES), average=None, zero_division=0)
    found = accuracies(logits, labels, GROUPS)
    assert found["accuracy"] == pytest.approx(accuracy_score(labels, predicted), abs=1e-12)
    assert found["balanced_accuracy"] == pytest.approx(recall[:5].mean(), abs=1e-12)
    assert found["head"] == pytest.approx(recall[:2].mean(), abs=1e-12)
    assert found["medium"] == pytest.approx(recall[2:4].mean(), abs=1e-12)
    assert found["tail"] == pytest.approx(recall[4], abs=1e-12)  # class 5 has no samples
    listed = recall_list(logits, labels, CLASSES)
    assert listed[:5] == pytest.approx(recall[:5], abs=1e-12)
    assert listed[5] is None


def test_a_group_without_samples_has_no_value(scores):
    logits, labels = scores
    keep = labels < 4
    assert accuracies(logits[keep], labels[keep], GROUPS)["tail"] is None


@pytest.mark.parametrize("link", ["softmax", "sigmoid"])
def test_calibration_follows_its_definition(scores, link):
    logits, labels = scores
    raw = logits.double().numpy()
    p = np.exp(raw) if link == "softmax" else 1 / (1 + np.exp(-raw))
    p /= p.sum(1, keepdims=True)
    expected = 0.0
    for i in range(15):
        low, high = i / 15, (i + 1) / 15
        inside = [
            n for n in range(len(p)) if low <= p[n].max() < high or (i == 14 and p[n].max() == 1)
        ]
        if inside:
            right = np.mean([p[n].argmax() == labels[n].item() for n in inside])
            confidence = np.mean([p[n].max() for n in inside])
            expected += len(inside) / len(p) * abs(right - confidence)
    found = calibration(logits, labels, link)
    assert found["ece"] == pytest.approx(expected, abs=1e-12)
    assert found["nll"] == pytest.approx(log_loss(labels, p, labels=range(CLASSES)), abs=1e-12)


@pytest.mark.parametrize("link", ["softmax", "sigmoid"])
def test_probabilities_of_extreme_logits_stay_finite(link):
    logits = torch.tensor([[1e4, -1e4, 0.0], [-1e4, -1e4, -1e4]])
    log_p = log_probabilities(logits, link)
    assert torch.isfinite(log_p).all()
    assert log_p.exp().sum(1).tolist() == pytest.approx([1, 1])
    assert math.isfinite(calibration(logits, torch.tensor([1, 2]), link)["nll"])
