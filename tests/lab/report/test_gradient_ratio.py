"""The gradient ratio in the report: drawn where trials have it, on an axis that has no zero."""

from __future__ import annotations

import math
import re
from dataclasses import replace

import pytest

from kit.lab_results import (
    LOSSES,
    dataset,
    diverged,
    each_trial,
    losses,
    results,
    rows_of_classes,
)
from taylored.lab.report.figures.gradient_ratio import LIMIT, by_class, by_epoch, limited
from taylored.lab.report.figures.lines import LARGE
from taylored.lab.report.page import render
from taylored.lab.trial_result import ratio_key

COUNTS = (3, 900, 40, 12)  # tail, head, medium, tail


def data():
    return dataset(
        4,
        train_counts=COUNTS,
        tested_counts=rows_of_classes(COUNTS),
        groups=("tail", "head", "medium", "tail"),
    )


def with_ratios(entries, ratios, curve):
    """The trials of each loss with these lists by fold, and these groups in every epoch."""
    groups = {ratio_key(group): value for group, value in curve.items()}

    def change(trial):
        rows = tuple({**row, **groups} for row in trial.curve)
        # Four folds have a list: a multiple of the numbers of lists in these tests.
        ratio = ratios[trial.fold % len(ratios)] if trial.fold < 4 else None
        return replace(trial, gradient_ratio=ratio, curve=rows)

    return [each_trial(entry, change) for entry in entries]


def case(specs=LOSSES[:1], ratios=((0.5, 1.0, 0.8, 0.25),), tail=0.4, **changes):
    curve = changes.pop("curve", {"head": 1.0, "medium": 0.9, "tail": tail})
    given = data()
    entries = with_ratios(losses(specs, data=given), ratios, curve)
    return results(specs, data=given, entries=entries)


def line_of(panel, name):
    return next(line for line in panel.shown if line.loss.name == name)


def heights(svg, colour):
    """Where the lines of a colour start above the horizontal axis, in shares of the large axes."""
    starts = re.findall(rf'd="M [\d.]+ ([\d.]+)[^>]*stroke: ?var\(--{colour}\)', svg)
    height = LARGE[1]
    return [(height - 46 - float(y)) / (height - 56) for y in starts]


def test_classes_come_from_head_to_tail_with_the_mean_over_folds():
    result = case(ratios=[(0.25, 1.0, 0.8, 0.5), (4.0, 1.0, 0.2, 0.5)])
    (panel,) = by_class(result)
    points = line_of(panel, "cross_entropy").points
    assert [rank for rank, _ in points] == [1, 2, 3, 4]
    # A quarter and four times as much are balance on average.
    assert [value for _, value in points] == pytest.approx([1.0, 0.4, 0.5, 1.0])
    assert line_of(panel, "cross_entropy").y == pytest.approx([1.0, 0.4, 0.5, 1.0])


def test_each_loss_has_its_panel_in_front_of_the_baseline():
    result = case(LOSSES[:3])
    for panels in (by_epoch(result), by_class(result)):
        assert [[line.loss.name for line in panel.shown] for panel in panels] == [
            ["cross_entropy", name] for name, *_ in LOSSES[:3]
        ]
    assert (
        "focal(gamma=2) head 1 to 1, medium 0.9 to 0.9, tail 0.4 to 0.4" in by_epoch(result)[0].svg
    )


def test_groups_are_lines_at_their_ratios_on_a_logarithmic_axis():
    (panel,) = by_epoch(case(tail=0.2))
    low, high = 0.2 / 1.15, 2.0 * 1.15
    wanted = [math.log(ratio / low) / math.log(high / low) for ratio in (1.0, 0.9, 0.2)]
    for colour in ("ink", "series-1"):
        assert heights(panel.svg, colour) == pytest.approx(wanted, abs=0.002)


def test_empty_groups_are_left_out():
    (panel,) = by_epoch(case(curve={"tail": 0.4}))
    assert len(heights(panel.svg, "series-1")) == 1
    assert "head" not in panel.svg


def test_zero_and_endless_ratios_are_drawn_at_the_limit_and_said():
    result = case(ratios=[(0.0, 1.0, 3e9, 0.5)], tail=0.0)
    values = [value for _, value in line_of(by_class(result)[0], "cross_entropy").points]
    assert values == pytest.approx([1.0, LIMIT, 0.5, 1 / LIMIT])
    assert "tail 0.01 to 0.01" in by_epoch(result)[0].svg
    assert limited(result)
    assert "Ratios below 0.01 or above 100 are drawn at that limit" in render(result)
    assert not limited(case())
    assert "drawn at that limit" not in render(case())


def test_runs_without_the_ratio_have_no_figure():
    result = results(LOSSES[:1])
    assert by_epoch(result) == by_class(result) == []
    assert "<h2>Gradient ratio" not in render(result)


def test_losses_without_the_ratio_are_left_out_of_the_figures():
    result = case(LOSSES[:2])
    plain = results(LOSSES[:2], data=data()).losses
    result = replace(result, losses=(*result.losses[:3], plain[3], *result.losses[4:]))
    names = {line.loss.name for panel in by_class(result) for line in panel.shown}
    assert names == {"cross_entropy", LOSSES[1][0]}
    assert [panel.shown[-1].loss.name for panel in by_epoch(result)] == [LOSSES[1][0]]


def test_only_trials_that_worked_count():
    result = case(ratios=[(0.5, 1.0, 0.8, 0.25), (50.0, 50.0, 50.0, 50.0)])
    baseline, *others = result.losses
    bad = replace(diverged(baseline.trials[1]), gradient_ratio=baseline.trials[1].gradient_ratio)
    bad = replace(bad, curve=tuple({**row, ratio_key("tail"): 50.0} for row in bad.curve))
    baseline = replace(baseline, trials=(baseline.trials[0], bad))
    result = replace(result, losses=(baseline, *others))
    points = line_of(by_class(result)[0], "cross_entropy").points
    assert [value for _, value in points] == pytest.approx([1.0, 0.8, 0.25, 0.5])
    assert (
        "cross_entropy head 1 to 1, medium 0.9 to 0.9, tail 0.4 to 0.4" in by_epoch(result)[0].svg
    )


def test_the_baseline_alone_is_shown_alone():
    result = case((), ratios=[(0.5, 1.0, 0.8, 0.4)])
    for panels in (by_epoch(result), by_class(result)):
        assert [len(panel.shown) for panel in panels] == [1]
    assert len(line_of(by_class(result)[0], "cross_entropy").points) == 4
    text = re.sub(r"<[^>]+>", "", render(result))
    assert "the thin" not in text.split("Epoch by epoch")[1].split("fingerprint")[0]


def test_words_of_the_task():
    given = replace(data(), task="multi-label")
    entries = with_ratios(losses(LOSSES[:1], data=given), [(0.5, 1.0, 1.0, 1.0)], {"tail": 0.4})

    result = results(LOSSES[:1], data=given, entries=entries)
    assert "Gradient ratio of each label" in by_class(result)[0].svg
    section = render(result).split("<h2>Gradient ratio")[1].split("</details>")[0]
    assert "Label by label" in section
    assert "class" not in re.sub(r"<[^>]+>", "", section)
