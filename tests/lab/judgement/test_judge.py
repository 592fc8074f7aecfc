"""The verdict on a run: what is said, and above all what is not."""

from __future__ import annotations

import math
from dataclasses import replace

import numpy as np
import pytest

from kit.lab_results import (
    LOSSES,
    METRICS,
    change_trial,
    config,
    dataset,
    diverge,
    each_trial,
    results,
    with_metrics,
)
from taylored.lab.judgement.summarise import LossTrials, summarise
from taylored.lab.results import LearningRateChoice, TrialResult

EACH = LearningRateChoice(chosen={}, tuned="each", candidates=())


def flat(name, role, values, key="balanced_accuracy", other=0.5):
    """Trials whose metrics are constant but for one; values None mark diverged seeds."""
    trials = []
    for seed, value in enumerate(values):
        metrics = dict.fromkeys(METRICS, other) | {key: value}
        worked = TrialResult(
            name, role, seed, 0.1, "ok", metrics, (), best_epoch=1, recall=(value,)
        )
        trials.append(worked if value is not None else diverge(worked))
    return LossTrials(name, role, None, None, tuple(trials))


BASE = flat("cross_entropy", "baseline", [0.50, 0.52, 0.49, 0.51, 0.50])
CONTROL = flat("cross_entropy", "control", [0.51, 0.51, 0.50, 0.50, 0.50])


def summary(*entries, rate=EACH, **changes):
    return summarise(config(**changes), dataset(3), rate, entries)


def judged(*entries, **changes):
    return summary(BASE, *entries, CONTROL, **changes)


def shifted(name, by, key="balanced_accuracy"):
    wobble = (0.001, -0.001, 0.002, 0.0, -0.002)
    rows = [t.metrics[key] for t in BASE.trials]
    return flat(name, "candidate", [v + by + w for v, w in zip(rows, wobble, strict=True)], key)


def text(result):
    return " ".join([result.verdict.headline, *result.verdict.sentences])


def entry(result, name):
    return next(e for e in result.losses if e.name == name and e.role != "baseline")


def test_no_difference_is_said():
    result = judged(shifted("same", 0.0005))
    headline = result.verdict.headline
    assert (
        headline == "No difference beyond noise between same and cross-entropy in balanced accuracy"
    )
    assert result.verdict.ranking == ()
    assert entry(result, "same").verdict == "no difference"


def test_identical_trials_are_no_difference():
    twin = flat("twin", "candidate", [t.metrics["balanced_accuracy"] for t in BASE.trials])
    result = judged(twin)
    assert entry(result, "twin").verdict == "no difference"
    assert "No difference beyond noise" in result.verdict.headline


def test_one_winner():
    result = judged(shifted("good", 0.05), shifted("same", 0.0002))
    assert result.verdict.headline == (
        "good beats cross-entropy in balanced accuracy by 5.0 points"
    )
    assert result.verdict.ranking == ("good",)
    assert "No difference beyond noise: same" in text(result)


def test_winners_that_cannot_be_told_apart_are_not_ranked():
    result = judged(shifted("one", 0.05), shifted("two", 0.0502))
    other = judged(shifted("one", 0.05), flat_jitter("two", 0.051))
    assert "none of them is called the best" in text(other)
    assert other.verdict.tied == ("two", "one")
    # The same wobble in both leaves no variance between them: no interval, so no ranking either.
    assert "none of them is called the best" in text(result)


def flat_jitter(name, by):
    wobble = (-0.004, 0.003, -0.002, 0.004, 0.0)
    rows = [t.metrics["balanced_accuracy"] for t in BASE.trials]
    return flat(name, "candidate", [v + by + w for v, w in zip(rows, wobble, strict=True)])


def test_a_clear_leader_is_named():
    result = judged(shifted("one", 0.05), flat_jitter("two", 0.15))
    assert "two also leads one beyond noise" in text(result)
    assert result.verdict.ranking == ("two", "one")
    assert result.verdict.tied == ("two",)


def test_worse_is_said():
    result = judged(shifted("bad", -0.05), shifted("same", 0.0002))
    assert result.verdict.headline == (
        "No loss beats cross-entropy in balanced accuracy; 1 is worse"
    )
    assert judged(shifted("bad", -0.05)).verdict.headline.startswith("bad is worse")


def test_less_is_better_for_the_likelihood():
    rows = [1.0, 1.1, 0.9, 1.0, 1.05]
    base = flat("cross_entropy", "baseline", rows, "nll")
    control = flat("cross_entropy", "control", [1.01, 1.09, 0.92, 0.99, 1.04], "nll")
    lower = flat("lower", "candidate", [0.8, 0.91, 0.69, 0.79, 0.86], "nll")
    result = summary(base, lower, control, primary_metric="nll")
    assert entry(result, "lower").verdict == "better"
    assert "negative log-likelihood by 0.200" in result.verdict.headline


def test_other_accuracies_are_described():
    quiet = shifted("quiet", 0.0002)
    quiet = each_trial(quiet, lambda trial: with_metrics(trial, tail=0.7 + 0.001 * trial.seed))
    assert "changed beyond noise, in points: quiet: tail +20.2" in text(judged(quiet))


def test_failed_control_takes_every_claim_back():
    entries = [BASE, shifted("good", 0.05), shifted("same", 0.0002)]
    control = replace(shifted("cross_entropy", 0.03), role="control")
    result = summary(*entries, control)
    assert result.control.passed is False
    assert result.verdict.headline.startswith("This run cannot be trusted to separate losses")
    assert result.verdict.ranking == ()
    assert "is better" not in text(result)
    assert entry(result, "good").verdict == "untrusted"
    candidates = [e for e in result.losses if e.role == "candidate"]
    assert not any(c.beyond_noise for e in candidates for c in e.versus_baseline.values())


def test_one_sound_control_in_twenty_is_not_called_a_failure():
    # At p = 0.03 a loss would be called different; the control fails below 0.01 only.
    small = 0.0038
    control = replace(shifted("cross_entropy", small), role="control")
    result = summary(BASE, shifted("good", small), control)
    judged_control = next(e for e in result.losses if e.role == "control")
    assert 0.01 < judged_control.versus_baseline["balanced_accuracy"].p < 0.05
    assert result.control.passed is True
    assert judged_control.verdict == "no difference"
    assert entry(result, "good").verdict == "better"


def test_control_that_passes_says_so():
    result = judged(shifted("same", 0.0))
    assert result.control.passed is True
    assert "shows no difference" in result.control.sentence


def test_missing_control_is_said():
    result = summary(BASE, shifted("good", 0.05))
    assert result.control.passed is None
    assert "No control" in result.control.sentence


@pytest.mark.parametrize("seeds", [1, 2])
def test_too_few_seeds_give_no_verdict(seeds):
    result = results(LOSSES[:2], seeds=seeds)
    assert result.verdict.headline.startswith("No verdict")
    assert "at least 3 seeds" in text(result)
    assert result.control.passed is None
    assert {e.verdict for e in result.losses[1:]} == {"no interval"}


def test_a_loss_that_diverged_once_wins_nothing():
    good = shifted("good", 0.05)
    result = judged(change_trial(good, 1, diverge))
    assert result.verdict.ranking == ()
    assert "good diverged in 1 of 5 seeds and is not judged" in text(result)
    cell = entry(result, "good").versus_baseline["balanced_accuracy"]
    assert cell.n == 4
    assert not cell.beyond_noise


def test_everything_diverged():
    result = judged(flat("broken", "candidate", [None] * 5))
    assert result.verdict.headline.startswith("No verdict: every compared loss diverged")
    assert "has no numbers" in text(result)
    assert entry(result, "broken").mean["accuracy"] is None
    base = flat("cross_entropy", "baseline", [None] * 5)
    result = summary(base, shifted("good", 0.05), CONTROL)
    assert "cross-entropy diverged in every seed" in result.verdict.headline


def test_only_the_baseline():
    result = summary(BASE)
    assert result.verdict.headline.startswith("Only cross-entropy was run")


def test_shared_learning_rate_is_a_caveat():
    shared = LearningRateChoice(0.003, "cross_entropy", ())
    result = judged(shifted("same", 0.0), rate=shared)
    assert "tuned for cross-entropy and used for every loss" in text(result)
    assert "tuned for cross-entropy" not in text(judged(shifted("same", 0.0)))


def noisy_run(rng, effect):
    """Six losses, five seeds: noise of the split shared by all, noise of training for each."""
    names = ["cross_entropy", *(f"loss{i}" for i in range(6)), "cross_entropy"]
    roles = ["baseline", *["candidate"] * 6, "control"]
    split = rng.normal(0.6, 0.03, 5)
    shifts = [0.0, effect, 0.0, 0.0, 0.0, 0.0, 0.0, 0.0]
    return [
        flat(name, role, (split + shift + rng.normal(0, 0.01, 5)).tolist())
        for name, role, shift in zip(names, roles, shifts, strict=True)
    ]


def test_false_alarms_of_the_verdict_stay_below_five_percent():
    rng = np.random.default_rng(5)
    runs = 300
    alarms = 0
    for _ in range(runs):
        result = summary(*noisy_run(rng, 0.0))
        alarms += any(e.verdict in {"better", "worse"} for e in result.losses[1:-1])
    assert alarms <= 0.05 * runs + 2 * math.sqrt(0.05 * 0.95 * runs)


def test_large_effects_are_found():
    rng = np.random.default_rng(6)
    runs = 60
    found = sum(summary(*noisy_run(rng, 0.15)).verdict.ranking == ("loss0",) for _ in range(runs))
    assert found >= 0.9 * runs
