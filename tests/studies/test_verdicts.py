"""What is planted is found: claims hold where their effect is there, and not where it is not."""

import math
import re

import numpy as np
import pytest

from kit import planted_studies as planted
from taylored.lab.statistics.estimate import Estimate
from taylored.studies.declared import Evidence
from taylored.studies.judged import verdict_of
from taylored.studies.papers import names, study_of

LEVEL = 0.05
HELD, NOT, UNSEEN = "held", "did not hold", "could not be seen"


def effect(difference, error):
    """An effect of trainings alone, with five of them."""
    return Estimate(difference, 0.0, math.inf, 0.0, 5 * error**2, 4, 5, 1)


@pytest.mark.parametrize(
    ("expected", "difference", "error", "word"),
    [
        ("more", 0.05, 0.01, HELD),
        ("more", -0.05, 0.01, NOT),
        ("more", 0.0, 0.001, NOT),
        ("more", 0.005, 0.02, UNSEEN),
        ("more", 0.005, 0.001, HELD),  # small, and there
        ("no more", 0.0, 0.001, HELD),
        ("no more", -0.05, 0.01, HELD),
        ("no more", 0.05, 0.01, NOT),
        ("no more", 0.005, 0.02, UNSEEN),
        ("no more", 0.005, 0.001, HELD),  # there, and surely below a point
        ("more", 0.0, 0.0, NOT),  # the same on every row
        ("no more", 0.0, 0.0, HELD),
        ("more", 0.005, 0.0, HELD),  # the same difference in every training
        ("no more", 0.005, 0.0, HELD),
        ("no more", 0.05, 0.0, NOT),
    ],
)
def test_a_verdict_follows_from_effect_error_and_margin(expected, difference, error, word):
    evidence = Evidence("claim", "what", effect(difference, error), expected=expected)
    assert verdict_of(evidence, LEVEL)[0] == word


def test_without_numbers_nothing_could_be_seen():
    alone = Estimate(0.1, 0.001, 10.0, 0.0, None, 0, 1, 1)
    for estimate in (None, alone):
        assert verdict_of(Evidence("claim", "what", estimate), LEVEL)[0] == UNSEEN


def terms(setting):
    found = re.search(r"num_terms=(\d+)", setting.loss)
    return int(found[1]) if found else math.inf


def number(setting):
    found = re.search(r"(?:epsilon|gamma|beta)=([-\d.]+)", setting.loss)
    return float(found[1]) if found else 0.0


def moved(setting):
    """How many coefficients a loss moves."""
    return 0 if "poly" not in setting.loss else setting.loss.count("2")


def ratios(gaps):
    """Ratios whose logarithm falls from head to tail by the gap of the loss."""

    def ratio(setting):
        groups = planted.problem().groups
        steps = {"head": 0.0, "medium": 0.5, "tail": 1.0}
        return 10 ** -np.array([gaps.get(setting.loss, 1.0) * steps[group] for group in groups])

    return ratio


EQUALISED = {"binary_cross_entropy": 2.0, "cross_entropy": 2.0}
AFTER = {"sigmoid_eql": 0.3, "softmax_eql": 0.3}
PLANTED = {
    "drop-n": (
        {"level": lambda s: 0.9 - 0.1 * (terms(s) < 1000) - 0.2 * (terms(s) < 10)},
        {"level": lambda s: 0.8 + 0.1 * (terms(s) < 1000)},
    ),
    "epsilon-sweep": (
        {"level": lambda s: 0.8 + 0.1 * (number(s) == 2)},
        {"level": lambda s: 0.9 - 0.1 * (number(s) != 0)},
    ),
    "poly-n": (
        {"level": lambda s: 0.8 + 0.1 * (moved(s) > 0)},
        {"level": lambda s: 0.6 + 0.1 * moved(s)},
    ),
    "first-term-share": (
        {"level": lambda s: 0.9, "followed": planted.followed(0.7, 1e-15)},
        {"level": lambda s: 0.9, "followed": planted.followed(0.3, 1e-3)},
    ),
    "gradient-ratio": (
        {
            "level": lambda s: 0.7 + 0.2 * (s.loss == "sigmoid_eql"),
            "ratio": ratios(EQUALISED | AFTER),
        },
        {
            "level": lambda s: 0.9 - 0.2 * (s.loss == "sigmoid_eql"),
            "ratio": ratios({"binary_cross_entropy": -1.0, "cross_entropy": -1.0}),
        },
    ),
    "focal-gamma": (
        {"level": lambda s: 0.7 + 0.2 * (number(s) == 2)},
        {"level": lambda s: 0.9 - 0.2 * (number(s) == 2)},
    ),
    "class-balanced-beta": (
        {"level": lambda s: 0.7 + 0.2 * (number(s) > 0.9)},
        {"level": lambda s: 0.9 - 0.2 * (number(s) > 0)},
    ),
    "calibration": (
        {"level": lambda s: 0.9, "posterior": lambda s: 1.0},
        {"level": lambda s: 0.9, "posterior": lambda s: 0.5},
    ),
}


def test_every_study_has_planted_results():
    assert set(PLANTED) == set(names())


@pytest.mark.parametrize("name", names())
@pytest.mark.parametrize("word", [HELD, NOT])
@pytest.mark.parametrize("budget", ["quick", "default"])
def test_a_planted_effect_is_found_and_its_opposite_refuted(name, word, budget):
    declared = study_of(name)
    given = PLANTED[name][word == NOT]
    found = planted.words(declared, planted.ground(declared, budget=budget, **given))
    assert set(found) == {claim.key for claim in declared.claims}
    assert found == {claim: {word} for claim in found}


def test_too_few_rows_decide_nothing():
    declared = study_of("focal-gamma")
    few = planted.ground(
        declared, lambda s: 0.8 + 0.02 * (number(s) == 2), shared=False, counts=(30, 20, 10)
    )
    results = planted.results(declared, few)
    assert {each.word for each in results.findings} == {UNSEEN}
    # The reader is told what these rows could have shown.
    assert all(each.effect.smallest > 0.05 for each in results.findings)


def test_equal_losses_are_seldom_told_apart():
    declared = study_of("focal-gamma")
    told = [
        each.word
        for seed in range(60)
        for each in planted.results(
            declared, planted.ground(declared, lambda s: 0.8, shared=False, seed=seed)
        ).findings
    ]
    assert told.count(HELD) <= 6  # of 120, at 2.5 % each and one of two sides


def test_validation_chooses_and_the_tested_rows_have_no_say():
    declared = study_of("epsilon-sweep")
    found = planted.ground(declared, lambda s: 0.9 - 0.1 * (number(s) == 2))
    best = found.chosen([*found.timed], "accuracy")
    assert {setting.loss for setting in best.times} == {"cross_entropy"}  # the first of the best
    assert sum(best.times.values()) == 5
    again = found.chosen([found_one for found_one in found.timed if number(found_one) == 2], "nll")
    assert found.measure(again.tested, "accuracy").value == pytest.approx(0.8, abs=0.03)
