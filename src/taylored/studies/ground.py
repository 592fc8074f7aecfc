"""What was trained on one data set, and what can be asked about it."""

from collections import Counter
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field

from taylored.lab.judgement.free import best_move
from taylored.lab.measures import Measured, Tested, measure
from taylored.lab.run.gather import log_priors, tested_of
from taylored.lab.run.problem import Problem
from taylored.lab.run_config import Budget
from taylored.lab.statistics.estimate import Estimate
from taylored.lab.statistics.multiplicity import SIGNIFICANCE
from taylored.lab.statistics.paired import compare_measured
from taylored.lab.store.timed_trial import TimedTrial
from taylored.lab.trial_result import LearningRates, TrialResult
from taylored.studies.followed import FollowedTraining
from taylored.studies.records import Effect

Place = tuple[int, int]
"""Repeat and fold of a model."""


@dataclass(frozen=True)
class Setting:
    """A loss, and the learning rate that it is trained with; None is the one that was tuned."""

    loss: str
    rate: float | None = None

    @property
    def label(self) -> str:
        """The setting in a sentence."""
        return self.loss if self.rate is None else f"{self.loss} at rate {self.rate:g}"


@dataclass(frozen=True, eq=False)
class Chosen:
    """The outputs where validation data chose a setting for each model, and how often each."""

    tested: Tested
    times: Mapping[Setting, int]

    @property
    def said(self) -> str:
        """How often each setting was chosen, in words."""
        return ", ".join(f"{each.label} ({count})" for each, count in self.times.items())


@dataclass(frozen=True, eq=False)
class Ground:
    """One data set, with the trials of every setting on it.

    Args:
        name: of the data.
        problem: the data with their folds.
        budget: of the study.
        rates: the learning rates that were tuned.
        timed: the trials of each setting.
        followed: trainings whose gradient was measured at every step.
    """

    name: str
    problem: Problem
    budget: Budget
    rates: LearningRates
    timed: Mapping[Setting, Sequence[TimedTrial]]
    followed: tuple[FollowedTraining, ...] = ()
    _known: dict[tuple[Setting, str], Measured | None] = field(default_factory=dict, repr=False)

    def trials(self, setting: Setting) -> tuple[TrialResult, ...]:
        """The trials of a setting by repeat and fold."""
        found = (each.trial for each in self.timed[setting])
        return tuple(sorted(found, key=lambda trial: (trial.repeat, trial.fold)))

    def tested(self, setting: Setting) -> Tested | None:
        """What the models said about every row; None where a training has no numbers."""
        outputs = {(t.trial.repeat, t.trial.fold): t.outputs for t in self.timed[setting]}
        return tested_of(self.problem, outputs)

    def measured(self, setting: Setting, metric: str) -> Measured | None:
        """A metric of a setting; None where a training has no numbers."""
        if (setting, metric) not in self._known:
            tested = self.tested(setting)
            self._known[setting, metric] = None if tested is None else self.measure(tested, metric)
        return self._known[setting, metric]

    def measure(self, tested: Tested, metric: str) -> Measured:
        """A metric of outputs on these data."""
        return measure(tested, self.problem.groups, (metric,))[metric]

    def value(self, setting: Setting, metric: str) -> float | None:
        """The value of a metric over all rows."""
        found = self.measured(setting, metric)
        return None if found is None else found.value

    def versus(self, mine: Setting, other: Setting, metric: str) -> Estimate | None:
        """The metric of one setting minus that of another."""
        return difference(self.measured(mine, metric), self.measured(other, metric))

    @property
    def places(self) -> list[Place]:
        """Repeat and fold of every model of a setting."""
        first = next(iter(self.timed.values()))
        return sorted((each.trial.repeat, each.trial.fold) for each in first)

    def best(self, settings: Sequence[Setting], metric: str, place: Place) -> Setting | None:
        """The setting that is best on the validation part of one model after the last epoch.

        The rows that are tested have no say in it. Ties are decided by the likelihood, then by the
        order. None where all diverged.
        """
        there = [setting for setting in settings if self._finished(setting, place)]
        return max(there, key=lambda each: self._merit(each, metric, place), default=None)

    def picked(self, settings: Mapping[Place, Setting | None]) -> Chosen | None:
        """The outputs of the setting that is named for each model; None where one has none."""
        named = [setting for setting in settings.values() if setting is not None]
        if len(named) < len(self.places):
            return None
        outputs = {
            place: self._timed(setting, place).outputs
            for place, setting in settings.items()
            if setting is not None
        }
        tested = tested_of(self.problem, outputs)
        return None if tested is None else Chosen(tested, dict(Counter(named).most_common()))

    def chosen(self, settings: Sequence[Setting], metric: str) -> Chosen | None:
        """For every model the outputs of the setting that is `best`."""
        return self.picked({place: self.best(settings, metric, place) for place in self.places})

    def adjusted(self, setting: Setting, metric: str) -> Tested | None:
        """A setting with its scores moved by the log priors, which costs no training."""
        tested = self.tested(setting)
        if tested is None:
            return None
        priors = log_priors(self.problem)[: tested.repeats]
        groups, known = self.problem.groups, self.problem.task.metrics
        return best_move(tested, priors, known[metric], groups).tested

    def versus_chosen(
        self, mine: Chosen | None, other: Chosen | None, metric: str
    ) -> Estimate | None:
        """The metric where settings were chosen, minus that where others were."""
        if mine is None or other is None:
            return None
        return difference(self.measure(mine.tested, metric), self.measure(other.tested, metric))

    def _timed(self, setting: Setting, place: Place) -> TimedTrial:
        found = self.timed[setting]
        return next(each for each in found if (each.trial.repeat, each.trial.fold) == place)

    def _finished(self, setting: Setting, place: Place) -> bool:
        return self._timed(setting, place).trial.status == "ok"

    def _merit(self, setting: Setting, metric: str, place: Place) -> tuple[float, float]:
        trial = self._timed(setting, place).trial
        value, nll = trial.validation(metric), trial.validation("nll")
        return (float("-inf") if value is None else value, 0.0 if nll is None else -nll)


def difference(mine: Measured | None, other: Measured | None) -> Estimate | None:
    """One measured metric minus another, on the same rows."""
    if mine is None or other is None:
        return None
    return compare_measured(mine, other, direction=1)


def effect_of(found: Estimate | None, level: float = SIGNIFICANCE) -> Effect | None:
    """An estimate as it is recorded; what could be seen is at this level of significance."""
    if found is None:
        return None
    if found.identical:
        return Effect(0.0, 0.0, 0.0)
    smallest = found.smallest_visible(level, found.repeats)
    return Effect(found.difference, found.low, found.high, found.p, smallest)
