"""The tables and checks of coverage.py."""

from __future__ import annotations

import itertools
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from typing import Any

import numpy as np
from scipy import stats

from taylored.lab.statistics.estimate import Estimate
from taylored.lab.statistics.multiplicity import LOOKS

Found = dict[str, Any]
FAMILY = 9  # losses that Holm's first step corrects for
ENOUGH = 100  # data sets from which on the thresholds hold
REPEATS = ("1", "2", "4")
SAME = "A/A"
MATCHED = "matched"
"""What compare says about a loss and the baseline at the same price; no metric of a loss."""


@dataclass(frozen=True)
class Said:
    """What was said about one difference, from the data of one set: by compare and by a t-test."""

    estimate: Estimate
    error: float | None
    df: float
    plain: float
    plain_difference: float

    @classmethod
    def of(cls, line: Found) -> Said:
        """From a line of the file, which holds what the estimate follows from."""
        one = Estimate(**line["estimate"])
        return cls(one, one.standard_error, one.df or 1.0, line["plain"], line["plain_difference"])

    @property
    def difference(self) -> float:
        """Candidate minus baseline."""
        return self.estimate.difference


class Checks:
    """What was asked for and what came out."""

    def __init__(self, data_sets: int) -> None:
        self.failed = 0
        self.few = data_sets < ENOUGH

    def say(self, name: str, text: str, passed: bool) -> None:
        """Print one check."""
        self.failed += not passed
        print(f"- {'ok' if passed else 'FAILED'}: {name}: {text}")


def report(found: list[Found]) -> int:
    """Print everything; 1 if a check failed on enough data sets."""
    print(f"\n{len(found)} data sets\n")
    if len(found) < 2:
        return 0
    losses, metrics = [*found[0]["truth"]], [*found[0]["truth"][SAME]]
    truth = {
        (loss, key): float(np.mean([one["truth"][loss][key] for one in found]))
        for loss in losses
        for key in metrics
    }
    truth |= {(SAME, key): 0.0 for key in metrics if key != MATCHED}
    ours = coverage_table(found, truth, "Coverage of the 95 % interval", covered)
    plain = coverage_table(found, truth, "Coverage of a plain t-test over folds", plainly_covered)
    sizes(found, truth, metrics)
    checks = Checks(len(found))
    judge_coverage(checks, ours, plain)
    # A/A has no true difference in a metric; moved to a price, the baseline is another one.
    false_alarms(checks, found, [key for key in metrics if key != MATCHED])
    power(checks, found, truth, metrics[0])
    probabilities(checks, found, truth)
    projection(checks, found)
    if checks.few:
        print(f"\nThe thresholds are those of {ENOUGH} data sets; these are too few to judge.")
    return int(checks.failed > 0 and not checks.few)


def each(found: list[Found], loss: str, key: str, repeats: str) -> Iterator[Said]:
    for one in found:
        yield from map(Said.of, one["found"][loss][key][repeats])


def covered(one: Said, truth: float) -> bool:
    if one.error is None:
        return one.difference == truth
    return bool(abs(one.difference - truth) <= stats.t.ppf(0.975, one.df) * one.error)


def plainly_covered(one: Said, truth: float) -> bool:
    return abs(one.plain_difference - truth) <= one.plain


def coverage_table(
    found: list[Found],
    truth: dict[tuple[str, str], float],
    title: str,
    test: Callable[[Said, float], bool],
) -> dict[tuple[str, str, str], float]:
    """Coverage by metric, loss and repeats; printed as mean over losses and smallest cell."""
    cells = {
        (key, loss, repeats): float(
            np.mean([test(one, true) for one in each(found, loss, key, repeats)])
        )
        for (loss, key), true in truth.items()
        for repeats in REPEATS
    }
    print(f"{title}: mean over losses / smallest\n")
    print("| metric | " + " | ".join(f"R = {r}" for r in REPEATS) + " |")
    print("| --- |" + " ---: |" * len(REPEATS))
    for metric in dict.fromkeys(key for key, _, _ in cells):
        row = [[v for (k, _, r), v in cells.items() if (k, r) == (metric, s)] for s in REPEATS]
        shown = " | ".join(f"{np.mean(values):.3f} / {min(values):.2f}" for values in row)
        print(f"| {metric} | {shown} |")
    print()
    return cells


def sizes(found: list[Found], truth: dict[tuple[str, str], float], metrics: list[str]) -> None:
    """The true differences, and the standard errors beside the true spread of the estimates."""
    print("True difference, spread of the estimates, root mean square of SE (R = 1; 100 x)\n")
    print("| metric | loss | truth | spread | SE | SE of examples | sd of folds |")
    print("| --- | --- |" + " ---: |" * 5)
    for (loss, key), true in sorted(truth.items(), key=lambda item: metrics.index(item[0][1])):
        rows = [*each(found, loss, key, "1")]
        spread = np.sqrt(np.mean([(one.difference - true) ** 2 for one in rows]))
        error = np.sqrt(np.mean([(one.error or 0) ** 2 for one in rows]))
        examples = np.sqrt(np.mean([one.estimate.example_variance for one in rows]))
        folds = np.sqrt(np.mean([one.estimate.training_variance or 0 for one in rows]))
        shown = [true, spread, error, examples, folds]
        print(f"| {key} | {loss} | " + " | ".join(f"{100 * v:.2f}" for v in shown) + " |")
    print()


def judge_coverage(
    checks: Checks,
    ours: dict[tuple[str, str, str], float],
    plain: dict[tuple[str, str, str], float],
) -> None:
    for repeats in REPEATS:
        means, low, low_plain = [], 1.0, 1.0
        for metric in dict.fromkeys(key for key, _, _ in ours):
            cells = [v for (k, _, r), v in ours.items() if (k, r) == (metric, repeats)]
            means.append(float(np.mean(cells)))
            low = min(low, *cells)
        low_plain = min(v for (_, _, r), v in plain.items() if r == repeats)
        text = f"smallest mean of a metric {min(means):.3f}, smallest cell {low:.2f}"
        checks.say(f"coverage, R = {repeats}", text, min(means) >= 0.95 and low >= 0.90)
        if repeats == REPEATS[-1]:
            checks.say("the plain t-test fails", f"smallest cell {low_plain:.2f}", low_plain < 0.9)


def false_alarms(checks: Checks, found: list[Found], metrics: list[str]) -> None:
    def p_of(one: Said) -> float:
        return 1.0 if one.estimate.p is None else one.estimate.p

    for repeats in REPEATS:
        p = np.array([[p_of(one) for one in each(found, SAME, k, repeats)] for k in metrics])
        rates = (p < 0.05).mean(), (p < 0.01).mean()
        text = f"p < .05 in {rates[0]:.1%}, p < .01 in {rates[1]:.1%}"
        checks.say(f"A/A, R = {repeats}", text, rates[0] <= 0.05 and rates[1] <= 0.01)
    looks = np.array(
        [
            [[p_of(Said.of(one["found"][SAME][k][r][0])) for r in ("1", "2")] for one in found]
            for k in metrics
        ]
    )
    rate = float((looks < LOOKS[2]).any(axis=2).mean())
    checks.say("two looks at A/A", f"{rate:.1%} false alarms", rate <= 0.03)


def power(
    checks: Checks, found: list[Found], truth: dict[tuple[str, str], float], key: str
) -> None:
    """The true difference for which 80 % of the data sets give p < .05 / 9."""
    for repeats, limit in (("1", 7.5), ("2", 4.8), ("4", np.inf)):
        needed = {}
        for loss in dict.fromkeys(name for name, _ in truth):
            missing = []
            for one in each(found, loss, key, repeats):
                if one.error is not None:
                    half = stats.t.isf(0.025 / FAMILY, one.df) * one.error
                    missing.append(half - (one.difference - truth[loss, key]))
            needed[loss] = 100 * float(np.quantile(missing, 0.8))
        text = ", ".join(f"{loss} {value:.1f}" for loss, value in needed.items())
        checks.say(
            f"points of {key} that are seen, R = {repeats}", text, max(needed.values()) <= limit
        )


def probabilities(checks: Checks, found: list[Found], truth: dict[tuple[str, str], float]) -> None:
    """P(better) where every true difference is as likely: how often the candidate is better."""
    said, better = [], []
    shifts = np.linspace(-4, 4, 81)
    for (loss, key), true in truth.items():
        for one in each(found, loss, key, "1"):
            if one.error is not None:
                # The same data set around another truth, `shifts` standard errors from zero.
                score = (one.difference - true) / one.error + shifts
                said.append(stats.t.cdf(score, one.df))
                better.append(shifts > 0)
    p, right = np.concatenate(said), np.concatenate(better)
    edges = np.linspace(0.5, 1, 6)
    far = np.maximum(p, 1 - p)
    agrees = np.where(p >= 0.5, right, ~right)
    print()
    worst = 0.0
    for low, high in itertools.pairwise(edges):
        inside = (far >= low) & (far <= high)
        gap = float(agrees[inside].mean() - far[inside].mean())
        worst = max(worst, abs(gap))
        print(f"  P(better) {low:.1f} to {high:.1f}: right in {agrees[inside].mean():.3f}")
    checks.say("P(better) against its share", f"largest gap {worst:.3f}", worst <= 0.04)


def projection(checks: Checks, found: list[Found]) -> None:
    """The standard error of four repeats, foretold from two."""
    ratios = []
    for one in found:
        for result in (cell for loss in one["found"].values() for cell in loss.values()):
            four = Said.of(result["4"][0]).error
            foretold = [Said.of(two).estimate.projected_error(4) for two in result["2"]]
            ratios += [error / four for error in foretold if error and four]
    middle = float(np.median(ratios))
    checks.say("SE foretold from R = 2 to 4", f"median ratio {middle:.3f}", 0.95 <= middle <= 1.05)
