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
and batches, where every difference is a false alarm. `matched` is what compare says about a loss
and the baseline that was moved to the same overall accuracy; its truth is found in the same way, on
the fresh rows.
"""

from __future__ import annotations

import argparse
import json
import time
from dataclasses import asdict, replace
from pathlib import Path
from typing import Any

import numpy as np
import torch
from coverage_models import FOLDS, Population, deal, draw, population, test, train
from coverage_report import MATCHED, report
from scipy import stats

from taylored.lab.judgement.matched import AtPrice, at_price
from taylored.lab.judgement.trained import Trained
from taylored.lab.measures import Measured, Tested, measure
from taylored.lab.measures.adjust import tau_curve
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
    told: dict[str, Tested] = {}
    anew: dict[str, list[Tested]] = {}
    for name, loss in people.losses().items():
        models = train(people, own, folds, loss, 2 * number + (name == "A/A"), steps)
        told[name] = test(people, models, own, folds)
        anew[name] = [
            test(people, models.repeat(repeat), rows, folds[repeat : repeat + 1])
            for repeat, rows in enumerate(fresh)
        ]
    measured = {name: measure(tested, people.groups, wanted) for name, tested in told.items()}
    truths = {}
    for name, each in anew.items():
        values = [measure(tested, people.groups, wanted) for tested in each]
        truths[name] = {key: float(np.mean([one[key].value for one in values])) for key in wanted}
    baseline, *others = measured
    found = {
        name: {key: by_repeats(measured[name][key], measured[baseline][key], key) for key in wanted}
        for name in others
    }
    truth = {
        name: {key: truths[name][key] - truths[baseline][key] for key in wanted} for name in others
    }
    if not people.many:
        for name in others:
            found[name][MATCHED] = matched_by_repeats(people, told[name], told[baseline])
            pairs = [
                matched(people, *pair) for pair in zip(anew[name], anew[baseline], strict=True)
            ]
            values = [(pair.loss.value or 0) - (pair.baseline.value or 0) for pair in pairs]
            truth[name][MATCHED] = float(np.mean(values))
    return {"truth": truth, "found": found}


def matched(people: Population, tested: Tested, baseline: Tested) -> AtPrice:
    """A loss and the baseline at its overall accuracy, as compare finds it."""
    shares = [
        [
            np.bincount(
                tested.labels[(folds != k) & (folds != (k + 1) % FOLDS)], minlength=people.classes
            )
            for k in range(FOLDS)
        ]
        for folds in tested.folds
    ]
    counts = torch.tensor(np.array(shares), dtype=torch.float64)
    priors = (counts / counts.sum(2, keepdim=True)).log()
    mine, other = (
        Trained("", "candidate", None, None, None, (), each) for each in (tested, baseline)
    )
    curve = tau_curve(baseline, people.groups, priors)
    found = at_price(mine, other, curve, priors, people.groups, "balanced_accuracy", "accuracy")
    assert found
    return found


def matched_by_repeats(
    people: Population, tested: Tested, baseline: Tested
) -> dict[str, list[Any]]:
    """The same as `by_repeats`; the baseline is moved anew for each part."""
    found: dict[str, list[Any]] = {}
    for count in (1, 2, 4):
        found[str(count)] = []
        for first in range(0, REPEATS, count):
            part = slice(first, first + count)
            pair = [
                replace(each, scores=each.scores[part], folds=each.folds[part])
                for each in (tested, baseline)
            ]
            at = matched(people, *pair)
            found[str(count)] += by_repeats(at.loss, at.baseline, "matched", (count,))[str(count)]
    return found


def by_repeats(
    candidate: Measured, baseline: Measured, key: str, counts: tuple[int, ...] = (1, 2, 4)
) -> dict[str, list[Any]]:
    """What one, two and four repeats say; of fewer than there are, there are several."""
    found: dict[str, list[Any]] = {}
    assert candidate.rows
    assert baseline.rows
    pseudo = candidate.rows.pseudo - baseline.rows.pseudo
    by_fold = candidate.by_fold - baseline.by_fold
    design = Design(candidate.rows.strata, candidate.rows.pooled, by_fold.shape[1])
    direction = -1 if key == "nll" else 1
    for count in counts:
        found[str(count)] = []
        for first in range(0, len(pseudo), count):
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
