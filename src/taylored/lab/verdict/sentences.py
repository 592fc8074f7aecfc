"""The sentences that a verdict is made of; none of them says more than the numbers do."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from statistics import median
from typing import Any

from taylored.lab.tasks import Task
from taylored.lab.wording import Metric, join, p_clause, plural, printable, shorten

Entry = Mapping[str, Any]

LISTED = 3
"""Winners that get a sentence of their own; the rest are named together."""

NAMED = 6
"""Losses that one sentence names; with more it counts the rest, the table has them all."""


def name_of(entry: Entry) -> str:
    """The name of a loss inside a sentence, made safe to print and of bounded length."""
    return shorten(printable(str(entry["name"])), 72)


def improves(cell: Mapping[str, Any], metric: Metric) -> bool:
    """Whether a difference is in the good direction of its metric."""
    return bool(cell["difference"] * metric.direction > 0)


def evidence(cell: Mapping[str, Any], metric: Metric) -> str:
    """Difference, interval and corrected p-value of one comparison as text."""
    return (
        f"{metric.points(cell['difference'])} (95 % interval {metric.difference(cell['low'])} to "
        f"{metric.difference(cell['high'])}, corrected {p_clause(cell['p_corrected'])})"
    )


def on_winners(
    winners: Sequence[Entry], metric: Metric, tied: Sequence[str], task: Task
) -> list[str]:
    """What the better losses gain, what else they change, and whether one of them leads."""
    sentences = [
        f"{name_of(entry)} is better than {task.reference}: "
        f"{evidence(entry['versus_baseline'][metric.key], metric)}."
        for entry in winners[:LISTED]
    ]
    sentences += on_others("Also better", winners[LISTED:], metric)
    if len(winners) > 1:
        level = [name_of(entry) for entry in winners if entry["name"] in tied]
        if len(level) > 1:
            sentences.append(
                f"Between {_names(level)} there is no difference beyond noise, "
                "so none of them is called the best."
            )
        else:
            behind = [name_of(entry) for entry in winners if entry["name"] not in tied]
            sentences.append(f"{level[0]} also leads {_others(behind)} beyond noise.")
    return sentences


def _names(names: Sequence[str]) -> str:
    return join(names) if len(names) <= NAMED else f"the {len(names)} best of these"


def _others(names: Sequence[str]) -> str:
    return join(names) if len(names) <= NAMED else f"the {len(names)} others"


def on_others(opening: str, entries: Sequence[Entry], metric: Metric) -> list[str]:
    """One sentence that lists losses with their differences, or none without losses."""
    if not entries:
        return []
    listed = [
        f"{name_of(entry)} ({metric.points(entry['versus_baseline'][metric.key]['difference'])})"
        for entry in entries[:NAMED]
    ]
    more = len(entries) - NAMED
    return [f"{opening}: {', '.join(listed)}{f' and {more} more' if more > 0 else ''}."]


def on_changes(entries: Sequence[Entry], metric: Metric, task: Task) -> list[str]:
    """What losses changed apart from the metric of the verdict, largest change first."""
    changed = [
        (size, f"{name_of(entry)}: {text}")
        for entry in entries
        for size, text in [_changes(entry, metric, task)]
        if text
    ]
    if not changed:
        return []
    changed.sort(key=lambda change: -change[0])
    listed = "; ".join(text for _, text in changed[:NAMED])
    more = f"; and {len(changed) - NAMED} more losses" if len(changed) > NAMED else ""
    return [f"Other {task.scores} that changed beyond noise, in points: {listed}{more}."]


def _changes(entry: Entry, primary: Metric, task: Task) -> tuple[float, str]:
    """The largest other change beyond noise and all of them as text, each corrected on its own."""
    changed = [
        (task.metrics[key], entry["versus_baseline"][key]["difference"])
        for key in task.described
        if key != primary.key and entry["versus_baseline"][key]["beyond_noise"]
    ]
    largest = max((abs(difference) for _, difference in changed), default=0.0)
    texts = [f"{metric.short} {metric.difference(difference)}" for metric, difference in changed]
    return largest, ", ".join(texts)


def divergence(entries: Sequence[Entry]) -> list[str]:
    """Which losses failed to train, and what that does to their numbers."""
    sentences = []
    for entry in entries:
        if not entry["diverged"]:
            continue
        if entry["role"] == "baseline":
            what = "; comparisons leave these seeds out."
        elif entry["diverged"] < len(entry["trials"]):
            what = " and is not judged: its numbers come from the seeds that happened to work."
        else:
            what = " and has no numbers."
        again = " (control)" if entry["role"] == "control" else ""
        seeds = plural(len(entry["trials"]), "seed")
        sentences.append(
            f"{name_of(entry)}{again} diverged in {entry['diverged']} of {seeds}{what}"
        )
    return sentences


def caveats(
    candidates: Sequence[Entry],
    metric: Metric,
    task: Task,
    seeds: int,
    learning_rate: Mapping[str, Any],
) -> list[str]:
    """How small a difference the run can see, and what was not tuned."""
    sentences = []
    halves = [
        (cell["high"] - cell["low"]) / 2
        for entry in candidates
        if (cell := entry["versus_baseline"][metric.key])["low"] is not None
    ]
    if halves:
        reach = metric.value(median(halves))
        sentences.append(
            f"With {plural(seeds, 'seed')} the intervals reach about {reach}{metric.unit} to "
            "either side; smaller differences may exist and would not show."
        )
    if learning_rate.get("tuned") == "cross_entropy" and candidates:
        sentences.append(
            f"The learning rate ({learning_rate.get('chosen')}) was tuned for {task.reference} "
            "and used for every loss; another loss may do better with its own."
        )
    return sentences
