"""Thresholds, tau and temperatures against scikit-learn, scipy and brute force."""

from __future__ import annotations

import pytest
import torch
from scipy.optimize import minimize_scalar
from sklearn.metrics import accuracy_score, balanced_accuracy_score, f1_score

from kit.tolerances import close
from taylored import adjust_logits, tune_tau, tune_temperature, tune_threshold

SCORES = {
    "f1": lambda y, p: f1_score(y, p, zero_division=0.0),
    "balanced_accuracy": balanced_accuracy_score,
    "accuracy": accuracy_score,
}
COUNTS = [300, 60, 10]


def _binary(seed: int) -> tuple[torch.Tensor, torch.Tensor]:
    generator = torch.Generator().manual_seed(seed)
    labels = (torch.rand(300, generator=generator) < 0.2).long()
    scores = (labels + torch.randn(300, generator=generator)).mul(4).round().div(4)  # with ties
    return scores, labels


def _classes(seed: int) -> tuple[torch.Tensor, torch.Tensor]:
    generator = torch.Generator().manual_seed(seed)
    labels = torch.multinomial(torch.tensor([0.5, 0.3, 0.2]), 400, True, generator=generator)
    logits = 1.5 * torch.randn(400, 3, generator=generator, dtype=torch.float64)
    logits[torch.arange(400), labels] += 1.5
    return logits + torch.tensor([2.0, 0.5, 0.0]), labels


@pytest.mark.parametrize("metric", SCORES)
@pytest.mark.parametrize("seed", range(3))
def test_no_threshold_is_better(metric: str, seed: int) -> None:
    scores, labels = _binary(seed)
    tuned = tune_threshold(scores, labels, metric=metric, resamples=50)  # type: ignore[arg-type]
    found = SCORES[metric](labels, scores > tuned.value)
    assert found == pytest.approx(tuned.score, abs=1e-12)
    tried = [*(scores.unique() + 0.1).tolist(), -100.0]
    assert max(SCORES[metric](labels, scores > t) for t in tried) <= found + 1e-12
    assert tuned.interval[0] <= tuned.value <= tuned.interval[1]
    assert tuned.score_interval[0] <= tuned.score <= tuned.score_interval[1]


def test_one_threshold_per_class() -> None:
    columns = [_binary(seed) for seed in range(3)]
    scores, labels = (torch.stack(part, dim=1) for part in zip(*columns, strict=True))
    together = tune_threshold(scores, labels, metric="f1")
    alone = [tune_threshold(*column, metric="f1") for column in columns]
    close(together.value, torch.stack([each.value for each in alone]))
    assert together.score == pytest.approx(sum(each.score for each in alone) / 3)
    assert together.interval[0].shape == (3,)
    assert "..." not in repr(together)


@pytest.mark.parametrize("metric", ["accuracy", "balanced_accuracy", "macro_f1"])
def test_no_tau_is_better(metric: str) -> None:
    logits, labels = _classes(0)
    tuned = tune_tau(logits, labels, counts=COUNTS, metric=metric)  # type: ignore[arg-type]

    def score(tau: float) -> float:
        predicted = adjust_logits(logits, counts=COUNTS, tau=tau).argmax(dim=1)
        if metric == "macro_f1":
            return float(f1_score(labels, predicted, average="macro", zero_division=0.0))
        return float(SCORES[metric](labels, predicted))

    assert score(float(tuned.value)) == pytest.approx(tuned.score, abs=1e-12)
    assert max(score(k / 20) for k in range(61)) <= tuned.score + 1e-12
    assert tuned.interval[0] <= tuned.value <= tuned.interval[1]


@pytest.mark.parametrize("link", ["softmax", "sigmoid"])
def test_the_temperature_of_least_loss(link: str) -> None:
    logits, labels = _classes(1)
    logits = 3 * logits
    target = labels if link == "softmax" else torch.nn.functional.one_hot(labels, 3)
    tuned = tune_temperature(logits, target, link=link)  # type: ignore[arg-type]

    def loss(temperature: float) -> float:
        z = logits / temperature
        if link == "softmax":
            return float(torch.nn.functional.cross_entropy(z, labels))
        loss = torch.nn.functional.binary_cross_entropy_with_logits(z, target.double())
        return float(loss)

    best = minimize_scalar(loss, bounds=(0.1, 50), method="bounded", options={"xatol": 1e-9})
    assert float(tuned.value) == pytest.approx(best.x, rel=1e-5)
    assert tuned.score == pytest.approx(best.fun, abs=1e-9)
    assert tuned.interval[0] < tuned.value < tuned.interval[1]


def test_intervals_cover() -> None:
    """Of many samples from one distribution, the true temperature is in most intervals."""
    covered = 0
    for seed in range(60):
        generator = torch.Generator().manual_seed(seed)
        z = 2 * torch.randn(200, 4, generator=generator, dtype=torch.float64)
        labels = torch.multinomial(torch.softmax(z, dim=1), 1, generator=generator).squeeze(1)
        low, high = tune_temperature(1.7 * z, labels, seed=seed).interval
        covered += bool(low <= 1.7 <= high)
    assert covered >= 50


def test_errors_name_the_argument() -> None:
    scores, labels = _binary(0)
    logits, classes = _classes(0)
    with pytest.raises(ValueError, match="`metric` must be one of 'f1'"):
        tune_threshold(scores, labels, metric="f2")  # type: ignore[arg-type]
    with pytest.raises(ValueError, match="`labels` must be 0 / 1 of the shape"):
        tune_threshold(scores, labels[:4], metric="f1")
    with pytest.raises(ValueError, match="`labels` must be 0 or 1"):
        tune_threshold(scores, labels * 2, metric="f1")
    with pytest.raises(ValueError, match="`counts` must be one number per class: 3"):
        tune_tau(logits, classes, counts=[1, 2], metric="accuracy")
    with pytest.raises(ValueError, match=r"`labels` must be classes in 0\.\.2"):
        tune_tau(logits, classes + 1, counts=COUNTS, metric="accuracy")
    with pytest.raises(ValueError, match="`link` must be one of"):
        tune_temperature(logits, classes, link="probit")  # type: ignore[arg-type]
