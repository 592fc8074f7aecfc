"""The sentences that a verdict is made of; none of them says more than the numbers do."""

from collections.abc import Sequence
from statistics import median

from taylored.lab.metrics import Metric
from taylored.lab.results import Difference, LearningRateChoice, LossResult
from taylored.lab.tasks import Task
from taylored.lab.verdict.statistics import FEWEST_SEEDS
from taylored.lab.wording import join, p_clause, plural, printable, shorten

NAME_WIDTH = 72
"""Characters of a name inside a sentence."""

LISTED = 3
"""Winners that get a sentence of their own; the rest are named together."""

NAMED = 6
"""Losses that one sentence names. Of more it counts the rest; the table has all of them."""


def name_of(loss: LossResult) -> str:
    """The name of a loss inside a sentence, made safe to print and of bounded length."""
    return shorten(printable(loss.name), NAME_WIDTH)


def improves(found: Difference, metric: Metric) -> bool:
    """Whether a difference is in the good direction of its metric."""
    return (found.difference or 0.0) * metric.direction > 0


def evidence(found: Difference, metric: Metric) -> str:
    """Difference, interval and corrected p-value of one comparison as text."""
    return (
        f"{metric.points(found.difference)} (95 % interval {metric.difference(found.low)} to "
        f"{metric.difference(found.high)}, corrected {p_clause(found.p_corrected)})"
    )


def on_winners(
    winners: Sequence[LossResult], metric: Metric, tied: Sequence[str], task: Task
) -> list[str]:
    """What the better losses gain, what else they change, and whether one of them leads."""
    sentences = [
        f"{name_of(loss)} is better than {task.reference}: "
        f"{evidence(loss.against_baseline(metric.key), metric)}."
        for loss in winners[:LISTED]
    ]
    sentences += on_others("Also better", winners[LISTED:], metric)
    if len(winners) > 1:
        level = [name_of(loss) for loss in winners if loss.name in tied]
        if len(level) > 1:
            sentences.append(
                f"Between {_level_names(level)} there is no difference beyond noise, "
                "so none of them is called the best."
            )
        else:
            behind = [name_of(loss) for loss in winners if loss.name not in tied]
            sentences.append(f"{level[0]} also leads {_other_names(behind)} beyond noise.")
    return sentences


def _level_names(names: Sequence[str]) -> str:
    return join(names) if len(names) <= NAMED else f"the {len(names)} best of these"


def _other_names(names: Sequence[str]) -> str:
    return join(names) if len(names) <= NAMED else f"the {len(names)} others"


def on_others(opening: str, losses: Sequence[LossResult], metric: Metric) -> list[str]:
    """One sentence that lists losses with their differences, or none without losses."""
    if not losses:
        return []
    listed = [
        f"{name_of(loss)} ({metric.points(loss.against_baseline(metric.key).difference)})"
        for loss in losses[:NAMED]
    ]
    more = len(losses) - NAMED
    return [f"{opening}: {', '.join(listed)}{f' and {more} more' if more > 0 else ''}."]


def without_interval(losses: Sequence[LossResult], metric: Metric) -> list[str]:
    """Why there is no interval: too few seeds, or the same difference in every seed."""
    few = [loss for loss in losses if loss.against_baseline(metric.key).n < FEWEST_SEEDS]
    constant = [loss for loss in losses if loss.against_baseline(metric.key).n >= FEWEST_SEEDS]
    reason = f"No interval, which needs at least {FEWEST_SEEDS} seeds, better 5 or more"
    return [
        *on_others(reason, few, metric),
        *on_others("No interval, because every seed gives the same difference", constant, metric),
    ]


def on_changes(losses: Sequence[LossResult], metric: Metric, task: Task) -> list[str]:
    """What losses changed apart from the metric of the verdict, largest change first."""
    changed = [
        (size, f"{name_of(loss)}: {text}")
        for loss in losses
        for size, text in [_changes(loss, metric, task)]
        if text
    ]
    if not changed:
        return []
    changed.sort(key=lambda change: -change[0])
    listed = "; ".join(text for _, text in changed[:NAMED])
    more = f"; and {len(changed) - NAMED} more losses" if len(changed) > NAMED else ""
    return [f"Other {task.scores} that changed beyond noise, in points: {listed}{more}."]


def _changes(loss: LossResult, primary: Metric, task: Task) -> tuple[float, str]:
    """The largest other change beyond noise and all of them as text, each corrected on its own."""
    changed = [
        (task.metrics[key], found.difference)
        for key in task.described
        if key != primary.key
        and (found := loss.against_baseline(key)).beyond_noise
        and found.difference is not None
    ]
    largest = max((abs(difference) for _, difference in changed), default=0.0)
    texts = [f"{metric.short} {metric.difference(difference)}" for metric, difference in changed]
    return largest, ", ".join(texts)


def on_divergence(losses: Sequence[LossResult]) -> list[str]:
    """Which losses failed to train, and what that does to their numbers."""
    sentences = []
    for loss in losses:
        if not loss.diverged:
            continue
        if loss.role == "baseline":
            what = "; comparisons leave these seeds out."
        elif loss.diverged < len(loss.trials):
            what = " and is not judged: its numbers come from the seeds that happened to work."
        else:
            what = " and has no numbers."
        again = " (control)" if loss.role == "control" else ""
        seeds = plural(len(loss.trials), "seed")
        counts = {"failed": loss.failed, "diverged": loss.diverged - loss.failed}
        ways = " and ".join(f"{way} in {count}" for way, count in counts.items() if count)
        sentences.append(f"{name_of(loss)}{again} {ways} of {seeds}{what}")
    return sentences


def caveats(
    candidates: Sequence[LossResult],
    metric: Metric,
    task: Task,
    seeds: int,
    learning_rate: LearningRateChoice,
) -> list[str]:
    """How small a difference the run can see, and what was not tuned."""
    sentences = []
    differences = [loss.against_baseline(metric.key) for loss in candidates]
    halves = [
        (found.high - found.low) / 2
        for found in differences
        if found.low is not None and found.high is not None
    ]
    if halves:
        reach = metric.value(median(halves))
        sentences.append(
            f"With {plural(seeds, 'seed')} the intervals reach about {reach}{metric.unit} to "
            "either side; smaller differences may exist and would not show."
        )
    if learning_rate.tuned == "cross_entropy" and candidates:
        sentences.append(
            f"The learning rate ({learning_rate.chosen}) was tuned for {task.reference} "
            "and used for every loss; another loss may do better with its own."
        )
    return sentences
