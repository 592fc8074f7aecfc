"""The ladder of learning rates."""

import pytest

from taylored.lab.run.tune_learning_rate import START, Candidate, best_rate, next_rates


def search(score, direction=+1):
    """Run the search on a function of the rate."""
    tried = []
    while rates := next_rates(tried, direction):
        tried += [Candidate("cross_entropy", rate, score(rate)) for rate in rates]
    return best_rate(tried, direction), [c.learning_rate for c in tried]


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
    assert best_rate([Candidate("l", 0.01, 0.5), Candidate("l", 0.003, 0.5)], +1) == 0.003


def test_a_loss_that_always_diverges_has_no_rate_after_the_whole_ladder():
    chosen, tried = search(lambda rate: None)
    assert chosen is None
    assert min(tried) == 1e-5
