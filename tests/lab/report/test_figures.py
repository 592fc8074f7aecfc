"""The figures of the report: colours that can be told apart, points, smoothing."""

from __future__ import annotations

import re

import pytest

from kit.lab_results import (
    LOSSES,
    dataset,
    results,
)
from taylored.lab.outcome import Comparison
from taylored.lab.report.figures.class_scores import score_panels, smooth
from taylored.lab.report.figures.palette import COLOURS, NOISE, PAGE, SERIES, strokes


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
    found = results([(str(n), 0, 0, 0) for n in range(21)], seeds=1, data=dataset(3)).losses
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
    for classes, drawn in ((71, 71), (1200, 300)):
        panels = score_panels(results(LOSSES[:1], seeds=1, data=dataset(classes)))
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
