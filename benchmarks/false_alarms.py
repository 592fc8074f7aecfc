"""How often the A/A check of `taylored compare` cries wolf.

    python benchmarks/false_alarms.py --data kanjivg-strokes --budget quick --repetitions 60

Every repetition is a whole run of cross-entropy against itself (same splits, other initial weights
and batch order) from a seed of its own. Prints how often p falls below the threshold of the check
(0.01) and below that of a single loss (0.05), with exact (Clopper-Pearson) 95 % intervals, for
every metric; the verdict is about the first.
"""

from __future__ import annotations

import argparse
import json
import tempfile
from pathlib import Path

from scipy import stats

from taylored import lab
from taylored.lab.results import LossResult
from taylored.lab.judgement.statistics import CONTROL_SIGNIFICANCE, SIGNIFICANCE

METRICS = ("balanced_accuracy", "accuracy", "head", "medium", "tail", "nll", "ece")


def interval(hits: int, trials: int) -> tuple[float, float]:
    low = float(stats.beta.ppf(0.025, hits, trials - hits + 1)) if hits else 0.0
    high = float(stats.beta.ppf(0.975, hits + 1, trials - hits)) if hits < trials else 1.0
    return low, high


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--data", default="kanjivg-strokes")
    parser.add_argument("--budget", choices=("default", "quick"), default="quick")
    parser.add_argument("--seeds", type=int)
    parser.add_argument("--repetitions", type=int, default=40)
    parser.add_argument("--first-seed", type=int, default=1000)
    parser.add_argument("--lr", type=float, default=0.01, help="fixed, as tuned once by compare")
    options = parser.parse_args()
    found: dict[str, list[float]] = {metric: [] for metric in METRICS}
    for repetition in range(options.repetitions):
        with tempfile.TemporaryDirectory() as folder:
            result = lab.compare(
                ["cross_entropy"],
                options.data,
                budget=options.budget,
                seeds=options.seeds,
                seed=options.first_seed + repetition,
                lr=options.lr,
                out=Path(folder) / "run",
                progress="off",
            )
        control = next(loss for loss in result.results.losses if loss.role == "control")
        for metric in METRICS:
            p = control.against_baseline(metric).p
            found[metric].append(1.0 if p is None else p)
        print(json.dumps({"repetition": repetition + 1, **control_p(control)}), flush=True)
    print("\n| metric | p below | alarms | runs | rate | 95 % interval |")
    print("| --- | ---: | ---: | ---: | ---: | --- |")
    for metric, p_values in found.items():
        for threshold in (CONTROL_SIGNIFICANCE, SIGNIFICANCE):
            alarms, runs = sum(p < threshold for p in p_values), len(p_values)
            low, high = interval(alarms, runs)
            print(
                f"| {metric} | {threshold} | {alarms} | {runs} | {alarms / runs:.1%} "
                f"| {low:.1%} to {high:.1%} |"
            )


def control_p(control: LossResult) -> dict[str, float]:
    """The p-value on the primary metric; identical results are no alarm."""
    p = control.against_baseline("balanced_accuracy").p
    return {"p": 1.0 if p is None else round(p, 4)}


if __name__ == "__main__":
    main()
