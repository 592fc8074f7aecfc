"""The ladder of learning rates: who judges, who climbs, and what happens on ties."""

import math

import pytest

from taylored.lab.run.tune_learning_rate import START, Judge, best_tried, next_rates, tune
from taylored.lab.trial_result import LADDER, TriedRate

METRIC = Judge(direction=+1, coarse=False)
LIKELIHOOD = Judge(direction=+1, coarse=True)


def search(score, nll=lambda rate: 1.0, judge=METRIC):
    """Run the search on functions of the rate."""

    def train(wanted):
        return [TriedRate(loss, rate, score(rate), nll(rate)) for loss, rate, _ in wanted]

    tried = tune(["cross_entropy"], train, judge)["cross_entropy"]
    found = judge.best(tried)
    chosen = None if found is None else found.learning_rate
    return chosen, [each.learning_rate for each in tried]


def away_from(best):
    """A score that falls with the distance in steps of the ladder."""
    return lambda rate: -abs(math.log(rate / best))


def test_an_inner_best_ends_the_search():
    assert search(away_from(0.01)) == (0.01, list(START))


@pytest.mark.parametrize("best", LADDER)
def test_a_best_at_the_end_is_followed_to_the_next_step(best):
    chosen, tried = search(away_from(best))
    assert chosen == best
    assert len(tried) == len(set(tried))
    place = LADDER.index(best)
    assert set(LADDER[max(0, place - 1) : place + 2]) <= set(tried)
    # Nothing is tried beyond what has to be seen on both sides of the best.
    assert min(tried) == min(START[0], LADDER[max(0, place - 1)])


def test_smaller_is_better_for_a_metric_that_says_so():
    judge = Judge(direction=-1, coarse=False)
    assert search(lambda rate: abs(math.log(rate / 0.003)), judge=judge)[0] == 0.003


def test_ties_fall_to_the_likelihood():
    """All rates score the same: the smallest must not win, nor may the ladder walk down."""
    chosen, tried = search(lambda rate: 0.5, nll=lambda rate: abs(math.log(rate / 0.01)))
    assert (chosen, tried) == (0.01, list(START))
    # A likelihood that wants more than the ladder's start is followed as well.
    assert search(lambda rate: 0.5, nll=lambda rate: abs(math.log(rate / 0.1)))[0] == 0.1


def test_two_rates_that_tie_at_the_top_fall_to_the_likelihood():
    scores = {0.003: 0.6, 0.01: 0.7, 0.03: 0.7, 0.1: 0.2}
    nll = {0.003: 0.1, 0.01: 0.4, 0.03: 0.3, 0.1: 0.9}
    assert search(scores.get, nll=nll.get)[0] == 0.03


def test_the_likelihood_judges_alone_where_the_metric_is_coarse():
    chosen, _ = search(
        lambda rate: rate, nll=lambda rate: -away_from(0.003)(rate), judge=LIKELIHOOD
    )
    assert chosen == 0.003
    missing, _ = search(lambda rate: None, nll=lambda rate: -away_from(0.03)(rate))
    assert missing == 0.03  # a group without validation rows has no metric


def test_what_ties_altogether_goes_to_the_smaller_rate():
    tried = [TriedRate("l", rate, 0.5, 0.7) for rate in START]
    assert METRIC.best(tried).learning_rate == LIKELIHOOD.best(tried).learning_rate == START[0]


def test_ties_are_noticed_only_where_there_is_something_to_tie():
    def rates(*values):
        return [
            TriedRate("l", rate, value, 0.7) for rate, value in zip(START, values, strict=False)
        ]

    assert METRIC.tied(rates(0.5, 0.5, 0.5))
    assert not METRIC.tied(rates(0.5, 0.5, 0.6))
    assert not METRIC.tied(rates(0.5))
    assert not METRIC.tied([])
    diverged = [TriedRate("l", 0.1, None, None)]
    assert METRIC.tied(rates(0.5, 0.5) + diverged)
    assert not METRIC.tied(rates(0.5) + diverged)


def test_diverged_rates_lose():
    chosen, tried = search(
        lambda rate: None if rate > 0.002 else 0.5,
        nll=lambda rate: None if rate > 0.002 else -away_from(1e-3)(rate),
    )
    assert chosen == 1e-3
    assert max(tried) == max(START)
    assert next_rates([TriedRate("l", rate, None, None) for rate in START], METRIC) == (0.001,)


def test_a_loss_that_always_diverges_has_no_rate_after_the_whole_ladder():
    chosen, tried = search(lambda rate: None, nll=lambda rate: None)
    assert chosen is None
    assert min(tried) == LADDER[0]


def test_losses_are_tuned_together_and_each_gets_its_own_rate():
    calls = []
    best = {"one": 0.01, "two": 0.1, "broken": None}

    def train(wanted):
        calls.append(wanted)
        return [
            TriedRate(loss, rate, None if best[loss] is None else away_from(best[loss])(rate), None)
            for loss, rate, _ in reversed(wanted)
        ]

    tried = tune(list(best), train, METRIC)
    chosen = {loss: found.learning_rate for loss, found in best_tried(tried, METRIC).items()}
    assert chosen == {"one": 0.01, "two": 0.1}
    assert len(calls[0]) == 3 * len(START)
    for rates in tried.values():
        assert [found.learning_rate for found in rates] == sorted(
            found.learning_rate for found in rates
        )


def score_of(best_rate, best_decay):
    """A score with one best pair; the best rate is another one for other decays, as in AdamW."""

    def score(rate, decay):
        shifted = best_rate * (10 if decay == best_decay else 1)
        return -abs(math.log(rate / shifted)) - abs(math.log(decay / best_decay))

    return score


@pytest.mark.parametrize("best_decay", [0.001, 0.1])
def test_weight_decays_are_tried_with_ladders_of_their_own(best_decay):
    score, calls = score_of(0.01, best_decay), []

    def train(wanted):
        calls.append(wanted)
        return [TriedRate(loss, r, score(r, d), 1.0, d) for loss, r, d in wanted]

    tried = tune(["a", "b"], train, METRIC, decays=(0.001, 0.01, 0.1))
    assert len(calls[0]) == 2 * 3 * len(START)
    for found in best_tried(tried, METRIC).values():
        assert (found.learning_rate, found.weight_decay) == (0.1, best_decay)
    pairs = [(found.weight_decay, found.learning_rate) for found in tried["a"]]
    assert pairs == sorted(set(pairs))
    # Only the ladder that led beyond its end was climbed.
    assert [r for d, r in pairs if d == 0.01] == list(START)


def test_of_a_given_rate_only_the_weight_decay_is_tried():
    def train(wanted):
        return [TriedRate(loss, r, -d, 1.0, d) for loss, r, d in wanted]

    tried = tune(["a"], train, METRIC, decays=(0.0, 0.1), rate=0.5)
    pairs = [(found.learning_rate, found.weight_decay) for found in tried["a"]]
    assert pairs == [(0.5, 0), (0.5, 0.1)]
    assert best_tried(tried, METRIC)["a"].weight_decay == 0
