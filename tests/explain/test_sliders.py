"""What the sliders of the page stop at, and how the library is asked for their curves."""

import random

import pytest
import torch

from taylored import get
from taylored.analysis import curves
from taylored.analysis.curves import gradient_curves
from taylored.explain import explain
from taylored.explain.parameters import Knob, Turned, knobs_of, varied
from taylored.explain.sampled import STEPS, exact, sampled
from taylored.explain.stops import round_stops
from taylored.explain.subject import subject_of
from taylored.explain.views import lines_of

SIDES = (1, 0)
BROAD = ("kps", "ldam", "vector_scaling", "tversky", "cosface", "dice", "hill", "unified_focal")


def stops(loss):
    found = sampled(loss, 1)
    return {
        knob.label: (each.grid if each.stepped else tuple(range(STEPS + 1)))
        for knob, each in zip(found.knobs, found.places, strict=True)
    }


@pytest.mark.parametrize("name", BROAD)
def test_every_slider_has_as_many_stops_as_a_hand_can_use(name):
    for label, values in stops(explain(name).losses[0]).items():
        assert len(values) >= 11, label


@pytest.mark.parametrize(("name", "label"), [("kps", "max_m"), ("ldam", "max_m"),
                                             ("vector_scaling", "tau"), ("tversky", "beta"),
                                             ("inverse_focal", "gamma")])  # fmt: skip
def test_a_slider_reaches_0_where_the_loss_goes_there_steadily(name, label):
    knobs = {knob.label: knob for knob in knobs_of(subject_of(name, name))}
    assert knobs[label].low == 0
    if name == "tversky":  # a price of 0 for false positives takes the other class's ratio away
        assert knobs["alpha"].low == pytest.approx(0.1)


def knob(low, high, value, scale="linear"):
    return Knob("", "x", "x", "", low, high, scale, False, value)


def test_stops_are_round():
    for given, wanted in (
        (knob(0, 1, 0.3), (0, 0.25, 0.3, 0.5, 0.75, 1)),
        (knob(0.1, 1, 0.5), (0.1, 0.2, 0.4, 0.5, 0.6, 0.8, 1)),
        (knob(8, 64, 30, "log"), (8, 10, 15, 20, 30, 50, 64)),
    ):
        assert wanted in round_stops(given)
    finest = round_stops(knob(0, 1, 0.3))[-1]
    assert finest == pytest.approx([i / 20 for i in range(21)])


@pytest.mark.parametrize("name", ["dice", "tversky", "generalized_dice", "unified_focal",
                                  'jaccard(link="sigmoid", empty="perfect")',
                                  'dice(average="micro", smooth_denominator=0.5)'])  # fmt: skip
def test_regions_of_one_pixel_are_found_together_as_alone(name):
    subject = subject_of(name, name)
    assert subject.at_once
    assert subject.by_sample
    together = lines_of(subject, SIDES, widest=6.0, points=9)
    for side, lines in zip(SIDES, together, strict=True):
        alone = gradient_curves(
            {name: get(name)}, target=side, link=subject.link, widest=6.0, points=9
        )
        torch.testing.assert_close(lines[0], alone.values[name])
        gain = alone.gradients[name] / (-alone.margins).sigmoid()
        torch.testing.assert_close(lines[1], gain)


def test_regions_whose_mean_is_another_are_seen_alone():
    for text in ("dice(weight=[1, 3])", 'dice(empty="skip")', 'dice(reduction="sum")'):
        assert not subject_of(text, text).by_sample


@pytest.mark.parametrize("name", ["poly", "kps", "asymmetric", "generalized_cross_entropy"])
def test_a_copy_that_is_turned_is_what_a_new_one_would_be(name):
    subject = subject_of(name, name)
    knobs, drawn = knobs_of(subject), random.Random(0)  # noqa: S311 - settings, no secrets
    turned = Turned(subject, knobs)
    for _ in range(6):
        values = [drawn.choice(each.spread(4)) for each in knobs]
        seen, fresh = turned.at(values), varied(subject, list(zip(knobs, values, strict=True)))
        lines = [lines_of(each, SIDES, widest=6.0, points=9) for each in (seen, fresh)]
        torch.testing.assert_close(*lines, rtol=0, atol=0, equal_nan=True)
    assert exact(subject, knobs, values, SIDES).shape[0] == 2


def test_values_that_do_not_go_together_leave_the_next_ones_right():
    name = "max_sup"
    subject = subject_of(name, name)
    (strength,) = knobs_of(subject)
    turned = Turned(subject, [strength])
    assert turned.at([-1.0]) is None
    assert turned.at([0.2]).loss.strength == 0.2
    assert turned.at([float("nan")]) is None
    assert turned.at([0.3]).loss.strength == 0.3


SLOWEST = ("unified_focal", "focal_tversky", "tversky", "hill", "generalized_dice", "kps")


@pytest.mark.parametrize("name", SLOWEST)
def test_the_library_is_asked_a_thousand_times_at_most(name, monkeypatch):
    """A call takes a millisecond or two, and so a page takes no more than three seconds."""
    asked, gradient = [], curves.gradient

    def counted(*given):
        asked.append(1)
        return gradient(*given)

    monkeypatch.setattr(curves, "gradient", counted)
    explain(name).to_html()
    assert len(asked) <= 1000
