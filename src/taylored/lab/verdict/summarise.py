"""From the trials of a run to its results: means, paired differences, correction, verdict."""

from __future__ import annotations

import math
from collections.abc import Mapping, Sequence
from itertools import combinations
from typing import Any

from taylored.lab.tasks import TASKS, Task
from taylored.lab.verdict.judge import BETTER, beyond_noise, judge, judge_control, word_for
from taylored.lab.verdict.statistics import (
    CONFIDENCE,
    RESAMPLED_RATIO,
    SIGNIFICANCE,
    PairedComparison,
    compare_paired,
    holm,
)
from taylored.lab.wording import Metric, finite

SCHEMA = 1
"""Version of the results format."""

Trial = Mapping[str, Any]
Entry = dict[str, Any]


def summarise(
    config: Mapping[str, Any],
    dataset: Mapping[str, Any],
    learning_rate: Mapping[str, Any],
    losses: Sequence[Mapping[str, Any]],
    *,
    test_fraction_ratio: float = RESAMPLED_RATIO,
) -> dict[str, Any]:
    """The content of ``results.json``, a pure function of what a run was asked and measured.

    Args:
        config: what the run was asked to do; ``config["primary_metric"]`` names the metric of the
            verdict (default: that of the task).
        dataset: the data set's card with task, fingerprint, class names, training counts and
            groups.
        learning_rate: what was chosen and how.
        losses: one mapping per loss with ``name``, ``role`` (``"baseline"``, ``"candidate"`` or
            ``"control"``), ``gain``, ``formula`` and ``trials``.
        test_fraction_ratio: ``n_test / n_train`` of the resampled split; 0 when the data came with
            a given split that all seeds share.

    Returns:
        Plain dictionaries, lists, strings and finite floats, ready for JSON.
    """
    task = TASKS[dataset.get("task", "single-label")]
    primary = str(config.get("primary_metric", task.default_metric))
    if primary not in task.metrics:
        raise ValueError(
            f"primary_metric must be one of {', '.join(task.metrics)}: got {primary!r}; "
            "set config['primary_metric'] to one of these"
        )
    baselines = [loss for loss in losses if loss["role"] == "baseline"]
    if len(baselines) != 1:
        raise ValueError(
            f"losses must hold exactly one entry with role 'baseline': got {len(baselines)}; "
            "every comparison is a difference to that one"
        )
    entries = [_entry(loss, task) for loss in losses]
    baseline = next(entry for entry in entries if entry["role"] == "baseline")
    for entry in entries:
        if entry is not baseline:
            entry["versus_baseline"] = _versus(entry, baseline, task, test_fraction_ratio)
    _correct(entries, task)
    control = judge_control(entries, task, primary)
    for entry in entries:
        entry["verdict"] = word_for(entry, task.metrics[primary], control)
        for cell in (entry["versus_baseline"] or {}).values():
            cell["beyond_noise"] = beyond_noise(entry, cell, control)
    tied = _level_with_best(entries, task.metrics[primary], test_fraction_ratio)
    return {
        "schema": SCHEMA,
        "config": dict(config),
        "dataset": dict(dataset),
        "learning_rate": dict(learning_rate),
        "primary_metric": primary,
        "statistics": {
            "test": "paired corrected resampled t-test" if test_fraction_ratio else "paired t-test",
            "test_fraction_ratio": float(test_fraction_ratio),
            "confidence": CONFIDENCE,
            "significance": SIGNIFICANCE,
            "correction": "Holm over the candidates, within each metric",
        },
        "losses": entries,
        "verdict": judge(entries, task, primary, control, learning_rate, tied),
        "control": control,
    }


def _entry(loss: Mapping[str, Any], task: Task) -> Entry:
    trials = [
        {key: _plain(value) for key, value in trial.items() if key != "seconds"}
        for trial in sorted(loss["trials"], key=lambda trial: int(trial["seed"]))
    ]
    values = {
        key: [v for t in trials if (v := _metric(t, key)) is not None] for key in task.metrics
    }
    return {
        "name": str(loss["name"]),
        "role": str(loss["role"]),
        "gain": loss.get("gain"),
        "formula": loss.get("formula"),
        "trials": trials,
        "diverged": sum(trial["status"] != "ok" for trial in trials),
        "mean": {key: _mean(numbers) for key, numbers in values.items()},
        "standard_deviation": {key: _deviation(numbers) for key, numbers in values.items()},
        "versus_baseline": None,
    }


def _versus(entry: Entry, baseline: Entry, task: Task, ratio: float) -> dict[str, dict[str, Any]]:
    return {key: _as_dict(_paired(entry, baseline, key, ratio)) for key in task.metrics}


def _paired(entry: Entry, other: Entry, key: str, ratio: float) -> PairedComparison:
    """Compare two losses over the seeds in which both have the metric."""
    mine = {trial["seed"]: _metric(trial, key) for trial in entry["trials"]}
    pairs = [
        (value, reference)
        for trial in other["trials"]
        if (value := mine.get(trial["seed"])) is not None
        and (reference := _metric(trial, key)) is not None
    ]
    return compare_paired(
        [value for value, _ in pairs],
        [reference for _, reference in pairs],
        test_fraction_ratio=ratio,
    )


def _as_dict(result: PairedComparison) -> dict[str, Any]:
    return {
        "difference": result.difference,
        "low": result.low,
        "high": result.high,
        "p": result.p,
        "p_corrected": None,
        "n": result.n,
    }


def _correct(entries: Sequence[Entry], task: Task) -> None:
    """Fill in ``p_corrected``: Holm over the candidates; the control is a family of its own."""
    for key in task.metrics:
        family = [
            entry["versus_baseline"][key]
            for entry in entries
            if entry["role"] == "candidate" and entry["versus_baseline"][key]["p"] is not None
        ]
        for cell, p in zip(family, holm([cell["p"] for cell in family]), strict=True):
            cell["p_corrected"] = p
        for entry in entries:
            if entry["role"] == "control":
                cell = entry["versus_baseline"][key]
                cell["p_corrected"] = cell["p"]


def _level_with_best(entries: Sequence[Entry], primary: Metric, ratio: float) -> list[str]:
    """Names of the better losses that cannot be told apart from the best one, which is included.

    Which loss comes out on top is itself chosen by the noise, so all pairs of better losses form
    the family of the correction, not only the pairs with the apparent best.
    """
    winners = sorted(
        (entry for entry in entries if entry["verdict"] == BETTER),
        key=lambda entry: -primary.direction * entry["versus_baseline"][primary.key]["difference"],
    )
    tested = {
        (mine["name"], other["name"]): _paired(mine, other, primary.key, ratio).p
        for mine, other in combinations(winners, 2)
    }
    known = {pair: p for pair, p in tested.items() if p is not None}
    corrected = dict(zip(known, holm(list(known.values())), strict=True))
    return [
        entry["name"]
        for entry in winners
        if corrected.get((winners[0]["name"], entry["name"]), 1.0) >= SIGNIFICANCE
    ]


def _plain(value: Any) -> Any:
    """The value with None for every number that JSON cannot hold."""
    if isinstance(value, Mapping):
        return {key: _plain(item) for key, item in value.items()}
    if isinstance(value, list | tuple):
        return [_plain(item) for item in value]
    return finite(value) if isinstance(value, float) else value


def _metric(trial: Trial, key: str) -> float | None:
    if trial["status"] != "ok":
        return None
    return finite(trial["metrics"].get(key))


def _mean(numbers: Sequence[float]) -> float | None:
    return math.fsum(numbers) / len(numbers) if numbers else None


def _deviation(numbers: Sequence[float]) -> float | None:
    if len(numbers) < 2:
        return None
    mean = math.fsum(numbers) / len(numbers)
    return math.sqrt(math.fsum((number - mean) ** 2 for number in numbers) / (len(numbers) - 1))
