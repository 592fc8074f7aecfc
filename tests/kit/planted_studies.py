"""Trainings of a study whose outcome is known: how often each setting is right is planted."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from functools import lru_cache

import numpy as np
import torch

from taylored.lab.data import Reading
from taylored.lab.run import sources
from taylored.lab.run.problem import Problem
from taylored.lab.run.progress import Reporter
from taylored.lab.run_config import Budget
from taylored.lab.store.timed_trial import TimedTrial
from taylored.lab.trial import outputs as kept
from taylored.lab.trial.outputs import Outputs
from taylored.lab.trial_result import LearningRates, TrialResult
from taylored.studies.carry_out import results_of
from taylored.studies.declared import BASELINE, Study
from taylored.studies.followed import BINS, FollowedTraining
from taylored.studies.ground import Ground, Setting
from taylored.studies.records import StudyConfig, StudyResults, Surveyed
from taylored.studies.survey import Survey

COUNTS = (400, 250, 150, 60, 40)
"""A long tail with head, medium and tail."""
SURE = 8.0
"""How far the score of the predicted class is above the others: no log prior moves it."""

Level = Callable[[Setting], float]
"""How often a setting is right."""


@lru_cache(maxsize=4)
def problem(counts: tuple[int, ...] = COUNTS) -> Problem:
    """A problem with five folds; its features say nothing, since nothing is trained."""
    labels = np.repeat(np.arange(len(counts)), counts)
    features = np.random.default_rng(1).normal(size=(len(labels), 3))
    with Reporter("off") as reporter:
        dataset = sources.read((features, labels), None, Reading(), reporter)
    return Problem.draw(dataset, seed=0, repeats=1)


def ground(
    declared: Study,
    level: Level,
    *,
    shared: bool = True,
    seed: int = 0,
    counts: tuple[int, ...] = COUNTS,
    ratio: Callable[[Setting], np.ndarray] | None = None,
    posterior: Callable[[Setting], float] | None = None,
    followed: tuple[FollowedTraining, ...] = (),
    budget: Budget = "quick",
) -> Ground:
    """What a study finds where its settings are right as often as `level` says.

    Args:
        declared: the study.
        level: how often a setting is right, on test and on validation rows.
        shared: whether all settings are right on the same rows, so that only the levels differ.
        seed: of the rows.
        counts: rows of each class.
        ratio: the gradient ratio of each class.
        posterior: the factor on calibrated log-probabilities that makes the kept posterior; 1 is
            calibrated. The softmax of the scores is calibrated where it is None.
        followed: followed trainings.
        budget: of the study.
    """
    drawn = problem(counts)
    draws = np.random.default_rng(seed)
    luck = draws.random(len(drawn.tested_labels))
    others = draws.integers(1, len(counts), len(drawn.tested_labels))
    timed: dict[Setting, list[TimedTrial]] = {}
    for setting in dict.fromkeys([BASELINE, *declared.settings(budget)]):
        rows = luck if shared else draws.random(len(luck))
        right = rows < level(setting)
        timed[setting] = [
            _trial(drawn, setting, fold, right, others, level(setting), ratio, posterior)
            for fold in range(drawn.folds)
        ]
    chosen = dict.fromkeys((setting.loss for setting in timed), 0.01)
    rates = LearningRates(chosen, "cross_entropy", "accuracy", (), ())
    return Ground("planted", drawn, budget, rates, timed, followed)


def _trial(
    drawn: Problem,
    setting: Setting,
    fold: int,
    right: np.ndarray,
    others: np.ndarray,
    level: float,
    ratio: Callable[[Setting], np.ndarray] | None,
    posterior: Callable[[Setting], float] | None,
) -> TimedTrial:
    classes = len(drawn.train_counts)
    inside = drawn.tested[0] == fold
    labels = drawn.tested_labels[inside]
    guessed = np.where(right[inside], labels, (labels + others[inside]) % classes)
    scores = torch.zeros(len(labels), classes)
    # The largest probability is as large as the share right: calibrated.
    sure = SURE if posterior is None else float(np.log(level / (1 - level) * (classes - 1)))
    scores[torch.arange(len(labels)), torch.from_numpy(guessed)] = sure
    told = None
    if posterior is not None and setting != BASELINE:
        told = kept._packed((scores * posterior(setting)).log_softmax(1), "<f2")
        scores = scores * (1.5 - posterior(setting))  # the other reading is as far off
    largest = scores.amax(1, keepdim=True)
    outputs = Outputs(
        classes, kept._packed(scores - largest, "<f2"), kept._packed(largest, "<f4"), told
    )
    last = {
        "epoch": 1.0,
        "validation_accuracy": level,
        "validation_balanced_accuracy": level,
        "validation_nll": 1 - level,
    }
    # Trainings differ a little, as they do.
    noise = 1 + 0.01 * np.sin(fold * len(setting.loss) + np.arange(classes))
    ratios = None if ratio is None else tuple((ratio(setting) * noise).tolist())
    trial = TrialResult(
        setting.loss,
        "baseline" if setting == BASELINE else "candidate",
        0,
        fold,
        setting.rate or 0.01,
        "full",
        status="ok",
        metrics={"accuracy": level},
        curve=(last,),
        gradient_ratio=ratios,
    )
    return TimedTrial(trial, 0.0, None, {}, outputs)


def followed(share: float, deviation: float) -> tuple[FollowedTraining, ...]:
    """Five followed trainings whose share rises to twice its mean."""
    return tuple(
        FollowedTraining(
            0,
            fold,
            tuple(share + 0.1 * share * (i / BINS - 0.5) + 0.001 * fold for i in range(BINS)),
            tuple(share + 0.1 * share * (i / BINS - 0.5) + 0.002 * fold for i in range(BINS)),
            deviation * (1 + 0.1 * fold),
        )
        for fold in range(5)
    )


def results(declared: Study, found: Ground, name: str = "planted") -> StudyResults:
    """The results of a study on planted trainings."""
    about = Surveyed(found.problem.summary(), "mlp", 1, 16, 5, found.rates)
    config = StudyConfig(declared.name, (None,), None, found.budget, 1, 0, None, declared.metric)
    return results_of(declared, config, [Survey(name, about, declared.conclude(found))])


def words(declared: Study, found: Ground) -> Mapping[str, set[str]]:
    """The verdicts on each claim."""
    told: dict[str, set[str]] = {}
    for each in results(declared, found).findings:
        told.setdefault(each.claim, set()).add(each.word)
    return told
