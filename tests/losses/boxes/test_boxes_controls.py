"""Planted faults in boxes: every check of the suites must be able to fail."""

from __future__ import annotations

import dataclasses

import pytest
import torch
from torch import Tensor

from kit.checks import boxes as checks
from kit.checks import direct
from kit.direct import Direct
from kit.faults import Faults
from taylored.core.boxes import footprint, gaussian, geometry, space
from taylored.core.boxes.geometry import Pair
from taylored.losses.boxes import bounded_iou, ciou, diou, eiou, giou, siou
from taylored.losses.rotated_boxes import probiou
from taylored.modules import values

fault = Faults()

USERS = (bounded_iou, ciou, diou, eiou, giou, siou, geometry)
"""Modules that divide by `ratio`."""


def everywhere(patch: pytest.MonkeyPatch, name: str, value: object) -> None:
    for module in USERS:
        if hasattr(module, name):
            patch.setattr(module, name, value)


@fault(direct.check_derivatives, Direct("giou()"))
@fault(direct.check_derivatives, Direct("eiou()"))
def denominators_without_a_gradient(patch: pytest.MonkeyPatch) -> None:
    original = geometry.ratio
    everywhere(patch, "ratio", lambda part, whole: original(part, whole.detach()))


@fault(direct.check_value, Direct("giou()"))
@fault(direct.check_value, Direct("iou_3d()"))
@fault(checks.check_identical, "iou()")
def an_eps_in_the_denominators(patch: pytest.MonkeyPatch) -> None:
    everywhere(patch, "ratio", lambda part, whole: part / (whole + 1e-7))


@fault(direct.check_value, Direct("diou()"))
@fault(direct.check_weights, Direct("siou()"))
def a_mean_over_coordinates(patch: pytest.MonkeyPatch) -> None:
    original = values.reduced

    def reduced(found: Tensor, reduction, weight, normalizer) -> Tensor:
        value = original(found, reduction, weight, normalizer)
        return value / 4 if reduction == "mean" else value

    patch.setattr(values, "reduced", reduced)


@fault(checks.check_rises, "siou()")
@fault(direct.check_value, Direct("siou()"))
def siou_with_the_other_sign(patch: pytest.MonkeyPatch) -> None:
    patch.setattr(siou, "angle", lambda pair: 4.0 - 2.0 * pair.iou.detach())


@fault(checks.check_rises, "giou()")
@fault(checks.check_rises, "ciou()")
@fault(checks.check_rises, "eiou()")
def no_gradient_for_boxes_apart(patch: pytest.MonkeyPatch) -> None:
    patch.setattr(giou, "ratio", lambda part, whole: torch.zeros_like(whole))
    patch.setattr(diou, "ratio", lambda part, whole: torch.zeros_like(whole))
    patch.setattr(eiou, "ratio", lambda part, whole: torch.zeros_like(part))


@fault(checks.check_finite, "giou_3d()", torch.float32)
@fault(checks.check_finite, "iou_3d()", torch.float32)
def lengths_in_the_unit_of_the_coordinates(patch: pytest.MonkeyPatch) -> None:
    patch.setattr(geometry, "unit_of", lambda lengths: torch.ones_like(lengths[0]))


@fault(checks.check_scale, "ciou()")
@fault(checks.check_scale, "giou()")
def a_unit_that_rounds(patch: pytest.MonkeyPatch) -> None:
    patch.setattr(geometry, "unit_of", lambda lengths: lengths.detach().amax(0) ** 0.99 * 1.1)


@fault(checks.check_finite, "probiou()", torch.float64)
@fault(checks.check_identical, "probiou()")
def a_root_with_its_derivative_at_zero(patch: pytest.MonkeyPatch) -> None:
    patch.setattr(probiou, "root", lambda found: found.sqrt())


@fault(checks.check_finite, "kfiou()", torch.float32)
def gaussians_without_width(patch: pytest.MonkeyPatch) -> None:
    patch.setattr(gaussian, "_THINNEST", 0.0)


@fault(checks.check_identical, "giou()")
@fault(checks.check_identical, "ciou()")
def points_that_are_never_the_same(patch: pytest.MonkeyPatch) -> None:
    iou = vars(Pair)["iou"]
    patch.setattr(iou, "compute", lambda pair: geometry.ratio(pair.intersection, pair.union))


@fault(checks.check_collapsed, "giou()")
@fault(checks.check_collapsed, "siou()")
def sides_of_negative_length(patch: pytest.MonkeyPatch) -> None:
    def measured(cls, offset: Tensor, size: Tensor, target_size: Tensor) -> Pair:
        size, target_size = size.abs(), target_size.abs()
        unit = geometry.unit_of(offset.detach().abs() + size + target_size)
        return Pair(offset / unit, size / unit, target_size / unit, unit)

    patch.setattr(Pair, "measured", classmethod(measured))


@fault(checks.check_formats, "diou()")
@fault(checks.check_formats, "eiou()")
def a_corner_taken_for_the_centre(patch: pytest.MonkeyPatch) -> None:
    original = geometry.lengths_of

    def lengths(boxes: Tensor, target: Tensor, format: str):
        return original(boxes, target, "cxcywh" if format == "xywh" else format)

    patch.setattr(geometry, "lengths_of", lengths)


@fault(checks.check_digits, "siou()")
@fault(checks.check_translation, "iou()")
def coordinates_in_place_of_differences(patch: pytest.MonkeyPatch) -> None:
    def lengths(boxes: Tensor, target: Tensor, format: str):
        boxes, target = geometry.axes_first(boxes), geometry.axes_first(target)
        middle, other = (boxes[:2] + boxes[2:]) / 2, (target[:2] + target[2:]) / 2
        size, target_size = boxes[2:] - boxes[:2], target[2:] - target[:2]
        rounded = 1.0 if boxes.dtype is torch.float32 else 1.0 + 1e-6
        return middle * rounded - other + middle * 1e-7, size, target_size

    patch.setattr(geometry, "lengths_of", lengths)


@fault(direct.check_derivatives, Direct("iou_3d()"))
def edges_whose_ends_do_not_move(patch: pytest.MonkeyPatch) -> None:
    original = footprint._clamped
    patch.setattr(footprint, "_clamped", lambda found, bound: original(found, bound).detach())


@fault(direct.check_derivatives, Direct("giou_3d()"))
def second_derivatives_without_the_kinks(patch: pytest.MonkeyPatch) -> None:
    patch.setattr(footprint, "_moving", torch.zeros_like)


@fault(direct.check_value, Direct("giou_3d()"))
@fault(direct.check_value, Direct("diou_3d()"))
def a_hull_along_the_axes_of_the_world(patch: pytest.MonkeyPatch) -> None:
    original = space.pair_in_space

    def world(boxes: Tensor, target: Tensor) -> Pair:
        pair = original(boxes, target)
        return dataclasses.replace(pair, turn=torch.stack([pair.turn[1], pair.turn[0]]))

    from taylored.modules import boxes as bases

    patch.setattr(bases, "pair_in_space", world)


@fault.each
def test_the_fault_is_noticed(name: str, monkeypatch: pytest.MonkeyPatch) -> None:
    fault.must_be_noticed(name, monkeypatch)


def test_every_check_has_a_fault_that_it_notices() -> None:
    assert fault.not_noticing(checks) == set()
