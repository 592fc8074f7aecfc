"""The verdict on a run: what is said, and above all what is not."""

from __future__ import annotations

from dataclasses import replace

import numpy as np
import pytest
import torch

from kit.said import Said, broken, each_trial, entry, problem, trial, with_heads, words
from taylored.lab.judgement.words import decidable
from taylored.lab.trial_result import LADDER, LearningRates

SAID = Said(problem())
GOOD, BAD = 0.5, -0.5


def judged(gain, seed=1, **changes):
    return SAID.judged(SAID.loss("x", SAID.right(seed, gain)), **changes)


def test_better_is_said_with_its_size_and_its_price():
    result = judged(GOOD)
    found = entry(result, "x").against_baseline("balanced_accuracy")
    assert entry(result, "x").verdict == "better"
    assert result.verdict.ranking == result.verdict.tied == ("x",)
    assert result.verdict.free == "cross_entropy"
    overall = entry(result, "x").against_baseline("accuracy").difference
    assert result.verdict.headline == (
        f"x beats cross-entropy by {100 * found.difference:.1f} points of balanced accuracy "
        f"(95 % +{100 * found.low:.1f} to +{100 * found.high:.1f}); "
        f"overall accuracy +{100 * overall:.1f} points"
    )
    assert "P(better) > 99.9 %" in words(result)


def test_a_gain_is_never_named_without_what_it_costs():
    result = judged((-0.6, 0.3, 2.5))
    assert entry(result, "x").verdict == "better"
    assert "overall accuracy -" in result.verdict.headline
    # The other way round, what the classes lose stands beside what the rows gain.
    result = judged((0.9, 0.0, -1.5), primary_metric="accuracy")
    assert entry(result, "x").verdict == "better"
    assert "balanced accuracy -" in result.verdict.headline


def test_worse_is_said():
    result = judged(BAD)
    assert entry(result, "x").verdict == "worse"
    assert result.verdict.ranking == ()
    assert (
        result.verdict.headline == "No loss beats cross-entropy in balanced accuracy; it is worse"
    )
    assert "Worse than cross-entropy beyond noise: x (-" in words(result)


def test_the_same_predictions_are_practically_equal():
    result = SAID.judged(SAID.loss("twin", SAID.right(0)))
    found = entry(result, "twin").against_baseline("balanced_accuracy")
    assert found.identical
    assert found.p is None
    assert entry(result, "twin").verdict == "practically equal"
    assert result.verdict.headline == (
        "In balanced accuracy, twin and cross-entropy are practically equal"
    )


def test_practically_equal_needs_a_bound_below_one_point():
    large = Said(problem((30_000, 20_000, 10_000)), noise=0.1)
    result = large.judged(large.loss("x", large.right(1)))
    found = entry(result, "x").against_baseline("balanced_accuracy")
    assert not found.identical
    assert found.within < 0.01
    assert entry(result, "x").verdict == "practically equal"
    assert "Practically equal to the baseline (within 1 points): x" in words(result)
    # The same numbers with fewer rows behind them prove nothing.
    assert entry(judged(0.0), "x").against_baseline("balanced_accuracy").within > 0.01


def test_undecided_is_not_no_difference():
    result = judged(0.0)
    found = entry(result, "x").against_baseline("balanced_accuracy")
    assert entry(result, "x").verdict == "undecided"
    assert result.verdict.headline.startswith(
        "Undecided: no loss is shown to beat cross-entropy in balanced accuracy (1 undecided"
    )
    chance = f"P(better) {100 * found.probability_better:.0f} %"
    assert f"x: undecided. {chance}, within {100 * found.within:.1f} points" in words(result)
    assert "no difference" not in words(result).lower()
    assert f"{100 * found.smallest:.1f} points with a chance of 80 %" in words(result)


def weak_at_the_tail(margin):
    """Cross-entropy takes half of the rare rows for the first class, by a small margin."""
    labels = SAID.problem.tested_labels
    scores = torch.zeros(1, len(labels), 3)
    scores[0, np.arange(len(labels)), labels] = 8.0
    rare = np.flatnonzero(labels == 2)
    scores[0, rare[::2], 0] = 8.0 + margin
    return SAID.told("cross_entropy", scores, "baseline")


@pytest.mark.parametrize(("wrong", "how"), [(2, "Not distinguishable from"), (20, "Less than")])
def test_what_cross_entropy_reaches_for_nothing_is_no_win_of_a_loss(wrong, how):
    base = weak_at_the_tail(margin=0.5)  # less than log(900 / 150): moved away by tau = 1
    right = np.ones((1, len(SAID.problem.tested_labels)), bool)
    right[0, np.random.default_rng(0).permutation(right.shape[1])[:wrong]] = False
    result = SAID.judged(SAID.loss("moved", right), base=base)
    moved = entry(result, "moved")
    plain, free = (
        moved.against_baseline("balanced_accuracy"),
        moved.against_free("balanced_accuracy"),
    )
    assert plain.difference > 0.1
    assert plain.p_corrected < 0.001
    assert free.difference < 0.05
    assert moved.verdict == "free gain"
    assert result.verdict.free == "cross_entropy + tau 1"
    assert result.verdict.ranking == ()
    assert result.verdict.headline.startswith(
        "No loss is shown to beat what cross-entropy reaches for nothing: cross_entropy + tau 1 "
        "gains 16.7 points of balanced accuracy; overall accuracy +5.0 points"
    )
    assert "moved: +" in words(result)
    assert f"{how} cross_entropy + tau 1, which is free" in words(result)


def test_a_loss_that_beats_the_free_reference_is_better_and_its_free_part_is_said():
    base = weak_at_the_tail(margin=0.5)
    labels = SAID.problem.tested_labels
    wrong = np.random.default_rng(0).random((1, len(labels))) < 0.3  # for everybody
    scores = base.tested.scores.clone()
    scores[0, np.flatnonzero(wrong[0])] = torch.tensor([9.0, 0.0, 0.0])
    scores[0, np.flatnonzero(wrong[0] & (labels == 0))] = torch.tensor([0.0, 9.0, 0.0])
    base = SAID.told("cross_entropy", scores, "baseline")
    right = ~wrong
    right[0, np.flatnonzero(wrong[0])[::2]] = True
    result = SAID.judged(SAID.loss("best", right), base=base)
    assert result.verdict.free == "cross_entropy + tau 1"
    assert entry(result, "best").verdict == "better"
    assert result.verdict.headline.startswith("best beats cross_entropy + tau 1 by ")
    assert "come for nothing" in words(result)


def moved_curve(base):
    return entry(SAID.judged(base=base), "cross_entropy").trade_off


def test_a_loss_that_gains_more_at_its_price_trades_better():
    """It beats neither end of cross-entropy's curve, and what lies on it at the same accuracy."""
    labels, rng = SAID.problem.tested_labels, np.random.default_rng(3)
    rows = np.arange(len(labels))
    scores = torch.from_numpy(rng.normal(size=(1, len(labels), 3)).astype(np.float32))
    scores[0, rows, labels] += 1.5
    prior = torch.tensor(np.log(np.bincount(labels) / len(labels)), dtype=torch.float32)
    base = SAID.told("cross_entropy", scores + prior, "baseline")
    knows_more = scores.clone()
    knows_more[0, rows, labels] += 0.5

    def of(name, told, tau):
        found = entry(SAID.judged(SAID.told(name, told + tau * prior), base=base), name)
        assert found.matched.price == "accuracy"
        return found, found.matched.versus

    halfway, versus = of("halfway", knows_more, 0.1)
    assert 0.02 < versus.difference < 0.3
    assert versus.beyond_noise
    assert halfway.verdict in ("better", "better trade-off")
    # Cross-entropy itself, moved, lies on its own curve.
    moved, versus = of("moved", scores, 0.1)
    assert moved.matched.tau == pytest.approx(0.9, abs=0.1)
    assert abs(versus.difference) < 0.01
    assert not versus.beyond_noise
    assert moved.verdict == "free gain"
    # A loss that pays nothing at all gains what it gains over a baseline that pays a point.
    best, versus = of("best", knows_more, 0.6)
    accuracy = best.metrics["accuracy"]
    assert accuracy > max(point.values["accuracy"] for point in moved_curve(base))
    assert 0 < versus.difference < 0.2
    paid = max(point.values["accuracy"] for point in moved_curve(base)) - 0.01
    taus = [point.tau for point in moved_curve(base) if point.values["accuracy"] >= paid]
    assert best.matched.tau == pytest.approx(taus[-1], abs=0.1)


def test_a_trap_for_the_free_reference_is_the_plain_baseline():
    """An adjustment that makes it worse is not what losses are compared with."""
    labels = SAID.problem.tested_labels
    scores = torch.zeros(1, len(labels), 3)
    scores[0, np.arange(len(labels)), labels] = 0.1  # any move takes all rows to the rarest class
    result = SAID.judged(base=SAID.told("cross_entropy", scores, "baseline"))
    assert entry(result, "cross_entropy + tau 1").metrics["balanced_accuracy"] < 0.5
    assert result.verdict.free == "cross_entropy"


def test_weights_of_the_last_layer_are_normalised_where_there_is_one():
    base = with_heads(SAID.baseline(), (4.0, 2.0, 1.0))
    result = SAID.judged(base=base)
    free = [loss for loss in result.losses if loss.role == "free"]
    assert [loss.name.split(" ")[1] for loss in free] == ["+", "tau-normalised"]
    assert all(loss.trials == () for loss in free)
    assert [loss.role for loss in SAID.judged().losses] == ["baseline", "free"]


@pytest.mark.parametrize("metric", ["accuracy", "nll"])
def test_no_adjustment_where_none_can_help(metric):
    result = SAID.judged(primary_metric=metric)
    assert [loss.role for loss in result.losses] == ["baseline"]


def test_winners_that_cannot_be_told_apart_are_not_ranked():
    one, two = SAID.loss("one", SAID.right(1, 0.5)), SAID.loss("two", SAID.right(2, 0.5))
    result = SAID.judged(one, two)
    assert set(result.verdict.tied) == set(result.verdict.ranking) == {"one", "two"}
    assert "cannot be told apart, so none of them is called the best" in words(result)
    assert result.verdict.headline.startswith("2 of 2 losses beat cross-entropy, ")


def test_a_clear_leader_is_named():
    one, two = SAID.loss("one", SAID.right(1, 0.4)), SAID.loss("two", SAID.right(2, 1.2))
    result = SAID.judged(one, two)
    assert result.verdict.ranking == ("two", "one")
    assert result.verdict.tied == ("two",)
    assert "two also leads one beyond noise" in words(result)


def test_less_is_better_for_the_likelihood():
    """Wrong rows make a bad likelihood, also after recalibration."""
    result = judged(0.8, primary_metric="nll")
    found = entry(result, "x").against_baseline("nll")
    assert found.difference < 0
    assert found.probability_better > 0.999
    assert entry(result, "x").verdict == "better"
    assert "negative log-likelihood" in result.verdict.headline


def test_other_accuracies_are_described():
    result = judged((0.0, 0.0, 1.5), primary_metric="accuracy")
    assert "Other accuracies that differ from cross-entropy as it is beyond noise" in words(result)
    assert "tail +" in words(result)


@pytest.mark.parametrize(("repeats", "verdict"), [(1, "no interval"), (2, "better")])
def test_a_given_split_needs_two_trainings(repeats, verdict):
    said = Said(problem((900, 600, 300), repeats, split=True))
    result = said.judged(said.loss("x", said.right(1, 0.8)))
    assert entry(result, "x").verdict == verdict
    assert "for the split that came with the data" in result.statistics.test
    if repeats == 1:
        assert result.verdict.headline.startswith("No verdict: these trainings are too few")
        assert "No interval, which needs at least 2 trainings: x" in words(result)


@pytest.mark.parametrize("status", ["diverged", "failed"])
def test_a_loss_that_diverged_once_wins_nothing(status):
    good = broken(SAID.loss("good", SAID.right(1, GOOD)), 2, status=status)
    result = SAID.judged(good, SAID.loss("x", SAID.right(2, 0.0)))
    found = entry(result, "good")
    assert found.verdict == "diverged"
    assert found.against_baseline("balanced_accuracy").difference is None
    assert result.verdict.ranking == ()
    assert f"good {status} in 1 of 5 trainings and is not judged" in words(result)


def test_everything_diverged():
    lost = broken(SAID.loss("lost", SAID.right(1)), 0, 1)
    assert SAID.judged(lost).verdict.headline == (
        "No verdict: every compared loss diverged in at least one training"
    )
    result = SAID.judged(SAID.loss("x", SAID.right(1, GOOD)), base=broken(SAID.baseline(), 3))
    assert result.verdict.headline.startswith("No verdict: cross-entropy diverged")
    assert result.verdict.ranking == ()


def test_only_the_baseline():
    assert SAID.judged().verdict.headline.startswith("Only cross-entropy was run")


MAJORITY = "predicts the majority only"


def test_a_baseline_that_predicts_the_majority_only_is_a_warning():
    labels = SAID.problem.tested_labels
    scores = torch.zeros(1, len(labels), 3)
    scores[..., 0] = 5.0
    result = SAID.judged(
        SAID.loss("x", SAID.right(1)), base=SAID.told("cross_entropy", scores, "baseline")
    )
    assert any(MAJORITY in warning for warning in result.verdict.warnings)
    scores[0, :10] = torch.tensor([0.0, 5.0, 0.0])
    result = SAID.judged(base=SAID.told("cross_entropy", scores, "baseline"))
    assert not any(MAJORITY in warning for warning in result.verdict.warnings)


def rates(chosen, tied=()):
    return LearningRates(chosen, "each", "balanced_accuracy", tied, ())


def test_ties_and_ends_of_the_ladder_are_warnings():
    fine = {"cross_entropy": 0.01, "x": 0.03}
    assert judged(0.0, rates=rates(fine)).verdict.warnings == ()
    (tied,) = judged(0.0, rates=rates(fine, ("cross_entropy", "x"))).verdict.warnings
    assert tied.startswith("The metric cannot tell the learning rates of cross_entropy and x apart")
    assert tied.endswith("The likelihood chose.")
    for end in (LADDER[0], LADDER[-1]):
        (ends,) = judged(0.0, rates=rates({**fine, "x": end})).verdict.warnings
        assert ends == "The learning rate of x is at the end of those that are tried."
        fixed = LearningRates({**fine, "x": end}, "fixed", "", (), ())
        assert judged(0.0, rates=fixed).verdict.warnings == ()
    many = tuple(f"loss{number}" for number in range(9))
    (tied,) = judged(0.0, rates=rates(fine, many)).verdict.warnings
    assert "loss0, loss1, loss2, loss3 and 5 more apart" in tied


@pytest.mark.parametrize(
    ("curve", "warned"),
    [
        ([0.1, 0.3, 0.5, 0.6, 0.65, 0.7, 0.75, 0.8], True),
        ([0.1, 0.5, 0.7, 0.79, 0.795, 0.8, 0.801, 0.801], False),
        ([0.8, 0.8, 0.8, 0.8, 0.8, 0.8, 0.7, 0.6], False),
        ([0.1, 0.4, 0.8], False),  # too short to tell
    ],
)
def test_a_baseline_that_was_still_learning_is_a_warning(curve, warned):
    base = each_trial(SAID.baseline(), lambda t: trial(t.loss, t.role, t.repeat, t.fold, curve))
    found = SAID.judged(base=base).verdict.warnings
    assert any("was still gaining 10.0 points in the last quarter" in w for w in found) == warned


def test_names_of_losses_are_made_harmless_in_warnings_and_sentences():
    evil = "bad\x1b[31m"
    result = SAID.judged(SAID.loss(evil, SAID.right(1)), rates=rates({evil: LADDER[0]}, (evil,)))
    assert "\x1b" not in words(result) + "".join(result.verdict.warnings)


def test_two_looks_make_the_limits_stricter():
    """Found by its p-value between both limits."""
    for gain in np.linspace(0.05, 0.3, 26):
        found = entry(judged(gain), "x").against_baseline("balanced_accuracy")
        if 0.03 < found.p_corrected < 0.049:
            break
    assert judged(gain).statistics.significance == 0.05
    assert entry(judged(gain), "x").verdict == "better"
    assert judged(gain, looks=2).statistics.significance == 0.0294
    assert entry(judged(gain, looks=2), "x").verdict == "undecided"


def test_another_repeat_is_for_losses_that_it_may_decide():
    noisy = Said(problem(repeats=1), noise=1.0)
    gains = {"clear": 1.0, "close": 0.22, "none": 0.0}
    losses = [noisy.loss(name, noisy.right(5, gain)) for name, gain in gains.items()]
    twin = noisy.loss("twin", noisy.right(0))
    result = noisy.judged(*losses, twin, broken(twin, 0), looks=2)
    assert entry(result, "clear").verdict == "better"
    asked = decidable(result)
    assert "clear" not in asked
    assert "twin" not in asked
    for name in gains:
        found = entry(result, name).against_free("balanced_accuracy")
        open_ = entry(result, name).verdict in ("undecided", "free gain")
        assert (name in asked) == (open_ and found.more_would_decide)
    assert entry(result, "none").verdict == "undecided"
    assert "none" not in asked


def test_more_repeats_are_promised_only_where_they_help():
    # Where the rows are few and trainings agree, only more rows would do.
    steady = Said(problem((60, 40, 20)), noise=0.5)
    result = steady.judged(steady.loss("x", steady.right(1, 0.1)))
    assert "More repeats cannot decide this; this run shows" in words(result)
    loud = Said(problem((6000, 3000, 1500)), noise=1.5)
    result = loud.judged(loud.loss("x", loud.right(1, 0.0)))
    found = entry(result, "x").against_baseline("balanced_accuracy")
    assert found.repeats is not None
    assert ("more repeat" in words(result)) == (found.repeats > 1)


def test_false_alarms_stay_below_five_percent_and_large_effects_are_found():
    """Six losses that are cross-entropy once more, and then one that is not."""
    rng = np.random.default_rng(5)
    said = Said(problem((250, 120, 60)), noise=0.5)
    alarms = found = 0
    for _ in range(20):
        seeds = rng.integers(1, 10**6, 6).tolist()
        same = [said.loss(f"loss{n}", said.right(seed)) for n, seed in enumerate(seeds)]
        result = said.judged(*same)
        alarms += any(loss.verdict in ("better", "worse") for loss in result.losses)
    for seed in range(4):
        good = said.loss("good", said.right(50 + seed, 0.9))
        found += said.judged(good, *same).verdict.ranking == ("good",)
    assert alarms <= 2
    assert found == 4


def test_losses_keep_their_order():
    losses = [SAID.loss(name, SAID.right(seed)) for seed, name in enumerate("bca", 1)]
    result = SAID.judged(*losses)
    assert [loss.name for loss in result.losses if loss.role == "candidate"] == ["b", "c", "a"]
    again = SAID.judged(*reversed(losses))
    for loss in result.losses:
        assert replace(entry(again, loss.name)) == loss
