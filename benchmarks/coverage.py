"""Whether the intervals of compare cover the truth, and what they can see.

    python benchmarks/coverage.py --out coverage.jsonl           # about half an hour on one core
    python benchmarks/coverage.py --out small.jsonl --small      # a few minutes
    python benchmarks/coverage.py --out coverage.jsonl --report  # only the tables
    python benchmarks/coverage.py --out labels.jsonl --data kanjivg-components --rows 1000

The population is a whole built-in data set. Data sets are drawn from it, every class with its
proportion, and cross-validated R times by small models (one hidden layer) for each loss. The truth
is what the estimate is for: the mean difference over all data sets, of the models trained on them,
on as many fresh rows that were not drawn, tested in the same way. An interval of one data set
should cover it in 95 %. `--out` gets one line per data set; a run goes on where it stopped.

A plain t-test over the differences of all folds is judged in the same way. It must fail, or else
the benchmark would notice nothing. A/A is the baseline against itself with other initial weights
and batches, where every difference is a false alarm.
"""

from __future__ import annotations

import argparse
import json
import time
from dataclasses import asdict
from pathlib import Path
from typing import Any

import numpy as np
import torch
from coverage_models import Population, deal, draw, population, test, train
from coverage_report import report
from scipy import stats

from taylored.lab.measures import Measured, measure
from taylored.lab.metrics import (
    CONFUSION_METRICS,
    MULTI_LABEL_METRICS,
    RANKING_METRICS,
    SINGLE_LABEL_METRICS,
)
from taylored.lab.statistics.paired import Design, estimate

REPEATS = 4
ALL = SINGLE_LABEL_METRICS | CONFUSION_METRICS | RANKING_METRICS


def main() -> int:
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--out", type=Path, required=True)
    parser.add_argument("--data", default="kanjivg-strokes")
    parser.add_argument("--rows", type=int, default=7900, help="of a data set")
    parser.add_argument("--smallest", type=int, default=6, help="rows of the smallest class")
    parser.add_argument("--steps", type=int, default=300)
    parser.add_argument("--data-sets", type=int, default=100)
    parser.add_argument("--small", action="store_true", help="10 data sets of 2000 rows")
    parser.add_argument("--report", action="store_true", help="train nothing")
    options = parser.parse_args()
    if options.small:
        options.rows, options.steps, options.data_sets = 2000, 150, 10
    torch.set_num_threads(1)
    settings = {key: getattr(options, key) for key in ("data", "rows", "smallest", "steps")}
    found = read(options.out, settings)
    if not options.report:
        people = population(options.data, options.rows, options.smallest)
        print(f"{people.classes} classes, {people.rows} rows", flush=True)
        for number in range(options.data_sets):
            if number not in found:
                begin = time.monotonic()
                found[number] = one(people, number, options.steps)
                line = {"number": number, "settings": settings, **found[number]}
                with options.out.open("a") as file:
                    file.write(json.dumps(line) + "\n")
                print(f"data set {number}: {time.monotonic() - begin:.0f} s", flush=True)
    return report([found[number] for number in sorted(found)])


def read(out: Path, settings: dict[str, Any]) -> dict[int, dict[str, Any]]:
    """The data sets that are done; an unfinished last line is dropped."""
    if not out.exists():
        return {}
    text = out.read_text()
    whole = text[: text.rfind("\n") + 1]
    out.write_text(whole)
    lines = [json.loads(line) for line in whole.splitlines()]
    if any(line["settings"] != settings for line in lines):
        raise SystemExit(f"--out: {out} was made with other settings: {lines[0]['settings']}")
    return {line["number"]: line for line in lines}


def one(people: Population, number: int, steps: int) -> dict[str, Any]:
    """True and estimated differences of every loss from the baseline on one data set."""
    rng = np.random.default_rng([number, 17])
    own, *fresh = draw(people, rng, REPEATS)
    folds = np.array([deal(people, rng) for _ in range(REPEATS)])
    wanted = [*MULTI_LABEL_METRICS, "auroc"] if people.many else [*ALL]
    wanted.remove("ece")
    truths: dict[str, dict[str, float]] = {}
    measured: dict[str, dict[str, Measured]] = {}
    for name, loss in people.losses().items():
        models = train(people, own, folds, loss, 2 * number + (name == "A/A"), steps)
        measured[name] = measure(test(people, models, own, folds), people.groups, wanted)
        each = []
        for repeat, rows in enumerate(fresh):
            tested = test(people, models.repeat(repeat), rows, folds[repeat : repeat + 1])
            each.append(measure(tested, people.groups, wanted))
        truths[name] = {key: float(np.mean([one[key].value for one in each])) for key in wanted}
    baseline, *others = measured
    return {
        "truth": {
            name: {key: truths[name][key] - truths[baseline][key] for key in wanted}
            for name in others
        },
        "found": {
            name: {
                key: by_repeats(measured[name][key], measured[baseline][key], key) for key in wanted
            }
            for name in others
        },
    }


def by_repeats(candidate: Measured, baseline: Measured, key: str) -> dict[str, list[Any]]:
    """What one, two and four repeats say; of fewer than four there are several."""
    found: dict[str, list[Any]] = {}
    assert candidate.rows
    assert baseline.rows
    pseudo = candidate.rows.pseudo - baseline.rows.pseudo
    by_fold = candidate.by_fold - baseline.by_fold
    design = Design(candidate.rows.strata, candidate.rows.pooled, by_fold.shape[1])
    direction = -1 if key == "nll" else 1
    for count in (1, 2, 4):
        found[str(count)] = []
        for first in range(0, REPEATS, count):
            part = slice(first, first + count)
            one = estimate(pseudo[part], by_fold[part], design, candidate.rows.weights, direction)
            values = by_fold[part][~np.isnan(by_fold[part])]
            plain = stats.t.ppf(0.975, len(values) - 1) * stats.sem(values)
            found[str(count)].append(
                {
                    "estimate": asdict(one),
                    "plain": float(plain),
                    "plain_difference": float(values.mean()),
                }
            )
    return found


if __name__ == "__main__":
    raise SystemExit(main())
