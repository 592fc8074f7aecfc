"""The ladder of learning rates."""

import pytest

from taylored.lab.results import TriedRate
from taylored.lab.run.tune_learning_rate import START, best_rate, best_rates, tune


def search(score, direction=+1):
    """Run the search on a function of the rate."""

    def train(wanted):
        return [TriedRate(loss, rate, score(rate)) for loss, rate in wanted]

    tried = tune(["cross_entropy"], train, direction=direction)["cross_entropy"]
    return best_rate(tried, direction), [found.learning_rate for found in tried]


def test_an_inner_best_ends_the_search():
    assert search(lambda rate: -abs(rate - 0.01)) == (0.01, list(START))


@pytest.mark.parametrize(("best", "last"), [(0.3, 1.0), (1e-4, 3e-5), (1.0, 1.0), (1e-5, 1e-5)])
def test_a_best_at_the_end_is_followed(best, last):
    chosen, tried = search(lambda rate: -abs(rate - best))
    assert chosen == best
    assert last in tried
    assert len(tried) == len(set(tried))


def test_smaller_is_better_for_the_likelihood():
    assert search(lambda rate: abs(rate - 0.003), direction=-1)[0] == 0.003


def test_diverged_rates_lose_and_ties_go_to_the_smaller():
    assert search(lambda rate: None if rate > 0.002 else 0.5)[0] == 1e-5
    assert best_rate([TriedRate("l", 0.01, 0.5), TriedRate("l", 0.003, 0.5)], +1) == 0.003


def test_a_loss_that_always_diverges_has_no_rate_after_the_whole_ladder():
    chosen, tried = search(lambda rate: None)
    assert chosen is None
    assert min(tried) == 1e-5


def test_losses_are_tuned_together_and_each_gets_its_own_rate():
    calls = []

    def train(wanted):
        calls.append(wanted)
        best = {"one": 0.01, "two": 0.1, "broken": None}
        scores = {loss: lambda rate, at=at: None if at is None else -abs(rate - at)
                  for loss, at in best.items()}  # fmt: skip
        return [TriedRate(loss, rate, scores[loss](rate)) for loss, rate in reversed(wanted)]

    tried = tune(["one", "two", "broken"], train, direction=+1)
    assert best_rates(tried, +1) == {"one": 0.01, "two": 0.1}
    assert len(calls[0]) == 3 * len(START)
    for rates in tried.values():
        assert [found.learning_rate for found in rates] == sorted(
            found.learning_rate for found in rates
        )
