"""The verdict in words: what the differences of a run do and do not show."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any

from taylored.lab.tasks import Task
from taylored.lab.verdict.sentences import (
    caveats,
    divergence,
    evidence,
    improves,
    name_of,
    on_changes,
    on_others,
    on_winners,
)
from taylored.lab.verdict.statistics import CONTROL_SIGNIFICANCE, FEWEST_SEEDS, SIGNIFICANCE
from taylored.lab.wording import Metric, plural

Entry = Mapping[str, Any]

BETTER = "better"
WORSE = "worse"
NO_DIFFERENCE = "no difference"
NO_INTERVAL = "no interval"
DIVERGED = "diverged"
DIFFERS = "differs"
UNTRUSTED = "untrusted"
"""The words of a verdict: ``differs`` is said of a control that failed, ``untrusted`` of every
difference in its run."""


def judge_control(entries: Sequence[Entry], task: Task, primary: str) -> dict[str, Any]:
    """The A/A check: the baseline against itself must come out as no difference.

    ``passed`` is None when there is nothing to judge: no control, or no interval.
    """
    metric = task.metrics[primary]
    control = next((entry for entry in entries if entry["role"] == "control"), None)
    if control is None:
        return {"passed": None, "sentence": "No control was run, so the noise floor is unchecked."}
    cell = control["versus_baseline"][primary]
    against = (
        f"Control: {task.reference} against itself, with other initial weights and batch order,"
    )
    if cell["p_corrected"] is None:
        if cell["n"] >= FEWEST_SEEDS and cell["difference"] == 0:
            sentence = f"{against} gave identical {metric.label} in every seed: no difference."
            return {"passed": True, "sentence": sentence}
        sentence = f"{against} gives no interval with {plural(cell['n'], 'usable seed')}."
        return {"passed": None, "sentence": sentence}
    passed = bool(cell["p_corrected"] >= CONTROL_SIGNIFICANCE)
    said = "shows no difference" if passed else "shows a difference, which it must not"
    limit = f"The check fails below p = {CONTROL_SIGNIFICANCE}."
    return {"passed": passed, "sentence": f"{against} {said}: {evidence(cell, metric)}. {limit}"}


def word_for(entry: Entry, primary: Metric, control: Mapping[str, Any]) -> str | None:
    """One word on a loss for the table; None for the baseline."""
    if entry["role"] == "baseline":
        return None
    if entry["diverged"]:
        return DIVERGED
    cell = entry["versus_baseline"][primary.key]
    if cell["p_corrected"] is None:
        unchanged = cell["n"] >= FEWEST_SEEDS and cell["difference"] == 0
        return NO_DIFFERENCE if unchanged else NO_INTERVAL
    if entry["role"] == "control":
        return DIFFERS if control["passed"] is False else NO_DIFFERENCE
    if not significant(cell):
        return NO_DIFFERENCE
    if control["passed"] is False:
        return UNTRUSTED
    return BETTER if improves(cell, primary) else WORSE


def significant(cell: Mapping[str, Any]) -> bool:
    """Whether a difference survives the correction for the number of losses."""
    return cell["p_corrected"] is not None and bool(cell["p_corrected"] < SIGNIFICANCE)


def beyond_noise(entry: Entry, cell: Mapping[str, Any], control: Mapping[str, Any]) -> bool:
    """Whether a difference may be marked as one.

    Never for a loss that diverged in some seeds, because the rest is a selection; for no loss of a
    run whose control failed; and not for the control, which is judged as a whole.
    """
    return (
        entry["role"] == "candidate"
        and significant(cell)
        and not entry["diverged"]
        and control["passed"] is not False
    )


def judge(
    entries: Sequence[Entry],
    task: Task,
    primary: str,
    control: Mapping[str, Any],
    learning_rate: Mapping[str, Any],
    tied: Sequence[str],
) -> dict[str, Any]:
    """Headline, sentences and the order of the losses that are better beyond noise.

    Args:
        entries: the losses with comparisons and words filled in.
        task: names the baseline and the metrics.
        primary: key of the metric that the verdict is about.
        control: result of `judge_control`.
        learning_rate: how the learning rate was chosen, said where it limits the verdict.
        tied: names of the better losses that cannot be told apart from the best of them.

    Returns:
        ``headline``, ``sentences``, ``ranking`` (only losses better than the baseline beyond noise,
        largest difference first) and ``tied`` (those of them level with the first within noise).
    """
    metric = task.metrics[primary]
    candidates = [entry for entry in entries if entry["role"] == "candidate"]
    groups = {
        word: [entry for entry in candidates if entry["verdict"] == word]
        for word in (BETTER, WORSE, NO_DIFFERENCE, NO_INTERVAL, DIVERGED, UNTRUSTED)
    }
    winners = sorted(
        groups[BETTER],
        key=lambda entry: -metric.direction * entry["versus_baseline"][primary]["difference"],
    )
    seeds = _seeds(entries)
    sentences = [
        *on_winners(winners, metric, tied, task),
        *on_others(f"Worse than {task.reference} beyond noise", groups[WORSE], metric),
        *on_others(
            "Larger than the noise of a sound run, but not to be trusted here",
            groups[UNTRUSTED],
            metric,
        ),
        *on_others("No difference beyond noise", groups[NO_DIFFERENCE], metric),
        *_without_interval(groups[NO_INTERVAL], metric),
        *on_changes(candidates, metric, task),
        *divergence(entries),
        *caveats(candidates, metric, task, seeds, learning_rate),
    ]
    return {
        "headline": _headline(candidates, groups, winners, metric, control, entries, task),
        "sentences": sentences,
        "ranking": [entry["name"] for entry in winners],
        "tied": list(tied),
    }


def _headline(
    candidates: Sequence[Entry],
    groups: Mapping[str, Sequence[Entry]],
    winners: Sequence[Entry],
    metric: Metric,
    control: Mapping[str, Any],
    entries: Sequence[Entry],
    task: Task,
) -> str:
    reference, seeds = task.reference, _seeds(entries)
    baseline = next(entry for entry in entries if entry["role"] == "baseline")
    if baseline["mean"][metric.key] is None:
        return f"No verdict: {reference} diverged in every seed, so there is nothing to compare to"
    if control["passed"] is False:
        return (
            f"This run cannot be trusted to separate losses with {plural(seeds, 'seed')}: "
            f"{reference} differs from itself"
        )
    if not candidates:
        return f"Only {reference} was run: there is nothing to compare"
    if winners:
        return _winning(winners, candidates, metric, reference)
    if groups[WORSE]:
        if len(candidates) == 1:
            return f"{name_of(candidates[0])} is worse than {reference} in {metric.label}"
        return f"No loss beats {reference} in {metric.label}; {_count(groups[WORSE])} worse"
    if len(groups[DIVERGED]) == len(candidates):
        return "No verdict: every compared loss diverged in at least one seed"
    if groups[NO_INTERVAL] and not groups[NO_DIFFERENCE]:
        return f"No verdict: {plural(seeds, 'seed')} cannot tell a difference from noise"
    if len(candidates) == 1:
        return (
            f"No difference beyond noise between {name_of(candidates[0])} and {reference} "
            f"in {metric.label}"
        )
    return (
        f"No difference beyond noise: none of the {plural(len(candidates), 'loss')} can be told "
        f"apart from {reference} in {metric.label}"
    )


def _seeds(entries: Sequence[Entry]) -> int:
    return max((len(entry["trials"]) for entry in entries), default=0)


def _winning(
    winners: Sequence[Entry], candidates: Sequence[Entry], metric: Metric, reference: str
) -> str:
    best = winners[0]
    gained = metric.points(best["versus_baseline"][metric.key]["difference"]).lstrip("+-")
    if len(winners) == 1:
        return f"{name_of(best)} beats {reference} in {metric.label} by {gained}"
    many = "Both" if len(winners) == len(candidates) == 2 else f"{len(winners)} losses"
    if len(winners) < len(candidates):
        many = f"{len(winners)} of {len(candidates)} losses"
    return f"{many} beat {reference} in {metric.label}, by up to {gained}"


def _count(worse: Sequence[Entry]) -> str:
    return "1 is" if len(worse) == 1 else f"{len(worse)} are"


def _without_interval(entries: Sequence[Entry], metric: Metric) -> list[str]:
    """Why there is none: too few seeds, or the same difference in every seed."""
    few = [e for e in entries if e["versus_baseline"][metric.key]["n"] < FEWEST_SEEDS]
    constant = [e for e in entries if e["versus_baseline"][metric.key]["n"] >= FEWEST_SEEDS]
    reason = f"No interval, which needs at least {FEWEST_SEEDS} seeds, better 5 or more"
    return [
        *on_others(reason, few, metric),
        *on_others("No interval, because every seed gives the same difference", constant, metric),
    ]
