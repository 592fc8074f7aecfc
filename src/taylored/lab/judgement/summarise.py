"""From what the models of a run said to its results: metrics, differences, verdict."""

from collections.abc import Sequence
from dataclasses import replace

from torch import Tensor

from taylored.lab.data import Group
from taylored.lab.judgement.describe import Described, describe
from taylored.lab.judgement.differences import Comparing, level_with_best
from taylored.lab.judgement.free import UNMOVED, best_own_move, free_references
from taylored.lab.judgement.judge import by_gain, judge
from taylored.lab.judgement.matched import at_price
from taylored.lab.judgement.remarks import caveats, on_tuning
from taylored.lab.judgement.trained import Trained
from taylored.lab.judgement.warnings import warnings
from taylored.lab.judgement.words import word_for
from taylored.lab.measures import measure_decisions
from taylored.lab.metrics import Metric
from taylored.lab.results import Adjusted, LossResult, Matched, Results, StatisticalTest
from taylored.lab.run_config import DatasetSummary, RunConfig
from taylored.lab.side_by_side import one_thread, side_by_side
from taylored.lab.tasks import TASKS
from taylored.lab.trial_result import LearningRates
from taylored.lab.wording import join

CONFIDENCE = 0.95
"""Coverage of every interval that the lab reports."""
TEST = "paired, over examples and trainings: every row tested by cross-validation"
TEST_OF_A_GIVEN_SPLIT = "paired, over examples and trainings: for the split that came with the data"


@one_thread()
def summarise(
    config: RunConfig,
    dataset: DatasetSummary,
    learning_rate: LearningRates,
    losses: Sequence[Trained],
    priors: Tensor,
) -> Results:
    """The results of a run, a pure function of what it was asked and what its models said.

    Args:
        config: what the run was asked to do; it names the metric of the verdict.
        dataset: what the results say about the data.
        learning_rate: what was chosen and how.
        losses: the losses; exactly one of them is the baseline.
        priors: log of the share of each class in the training rows of each model, (R, K, C).

    Raises:
        ValueError: for a metric that the task does not have, or without exactly one baseline.
    """
    task = TASKS[dataset.task]
    if config.primary_metric not in task.metrics:
        raise ValueError(
            f"primary_metric must be one of {', '.join(task.metrics)}: got "
            f"{config.primary_metric!r}; set it to one of these"
        )
    baselines = [loss for loss in losses if loss.role == "baseline"]
    if len(baselines) != 1:
        raise ValueError(
            f"losses must hold exactly one entry with role 'baseline': got {len(baselines)}; "
            "every comparison is a difference to that one"
        )
    primary, groups = task.metrics[config.primary_metric], dataset.groups
    free = free_references(baselines[0], priors, primary, groups)
    ordered = [*baselines, *free, *(loss for loss in losses if loss.role == "candidate")]
    described = side_by_side(lambda loss: describe(loss, priors, task, groups), ordered)
    candidates = sum(loss.role == "candidate" for loss in losses)
    comparing = Comparing(task, primary, config.looks, candidates)
    reference = best_reference(described, primary)
    compared = comparing.against(described[0], reference, described)
    completed = side_by_side(
        lambda pair: _adjusted(*pair, reference, comparing, priors, groups),
        zip(described, compared, strict=True),
    )
    completed = matched_prices(described, completed, comparing, priors, groups)
    results = [_judged(loss, primary, comparing) for loss in completed]
    compared_losses = [loss for loss in results if loss.role == "candidate"]
    winners = by_gain([loss for loss in results if loss.verdict == "better"], primary)
    tied = level_with_best(winners, described, comparing)
    folds = max((d.trained.tested.fold_count for d in described if d.trained.tested), default=1)
    repeats = 1 + max(trial.repeat for loss in losses for trial in loss.trials)
    judged_by = join([task.metrics[key].label for key in task.described])
    return Results(
        config=config,
        dataset=dataset,
        learning_rate=learning_rate,
        primary_metric=config.primary_metric,
        statistics=StatisticalTest(
            test=TEST if folds > 1 else TEST_OF_A_GIVEN_SPLIT,
            folds=folds,
            repeats=repeats,
            confidence=CONFIDENCE,
            significance=comparing.level,
            correction=f"Holm over the losses in {primary.label}; a second family holds all losses "
            f"in {judged_by}",
        ),
        losses=tuple(results),
        verdict=judge(
            results,
            next(loss for loss in results if loss.name == reference.result.name),
            tied,
            warnings(losses, learning_rate, primary, task),
            task,
            primary,
            repeats,
            [*caveats(compared_losses, primary, task.examples), on_tuning(learning_rate)],
        ),
    )


def best_reference(described: Sequence[Described], primary: Metric) -> Described:
    """The baseline, or its adjustment, whichever is best; the choice works against the losses."""
    free = [each for each in described if each.trained.role != "candidate"]

    def merit(each: Described) -> float:
        value = each.result.metrics[primary.key]
        return float("-inf") if value is None else primary.direction * value

    return max(free, key=merit)


def _adjusted(
    each: Described,
    row: LossResult,
    reference: Described,
    comparing: Comparing,
    priors: Tensor,
    groups: Sequence[Group],
) -> LossResult:
    """The loss with what its own scores reach after the best adjustment."""
    tested, primary = each.trained.tested, comparing.primary
    if row.role != "candidate" or tested is None or tested.multi_label or primary.key in UNMOVED:
        return row
    moved = best_own_move(tested, priors, primary, groups)
    keys = tuple(dict.fromkeys((primary.key, *comparing.task.described)))
    measures = measure_decisions(moved.tested.decided, groups, keys)
    found = comparing.difference(measures, reference.measures, primary.key)
    values = {key: measured.value for key, measured in measures.items()}
    return replace(row, adjusted=Adjusted(moved.tau, values, found))


def matched_prices(
    described: Sequence[Described],
    rows: Sequence[LossResult],
    comparing: Comparing,
    priors: Tensor,
    groups: Sequence[Group],
) -> list[LossResult]:
    """The losses with their differences to the baseline at the same price."""
    task, primary = comparing.task, comparing.primary
    price = task.default_metric if primary.key == task.overall else task.overall
    baseline = described[0]
    curve = baseline.result.trade_off

    def matched_of(each: Described) -> Matched | None:
        if each.trained.role != "candidate":
            return None
        at = at_price(each.trained, baseline.trained, curve, priors, groups, primary.key, price)
        if at is None:
            return None
        return Matched(at.tau, price, comparing.between(at.loss, at.baseline, primary.direction))

    matches = enumerate(side_by_side(matched_of, described))
    found = {index: matched for index, matched in matches if matched is not None}
    told = comparing.corrected([matched.versus for matched in found.values()])
    matched = {
        index: replace(each, versus=versus)
        for (index, each), versus in zip(found.items(), told, strict=True)
    }
    return [replace(row, matched=matched.get(index)) for index, row in enumerate(rows)]


def _judged(loss: LossResult, primary: Metric, comparing: Comparing) -> LossResult:
    if loss.role != "candidate":
        return loss
    return replace(loss, verdict=word_for(loss, primary, comparing.level))
