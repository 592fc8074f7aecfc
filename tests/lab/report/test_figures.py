"""The figures of the report: colours that can be told apart, points, smoothing."""

from __future__ import annotations

import re
from itertools import pairwise

import numpy as np
import pytest

from kit.lab_results import (
    LOSSES,
    dataset,
    results,
)
from taylored.analysis.palette import COLOURS, NOISE, PAGE, SERIES
from taylored.lab.outcome import Comparison
from taylored.lab.report.figures.class_scores import score_panels, smooth
from taylored.lab.report.figures.labels import spread
from taylored.lab.report.figures.palette import strokes
from taylored.lab.report.figures.reliability import reliability_svg
from taylored.lab.report.figures.trade_off import WIDE, curves_of, front, trade_off_svg


@pytest.fixture(scope="module")
def html():
    return Comparison(results()).to_html()


def test_figures_follow_the_page(html):
    for figure in re.findall(r"<svg.*?</svg>", html, re.DOTALL):
        assert not re.search(r"#[0-9a-f]{6}\b", figure), "a fixed colour"
        assert "font-family" not in figure
    dark = html.split("prefers-color-scheme: dark")[1].split("}")[0]
    used = set(re.findall(r"var\(--([\w-]+)\)", " ".join(re.findall(r"<svg.*?</svg>", html))))
    assert len(used) > 8
    assert all(f"--{name}:" in dark for name in used)


def contrast(one, two):
    def luminance(colour):
        parts = [int(colour[i : i + 2], 16) / 255 for i in (1, 3, 5)]
        linear = [p / 12.92 if p <= 0.04045 else ((p + 0.055) / 1.055) ** 2.4 for p in parts]
        return 0.2126 * linear[0] + 0.7152 * linear[1] + 0.0722 * linear[2]

    high, low = sorted((luminance(one), luminance(two)), reverse=True)
    return (high + 0.05) / (low + 0.05)


def test_colours_can_be_seen():
    for colour in (*SERIES, NOISE):
        assert contrast(colour.light, PAGE.light) >= 3
        assert contrast(colour.dark, PAGE.dark) >= 3
    by_name = {colour.variable: colour for colour in COLOURS}
    for name in ("ink", "muted"):
        assert contrast(by_name[name].light, PAGE.light) >= 4.5
        assert contrast(by_name[name].dark, PAGE.dark) >= 4.5
        assert contrast(by_name[name].light, by_name["band"].light) >= 4.5
    assert len({colour.light for colour in COLOURS}) == len(COLOURS)


def test_up_to_21_losses_have_their_own_line():
    found = results([(str(n), 0, 0) for n in range(21)], data=dataset(3)).losses
    # The two free references share theirs: they have no lines.
    assert len({(s.colour.variable, s.dash) for _, s in strokes(found)}) == 23


def test_a_loss_has_one_colour_in_all_figures(html):
    for index, (name, *_) in enumerate(LOSSES):
        wanted = f"--series-{index + 1})"
        for figure in ("parts", "scores", "training", "gain"):
            svg = re.search(rf'<svg[^>]*id="{figure}{index}".*?</svg>', html, re.DOTALL)[0]
            others = set(re.findall(r"--series-\d\)", svg)) - {wanted}
            assert wanted in svg
            assert not others, f"{figure} of {name} has foreign colours"


def test_each_class_is_a_point_up_to_a_limit():
    for classes, drawn in ((40, 40), (600, 300)):
        data = dataset(classes, tested_counts=(2,) * classes)
        panels = score_panels(results(LOSSES[:1], data=data))
        assert [len(line.points) for line in panels[0].shown] == [drawn, drawn]
        assert panels[0].svg.count("M ") >= 2 * drawn


def test_smoothing_averages_neighbours_in_frequency():
    few = [(float(i), 10.0 * i) for i in range(1, 13)]
    assert smooth(few) == ([x for x, _ in few], [y for _, y in few])
    ties = [(3.0, y) for y in range(101)] + [(5.0, 60.0)] * 99
    assert {y for x, y in zip(*smooth(ties), strict=True) if x < 3.01} == {50.0}
    many = [(float(i), 50.0 + (-1) ** i) for i in range(1, 97)]
    xs, ys = smooth(many)
    assert len(xs) == 12
    assert ys == [50.0] * 12
    assert xs == sorted(xs)
    assert min(p for p, _ in many) <= xs[0] <= xs[-1] <= max(p for p, _ in many)


def test_front_is_what_nothing_beats_in_both():
    result = results(LOSSES[:4])
    curves = curves_of(result, WIDE)
    points = front(curves)
    everything = [(x, y) for curve in curves for _, x, y in curve.points]
    everything += [curve.place for curve in curves]
    for x, y in points:
        assert not any(a >= x and b >= y and (a, b) != (x, y) for a, b in everything)
    for x, y in everything:
        assert any(a >= x and b >= y for a, b in points)
    assert points == sorted(points)


def test_a_dot_is_the_loss_as_it_comes_and_what_is_free_lies_on_the_curve_of_the_baseline():
    result = results(LOSSES[:4])
    by_name = {curve.loss.name: curve for curve in curves_of(result, WIDE)}
    for curve in by_name.values():
        for tau, x, y in curve.points:
            if tau == 0:
                assert (x, y) == pytest.approx(curve.place)
    (tau_one,) = [(x, y) for tau, x, y in by_name["cross_entropy"].points if tau == 1]
    assert by_name["cross_entropy + tau 1"].place == pytest.approx(tau_one)
    assert by_name["cross_entropy + tau 1"].points == ()


def test_trade_off_names_every_loss_once_beside_its_dot():
    figure = trade_off_svg(results(), WIDE)
    for name in ("cross_entropy", "balanced_softmax", "cross_entropy + tau 1"):
        assert figure.count(f">{name}</text>") == 1
    assert trade_off_svg(results(LOSSES[:1], data=dataset(3, task="multi-label")), WIDE) == ""


def test_names_beside_a_figure_never_overlap():
    rng = np.random.default_rng(2)
    for count in range(1, 21):
        wanted = sorted((rng.uniform(0, 300, count) ** 2 / 300).tolist())
        places = spread(wanted, 14.5, 300.0)
        assert len(places) == count
        step = min(14.5, 300 / max(count - 1, 1))
        assert all(b - a >= step - 1e-6 for a, b in pairwise(places))
        assert min(places) >= -1e-9
        assert max(places) <= 300 + 1e-9


def test_reliability_is_drawn_after_recalibration_for_each_training():
    result = results(LOSSES[:2])
    drawn = reliability_svg(result)
    assert [name for name, _ in drawn] == ["cross_entropy", *(name for name, *_ in LOSSES[:2])]
    for (_, figure), loss in zip(drawn, [result.losses[0], *result.losses[3:]], strict=True):
        bins = loss.likelihood.bins
        said = ", ".join(f"{100 * each.confidence:.0f} {100 * each.right:.0f}" for each in bins)
        assert said in figure
