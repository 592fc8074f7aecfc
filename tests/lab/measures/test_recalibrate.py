"""Temperature and prior offset: the minimum, whose rows it is found on, and what it undoes."""

from __future__ import annotations

from dataclasses import replace

import numpy as np
import pytest
import torch
from scipy.optimize import minimize

from kit.tested_rows import many_labels, one_class
from taylored.lab.measures import measure, recalibrate
from taylored.lab.measures.recalibrate import recalibrated
from taylored.lab.measures.tested import logit


def log_priors(tested) -> torch.Tensor:
    counts = torch.tensor(tested.class_counts, dtype=torch.float64)
    prior = (counts / tested.rows).log()
    return prior.expand(tested.repeats, tested.fold_count, -1)


def penalised(tested, rows, log_prior, theta) -> float:
    """The objective in plain float64, from the definition."""
    temperature, offset = np.exp(theta[0]), theta[1]
    scores, labels = tested.scores[0, rows].double(), torch.from_numpy(tested.labels[rows]).long()
    penalty = theta[0] ** 2 / 0.5 + theta[1] ** 2 / 0.5
    if tested.multi_label:
        p = log_prior.exp()
        logits = scores / temperature + offset * (p / (1 - p)).log()
        signed = torch.where(labels == 1, logits, -logits)
        return float(-torch.nn.functional.logsigmoid(signed).sum()) + penalty
    log_p = torch.log_softmax(torch.log_softmax(scores, 1) / temperature + offset * log_prior, 1)
    return float(torch.nn.functional.nll_loss(log_p, labels, reduction="sum")) + penalty


def distorted(tested, scale: float, offset: float):
    """Scores that are too bold, and of another prior."""
    prior = log_priors(tested)[:, 0][:, None]
    prior = logit(prior) if tested.multi_label else prior
    return replace(tested, scores=(scale * (tested.scores + offset * prior)).float())


@pytest.mark.parametrize("scale", [0.2, 1.0, 6.0])
@pytest.mark.parametrize("drawn", [one_class, many_labels])
def test_the_fit_is_the_minimum(drawn, scale):
    tested = distorted(drawn(repeats=1), scale, 0.7)
    priors = log_priors(tested)
    found = recalibrated(tested, priors)
    for fold in (0, 3):
        rows = np.flatnonzero(tested.folds[0] != fold)
        best = minimize(
            lambda theta, rows=rows: penalised(tested, rows, priors[0, 0], theta),
            np.zeros(2),
            method="Nelder-Mead",
            options={"xatol": 1e-7, "fatol": 1e-10, "maxiter": 2000},
        )
        ours = np.array([np.log(found.temperature[0, fold]), found.offset[0, fold]])
        np.testing.assert_allclose(ours, best.x, atol=2e-5)


@pytest.mark.parametrize("drawn", [one_class, many_labels])
def test_a_fold_is_recalibrated_by_the_other_folds_alone(drawn):
    tested = drawn(repeats=1)
    priors = log_priors(tested)
    before = recalibrated(tested, priors)
    inside = tested.folds[0] == 2
    rng = np.random.default_rng(0)
    labels = tested.labels.copy()
    labels[inside] = rng.permutation(labels[inside])
    after = recalibrated(replace(tested, labels=labels), priors)
    torch.testing.assert_close(after.log_p[0, inside], before.log_p[0, inside], rtol=0, atol=0)
    assert after.temperature[0, 2] == before.temperature[0, 2]
    assert after.temperature[0, 1] != before.temperature[0, 1]


@pytest.mark.parametrize("drawn", [one_class, many_labels])
def test_it_undoes_a_convention(drawn):
    tested = drawn(rows=2000, repeats=1)
    groups = ("head",) * tested.classes
    priors = log_priors(tested)
    truth = replace(tested, scores=recalibrated(tested, priors).log_p.float())
    if tested.multi_label:
        truth = replace(tested, scores=logit(recalibrated(tested, priors).log_p).float())

    def likelihood(one) -> float:
        return measure(one, groups, ["nll"])["nll"].value

    conventions = distorted(truth, 2.0, -0.5)
    assert likelihood(conventions) > 1.1 * likelihood(truth)
    again = replace(conventions, log_p=recalibrated(conventions, priors).log_p)
    assert likelihood(again) == pytest.approx(likelihood(truth), rel=0.01)


def test_log_probabilities_are_those_of_a_distribution():
    tested = one_class()
    total = recalibrated(tested, log_priors(tested)).log_p.logsumexp(2)
    torch.testing.assert_close(total, torch.zeros_like(total), rtol=0, atol=1e-12)
    assert (recalibrated(many_labels(), log_priors(many_labels())).log_p <= 0).all()


def test_few_rows_do_not_run_away():
    """Perfectly separated rows would have temperature 0 without the penalty."""
    tested = one_class(rows=20, repeats=1, shares=(0.5, 0.5))
    certain = torch.nn.functional.one_hot(torch.from_numpy(tested.labels)).float()[None]
    found = recalibrated(replace(tested, scores=30 * certain), log_priors(tested))
    assert found.temperature.min() > 0.2
    assert np.isfinite(found.log_p.numpy()).all()


@pytest.mark.parametrize("drawn", [one_class, many_labels])
def test_one_fold_has_no_other_rows_to_fit_on(drawn):
    tested = drawn(folds=1)
    with pytest.raises(ValueError, match="at least 2 folds"):
        recalibrated(tested, log_priors(tested))


@pytest.mark.parametrize("drawn", [one_class, many_labels])
def test_extreme_outputs_and_absent_classes_stay_finite(drawn):
    tested = drawn(repeats=1)
    scores = tested.scores.clone()
    scores[:, :, 0] = 1e30
    priors = log_priors(tested).clone()
    priors[..., -1] = -torch.inf
    found = recalibrated(replace(tested, scores=scores), priors)
    assert not found.log_p.isnan().any()
    assert np.isfinite(found.temperature).all()


def test_many_elements_are_fitted_on_evenly_spaced_rows(monkeypatch):
    tested = many_labels(rows=4000, repeats=1)
    priors = log_priors(tested)
    whole = recalibrated(tested, priors)
    monkeypatch.setattr(recalibrate, "_ELEMENTS", 4000)
    some = recalibrated(tested, priors)
    assert some.log_p.shape == whole.log_p.shape
    assert (some.temperature != whole.temperature).all()
    np.testing.assert_allclose(some.temperature, whole.temperature, rtol=0.1)
