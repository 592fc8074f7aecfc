"""The sentences that a verdict is made of; none of them says more than the numbers do."""

from collections.abc import Sequence
from math import ceil

from taylored.lab.judgement.words import EQUAL, gains
from taylored.lab.metrics import Metric
from taylored.lab.results import Difference, LossResult
from taylored.lab.tasks import Task
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


def evidence(found: Difference, metric: Metric) -> str:
    """Difference, interval and corrected p-value of one comparison as text."""
    return (
        f"{metric.points(found.difference)} ({interval(found, metric)}, corrected "
        f"{p_clause(found.p_corrected)})"
    )


def interval(found: Difference, metric: Metric) -> str:
    """``95 % 14.5 to 19.2``."""
    return f"95 % {metric.difference(found.low)} to {metric.difference(found.high)}"


def probability(found: Difference) -> str:
    """``P(better) 24 %``, without more digits than it can have."""
    p = found.probability_better or 0.0
    return (
        "P(better) > 99.9 %" if p > 0.999 else
        "P(better) < 0.1 %" if p < 0.001 else
        f"P(better) {100 * p:.{0 if 0.01 <= p <= 0.99 else 1}f} %"
    )  # fmt: skip


def on_reference(
    baseline: LossResult, reference: LossResult, metric: Metric, task: Task
) -> list[str]:
    """What the baseline reaches for nothing, and what that costs."""
    if reference is baseline:
        return []
    found = reference.against_baseline(metric.key)
    gained = metric.points(found.difference)
    return [
        f"For nothing, after training: {name_of(reference)} gives {gained} "
        f"of {metric.label} ({interval(found, metric)}){price(reference, None, metric, task)}. "
        "A loss is called better only if it beats that."
    ]


def on_winners(
    winners: Sequence[LossResult],
    metric: Metric,
    tied: Sequence[str],
    reference: LossResult,
    task: Task,
) -> list[str]:
    """What the better losses gain and at which price, and whether one of them leads."""
    sentences = []
    for loss in winners[:LISTED]:
        free, plain = loss.against_free(metric.key), loss.against_baseline(metric.key)
        text = (
            f"{name_of(loss)} is better than {name_of(reference)}: {evidence(free, metric)}, "
            f"{probability(free)}{price(loss, reference, metric, task)}"
        )
        if reference.role == "free":
            text += (
                f". Of its {metric.points(plain.difference)} over {task.reference} as it is, "
                f"{metric.value((plain.difference or 0) - (free.difference or 0))} come for nothing"
            )
        sentences.append(text + ".")
    sentences += on_others("Also better", winners[LISTED:], metric)
    if len(winners) > 1:
        level = [name_of(loss) for loss in winners if loss.name in tied]
        if len(level) > 1:
            sentences.append(
                f"{_level_names(level)} cannot be told apart, so none of them is called the best."
            )
        else:
            behind = [name_of(loss) for loss in winners if loss.name not in tied]
            sentences.append(f"{level[0]} also leads {_other_names(behind)} beyond noise.")
    return sentences


def price(loss: LossResult, reference: LossResult | None, metric: Metric, task: Task) -> str:
    """What the loss changes in the metric that weighs classes the other way, beside a gain."""
    other = task.metrics[task.default_metric if metric.key == task.overall else task.overall]
    found = (
        loss.against_baseline(other.key)
        if reference is None or reference.role == "baseline"
        else loss.against_free(other.key)
    )
    if found.difference is None or other.key == metric.key:
        return ""
    return f"; {other.label} {other.points(found.difference)}"


def on_trade_offs(losses: Sequence[LossResult], metric: Metric, task: Task) -> list[str]:
    """Losses that gain more than the baseline does at the same price."""
    sentences = []
    for loss in losses[:LISTED]:
        plain = loss.against_baseline(metric.key)
        sentences.append(
            f"{name_of(loss)} has the better trade-off: {metric.points(plain.difference)} over "
            f"{task.reference} as it is{price(loss, None, metric, task)}. "
            f"{_at_price(loss, metric, task)}"
        )
    return sentences + on_others("The same holds for", losses[LISTED:], metric)


def _at_price(loss: LossResult, metric: Metric, task: Task) -> str:
    """How the loss compares with the baseline that pays as much; empty where that is not known."""
    matched = loss.matched
    if matched is None or matched.versus.difference is None:
        return ""
    return (
        f"Against {task.reference} + tau {matched.tau:.2g}, which is free, at about the same "
        f"{task.metrics[matched.price].label}: {evidence(matched.versus, metric)}."
    )


def on_free_gains(
    losses: Sequence[LossResult], metric: Metric, reference: LossResult, task: Task
) -> list[str]:
    """Losses that gain no more than what costs nothing."""
    sentences = []
    for loss in losses[:LISTED]:
        plain, free = loss.against_baseline(metric.key), loss.against_free(metric.key)
        half = ((free.high or 0.0) - (free.low or 0.0)) / 2
        less = free.beyond_noise and not gains(free, metric)
        how = "Less than" if less else "Not distinguishable from"
        sentences.append(
            f"{name_of(loss)}: {metric.points(plain.difference)} over {task.reference} as it is "
            f"({interval(plain, metric)}, {probability(plain)}). {how} "
            f"{name_of(reference)}, which is free ({metric.difference(free.difference)} ± "
            f"{metric.value(half)}{_overall(loss, task, metric)}). {_at_price(loss, metric, task)}"
        )
    opening = f"Also not shown to be better than {name_of(reference)}"
    return sentences + on_others(opening, losses[LISTED:], metric)


def _overall(loss: LossResult, task: Task, metric: Metric) -> str:
    other = task.metrics[task.overall]
    if other.key == metric.key:
        return ""
    return f"; {other.short} {other.difference(loss.against_free(other.key).difference)}"


def on_undecided(losses: Sequence[LossResult], metric: Metric, repeats: int) -> list[str]:
    """How likely the undecided losses are better, and what it would take to know."""
    sentences = []
    for loss in losses[:NAMED]:
        found = loss.against_baseline(metric.key)
        sentences.append(
            f"{name_of(loss)}: undecided. {probability(found)}, within "
            f"{metric.value(found.within)}{metric.unit} of the baseline either way. "
            f"{_more(found, metric, repeats)}"
        )
    more = len(losses) - NAMED
    return [*sentences, f"{more} more losses are undecided."] if more > 0 else sentences


def _more(found: Difference, metric: Metric, repeats: int) -> str:
    """Whether more repeats could decide."""
    if found.repeats is None:
        reach = f"{metric.value(found.smallest)}{metric.unit}" if found.smallest else "nothing less"
        return f"More repeats cannot decide this; this run shows {reach} with a chance of 80 %."
    more = max(1, ceil(found.repeats - repeats))
    if found.repeats <= repeats:
        return "A true difference of 3 points would have shown." if metric.scale == 100 else ""
    what = "+3" if metric.scale == 100 else "+0.03"
    return f"About {plural(more, 'more repeat')} would decide a true {what}."


def on_equal(losses: Sequence[LossResult], metric: Metric) -> list[str]:
    """Losses that are as good as the baseline for all that matters."""
    limit = f"{EQUAL * metric.scale:g}{metric.unit}"
    return on_others(f"Practically equal to the baseline (within {limit})", losses, metric)


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


def _level_names(names: Sequence[str]) -> str:
    return join(names) if len(names) <= NAMED else f"The {len(names)} best of these"


def _other_names(names: Sequence[str]) -> str:
    return join(names) if len(names) <= NAMED else f"the {len(names)} others"
