"""From the trials of a run to its results: means, differences, verdict."""

import math
from collections.abc import Sequence
from dataclasses import dataclass, replace

from taylored.lab.metrics import Metric
from taylored.lab.results import (
    ControlCheck,
    DatasetSummary,
    GainCurve,
    LearningRateChoice,
    LossResult,
    Results,
    Role,
    RunConfig,
    StatisticalTest,
    TrialResult,
)
from taylored.lab.tasks import TASKS, Task
from taylored.lab.verdict.differences import by_gain, level_with_best, with_differences
from taylored.lab.verdict.judge import beyond_noise, judge, judge_control, word_for
from taylored.lab.verdict.statistics import CONFIDENCE, RESAMPLED_RATIO, SIGNIFICANCE


@dataclass(frozen=True)
class LossTrials:
    """A loss as it was trained: its name and role, its card, and its trials."""

    name: str
    role: Role
    gain: GainCurve | None
    formula: str | None
    trials: tuple[TrialResult, ...]


def summarise(
    config: RunConfig,
    dataset: DatasetSummary,
    learning_rate: LearningRateChoice,
    losses: Sequence[LossTrials],
    *,
    test_fraction_ratio: float = RESAMPLED_RATIO,
) -> Results:
    """The results of a run, a pure function of what it was asked and what it measured.

    Args:
        config: what the run was asked to do; it names the metric of the verdict.
        dataset: what the results say about the data.
        learning_rate: what was chosen and how.
        losses: the losses with their trials; exactly one of them is the baseline.
        test_fraction_ratio: ``n_test / n_train`` of the resampled split; 0 when the data came with
            a given split that all seeds share.

    Raises:
        ValueError: for a metric that the task does not have, or without exactly one baseline.
    """
    task = TASKS[dataset.task]
    if config.primary_metric not in task.metrics:
        raise ValueError(
            f"primary_metric must be one of {', '.join(task.metrics)}: got "
            f"{config.primary_metric!r}; set it to one of these"
        )
    baselines = sum(loss.role == "baseline" for loss in losses)
    if baselines != 1:
        raise ValueError(
            f"losses must hold exactly one entry with role 'baseline': got {baselines}; "
            "every comparison is a difference to that one"
        )
    primary = task.metrics[config.primary_metric]
    averaged = [_averaged(loss, task) for loss in losses]
    compared = with_differences(averaged, tuple(task.metrics), test_fraction_ratio)
    control = judge_control(compared, task, primary)
    judged = tuple(_judged(loss, primary, control) for loss in compared)
    winners = by_gain([loss for loss in judged if loss.verdict == "better"], primary)
    tied = level_with_best(winners, primary, test_fraction_ratio)
    return Results(
        config=config,
        dataset=dataset,
        learning_rate=learning_rate,
        primary_metric=config.primary_metric,
        statistics=StatisticalTest(
            test="paired corrected resampled t-test" if test_fraction_ratio else "paired t-test",
            test_fraction_ratio=float(test_fraction_ratio),
            confidence=CONFIDENCE,
            significance=SIGNIFICANCE,
            correction="Holm over the candidates, within each metric",
        ),
        losses=judged,
        verdict=judge(judged, task, primary, control, learning_rate, tied),
        control=control,
    )


def _averaged(loss: LossTrials, task: Task) -> LossResult:
    """The loss with mean and standard deviation of every metric over the seeds that have it."""
    trials = tuple(sorted(loss.trials, key=lambda trial: trial.seed))
    worked = [trial for trial in trials if trial.status == "ok"]
    values = {
        key: [value for trial in worked if (value := trial.metrics[key]) is not None]
        for key in task.metrics
    }
    return LossResult(
        name=loss.name,
        role=loss.role,
        gain=loss.gain,
        formula=loss.formula,
        trials=trials,
        diverged=len(trials) - len(worked),
        mean={key: _mean(numbers) for key, numbers in values.items()},
        standard_deviation={key: _deviation(numbers) for key, numbers in values.items()},
    )


def _judged(loss: LossResult, primary: Metric, control: ControlCheck) -> LossResult:
    """The loss with its verdict in a word, and with its differences marked."""
    if loss.versus_baseline is None:
        return loss
    marked = {
        key: replace(found, beyond_noise=beyond_noise(loss, found, control))
        for key, found in loss.versus_baseline.items()
    }
    return replace(loss, versus_baseline=marked, verdict=word_for(loss, primary, control))


def _mean(numbers: Sequence[float]) -> float | None:
    return math.fsum(numbers) / len(numbers) if numbers else None


def _deviation(numbers: Sequence[float]) -> float | None:
    if len(numbers) < 2:
        return None
    mean = math.fsum(numbers) / len(numbers)
    return math.sqrt(math.fsum((number - mean) ** 2 for number in numbers) / (len(numbers) - 1))
