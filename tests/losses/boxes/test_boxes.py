"""Losses of boxes: degenerate and huge boxes, invariances, and how they rise with distance."""

from __future__ import annotations

import pytest
import torch

from kit.boxes import BOX_LOSSES, TEXTS
from kit.checks import boxes as checks
from taylored import catalog

each_text = pytest.mark.parametrize("text", TEXTS)
AXIS_ALIGNED = [spec.examples[0] for spec in BOX_LOSSES.values() if spec.takes == "boxes"]


@pytest.mark.parametrize(
    "dtype", [torch.float64, torch.float32, torch.float16, torch.bfloat16], ids=str
)
@each_text
def test_finite(text: str, dtype: torch.dtype) -> None:
    checks.check_finite(text, dtype)


@each_text
def test_identical(text: str) -> None:
    checks.check_identical(text)


@each_text
def test_translation(text: str) -> None:
    checks.check_translation(text)


@each_text
def test_scale(text: str) -> None:
    checks.check_scale(text)


@pytest.mark.parametrize("text", AXIS_ALIGNED)
def test_formats(text: str) -> None:
    checks.check_formats(text)


@each_text
def test_inverted_boxes_are_collapsed(text: str) -> None:
    checks.check_collapsed(text)


@each_text
def test_digits_far_from_the_origin(text: str) -> None:
    checks.check_digits(text)


@pytest.mark.parametrize("text", ["giou()", "diou()", "ciou()", "eiou()", "siou()", "shape_iou()"])
def test_rises_as_equal_boxes_move_apart(text: str) -> None:
    checks.check_rises(text)


def test_the_logarithm_goes_on_below_the_floor() -> None:
    """mmdetection clamps the IoU: value and gradient stop. Here both go on."""
    loss = catalog.get('iou(form="log", floor=0.01)')
    target = torch.tensor([0.0, 0.0, 1.0, 1.0])
    apart = loss(torch.tensor([2.0, 0.0, 3.0, 1.0]), target)
    torch.testing.assert_close(apart, torch.tensor(1.0 + 4.605170))
    hardly = torch.tensor([0.999, 0.0, 1.999, 1.0], requires_grad=True)
    value = loss(hardly, target)
    value.backward()
    assert 4.605170 < value < apart
    assert hardly.grad is not None
    assert float(hardly.grad[0]) > 10


@pytest.mark.parametrize("text", ["eiou()", "giou()", "siou()"])
def test_a_point_can_grow(text: str) -> None:
    """A prediction of 0 x 0 inside its target, or of no width, has a gradient for its sides."""
    target = torch.tensor([2.0, 2.0, 2.0, 2.0])
    for sides in ((0.0, 0.0), (0.0, 1.0)):
        boxes = torch.tensor([2.0, 2.0, *sides], requires_grad=True)
        loss = catalog.get(text)
        loss.format = "cxcywh"
        loss(boxes, target).backward()
        assert boxes.grad is not None
        if text == "eiou()" or sides[1] > 0:
            assert boxes.grad[2] < 0, sides


def test_focal_eiou_is_silent_for_boxes_apart() -> None:
    loss = catalog.get("focal_eiou()")
    boxes = torch.tensor([5.0, 0.0, 6.0, 1.0], requires_grad=True)
    value = loss(boxes, torch.tensor([0.0, 0.0, 1.0, 1.0]))
    value.backward()
    assert value == 0
    assert boxes.grad is not None
    assert (boxes.grad == 0).all()


@pytest.mark.parametrize("name", ["iou_3d", "giou_3d", "diou_3d"])
def test_six_numbers_are_seven_without_yaw(name: str) -> None:
    generator = torch.Generator().manual_seed(0)
    boxes, target = 2 * torch.rand(2, 50, 7, generator=generator, dtype=torch.float64)
    loss = catalog.get(f'{name}(reduction="none")')
    boxes[:, 6] = target[:, 6] = 0.0
    torch.testing.assert_close(loss(boxes, target), loss(boxes[:, :6], target[:, :6]))
    turned = torch.tensor([0.0, 0, 0, 0, 0, 0, torch.pi], dtype=torch.float64)
    torch.testing.assert_close(loss(boxes + turned, target), loss(boxes, target))
    with pytest.raises(ValueError, match="boxes, 6 or 7 numbers on the last axis"):
        loss(boxes[:, :5], target[:, :5])


@pytest.mark.parametrize("name", ["iou_3d", "giou_3d", "diou_3d"])
def test_turning_both_boxes_changes_nothing(name: str) -> None:
    generator = torch.Generator().manual_seed(1)
    boxes, target = 2 * torch.rand(2, 50, 7, generator=generator, dtype=torch.float64)
    loss = catalog.get(f'{name}(reduction="none")')
    cos, sin = torch.tensor(0.7).double().cos(), torch.tensor(0.7).double().sin()

    def turned(box: torch.Tensor) -> torch.Tensor:
        x, y = cos * box[:, 0] - sin * box[:, 1], sin * box[:, 0] + cos * box[:, 1]
        return torch.cat([torch.stack([x, y], 1), box[:, 2:6], box[:, 6:] + 0.7], 1)

    torch.testing.assert_close(loss(turned(boxes), turned(target)), loss(boxes, target))


def test_gradient_of_nearly_parallel_edges() -> None:
    """In float32, an edge turned by 1e-5 has the gradient of one in float64."""
    target = torch.tensor([0.0, 0.0, 0.0, 4.0, 2.0, 1.0, 0.0])
    boxes = torch.tensor([1.0, 0.0, 0.1, 4.0, 2.0, 1.0, 1e-5])
    found = []
    for dtype in (torch.float32, torch.float64):
        x = boxes.clone().to(dtype).requires_grad_()
        catalog.get("iou_3d()")(x, target.to(dtype)).backward()
        assert x.grad is not None
        found.append(x.grad.double())
    torch.testing.assert_close(found[0], found[1], rtol=1e-4, atol=1e-5)
