"""Other libraries' box losses: where ours are equal, and where theirs go wrong."""

from __future__ import annotations

import math
from collections.abc import Callable

import pytest
import torch
from torch import Tensor

from taylored import catalog
from taylored.losses.boxes.ciou import ciou_loss
from taylored.losses.boxes.diou import diou_loss
from taylored.losses.boxes.eiou import eiou_loss
from taylored.losses.boxes.giou import giou_loss
from taylored.losses.boxes.iou import iou_loss
from taylored.losses.boxes.siou import siou_loss

Loss = Callable[..., Tensor]


def pairs(count: int = 200) -> tuple[Tensor, Tensor]:
    generator = torch.Generator().manual_seed(3)
    start = 3 * torch.rand(2, count, 2, generator=generator, dtype=torch.float64)
    sides = 0.1 + 2 * torch.rand(2, count, 2, generator=generator, dtype=torch.float64)
    boxes, target = torch.cat([start, start + sides], -1)
    return boxes, target


def value_and_gradient(loss: Loss, boxes: Tensor, target: Tensor) -> tuple[Tensor, Tensor]:
    x = boxes.clone().requires_grad_()
    value = loss(x, target)
    (gradient,) = torch.autograd.grad(value.sum(), x)
    return value.detach(), gradient


OURS = {
    "generalized_box_iou_loss": giou_loss,
    "distance_box_iou_loss": diou_loss,
    "complete_box_iou_loss": ciou_loss,
}


@pytest.mark.parametrize("name", OURS)
def test_torchvision(name: str) -> None:
    """Equal values and gradients, but for the eps of 1e-7 that torchvision adds."""
    theirs = getattr(pytest.importorskip("torchvision.ops"), name)
    boxes, target = pairs()
    value, gradient = value_and_gradient(theirs, boxes, target)
    own, own_gradient = value_and_gradient(
        lambda x, y: OURS[name](x, y, reduction="none"), boxes, target
    )
    torch.testing.assert_close(own, value, rtol=0, atol=2e-6)
    torch.testing.assert_close(own_gradient, gradient, rtol=1e-4, atol=1e-4)
    for reduction in ("mean", "sum"):
        torch.testing.assert_close(
            OURS[name](boxes, target, reduction=reduction),
            theirs(boxes, target, reduction=reduction),
            rtol=1e-5,
            atol=1e-5,
        )


def test_torchvision_at_other_scales() -> None:
    """Its eps has a unit: boxes of 1e-4, in shares of an image, get another loss there."""
    ops = pytest.importorskip("torchvision.ops")
    boxes, target = (1e-4 * each for each in pairs())
    own = giou_loss(boxes, target, reduction="none")
    full = giou_loss(*pairs(), reduction="none")
    torch.testing.assert_close(own, full, rtol=1e-9, atol=1e-9)
    assert (ops.generalized_box_iou_loss(boxes, target) - full).abs().max() > 0.1


def test_torchvision_of_points() -> None:
    """vision #7746: a point against itself costs 1 there, and CIoU of a point is NaN."""
    ops = pytest.importorskip("torchvision.ops")
    point, box = torch.tensor([[1.0, 1.0, 1.0, 1.0]]), torch.tensor([[0.0, 0.0, 2.0, 1.0]])
    for name, ours in OURS.items():
        value, gradient = value_and_gradient(ours, point, point)
        assert value == 0
        assert (gradient == 0).all()
        if name != "complete_box_iou_loss":
            assert getattr(ops, name)(point, point) == 1
    assert ops.complete_box_iou_loss(point, box).isnan().all()
    value, gradient = value_and_gradient(ciou_loss, point, box)
    torch.testing.assert_close(value, torch.tensor(1.0 + 0.25 / 5))  # no aspect ratio: DIoU
    assert gradient.isfinite().all()


def mmdet_siou(boxes: Tensor, target: Tensor, *, neg_gamma: bool = False) -> Tensor:
    """mmdetection's siou_loss, written again; its default is neg_gamma=False."""
    offset = (boxes[:, :2] + boxes[:, 2:] - target[:, :2] - target[:, 2:]) / 2
    sides, true_sides = boxes[:, 2:] - boxes[:, :2], target[:, 2:] - target[:, :2]
    hull = torch.maximum(boxes[:, 2:], target[:, 2:]) - torch.minimum(boxes[:, :2], target[:, :2])
    overlap = torch.minimum(boxes[:, 2:], target[:, 2:]) - torch.maximum(
        boxes[:, :2], target[:, :2]
    )
    shared = overlap.clamp_min(0).prod(-1)
    iou = shared / (sides.prod(-1) + true_sides.prod(-1) - shared)
    sigma = offset.square().sum(-1).sqrt() + 1e-7
    angle = torch.cos(2 * torch.asin(offset[:, 1].abs() / sigma) - math.pi / 2)
    gamma = (angle - 2 if neg_gamma else 2 - angle).unsqueeze(-1)
    distance = 2 - torch.exp(gamma * (offset / hull) ** 2).sum(-1)
    omega = (sides - true_sides).abs() / torch.maximum(sides, true_sides)
    shape = (1 - torch.exp(-omega)).pow(4).sum(-1)
    return 1 - (iou - (distance + shape) / 2).clamp(-1, 1)


def test_siou_has_the_sign_of_the_paper() -> None:
    """mmdetection's default rewards distance; ours rises, and equals its neg_gamma=True."""
    target = torch.tensor([[0.0, 0.0, 2.0, 2.0]], dtype=torch.float64).expand(4, 4)
    moved = torch.tensor([0.5, 2.0, 4.0, 8.0], dtype=torch.float64).unsqueeze(1)
    boxes = target + moved * torch.tensor([1.0, 0.0, 1.0, 0.0])
    ours = siou_loss(boxes, target, reduction="none")
    expected = torch.tensor([0.4384, 1.1967, 1.2944, 1.3610], dtype=torch.float64)
    torch.testing.assert_close(ours, expected, rtol=0, atol=5e-5)
    torch.testing.assert_close(ours, mmdet_siou(boxes, target, neg_gamma=True), rtol=0, atol=1e-6)
    theirs = mmdet_siou(boxes, target)
    assert (ours.diff() > 0).all()
    assert theirs[3] < theirs[2] < theirs[1]
    assert theirs[3] < 1e-3


def extended_iou(boxes: Tensor, target: Tensor, smooth_point: float = 0.1) -> Tensor:
    """mmdetection's EIoULoss of boxes that overlap: Peng and Yu's smooth function of 1 - IoU."""
    lost = iou_loss(boxes, target, reduction="none")
    near = lost < smooth_point
    return torch.where(near, 0.5 * lost**2 / smooth_point, lost - 0.5 * smooth_point)


def test_eiou_is_the_efficient_one() -> None:
    """1 - IoU + rho^2 / c^2 + dw^2 / cw^2 + dh^2 / ch^2, by hand; not the Extended IoU."""
    boxes = torch.tensor([[0.0, 0.0, 4.0, 2.0]], dtype=torch.float64)
    target = torch.tensor([[0.0, 0.0, 2.0, 4.0]], dtype=torch.float64)
    by_hand = 1 - 4 / 12 + 2 / 32 + (2 / 4) ** 2 + (2 / 4) ** 2
    assert eiou_loss(boxes, target).item() == pytest.approx(by_hand, abs=1e-12)
    assert extended_iou(boxes, target).item() == pytest.approx(1 - 4 / 12 - 0.05, abs=1e-12)
    efficient_times_iou = 1 - (1 - by_hand) * 4 / 12  # EOD's "eiou"
    assert eiou_loss(boxes, target).item() != pytest.approx(efficient_times_iou, abs=0.1)


def mmdet_ciou(boxes: Tensor, target: Tensor) -> Tensor:
    """mmdetection 3's rule: alpha only where IoU > 0.5."""
    with_alpha = ciou_loss(boxes, target, reduction="none")
    without = diou_loss(boxes, target, reduction="none")
    return torch.where(iou_loss(boxes, target, reduction="none") < 0.5, with_alpha, without)


def test_ciou_thresholds() -> None:
    """alpha_above=0 is torchvision's CIoU (AAAI), 0.5 mmdetection's (the journal)."""
    boxes, target = pairs()
    journal = ciou_loss(boxes, target, alpha_above=0.5, reduction="none")
    torch.testing.assert_close(journal, mmdet_ciou(boxes, target), rtol=0, atol=0)
    always = ciou_loss(boxes, target, reduction="none")
    assert (always - journal).abs().max() > 0.01


def test_ciou_needs_boxes_that_are_no_squares() -> None:
    """torchvision's own cases are squares, which cannot tell CIoU from DIoU."""
    squares = torch.tensor([[0.0, 0.0, 3.0, 3.0], [0.0, 0.0, 1.0, 1.0]], dtype=torch.float64)
    target = torch.tensor([[1.0, 1.0, 3.0, 3.0], [2.0, 0.0, 5.0, 3.0]], dtype=torch.float64)
    assert torch.equal(ciou_loss(squares, target), diou_loss(squares, target))
    boxes = torch.tensor([[0.0, 0.0, 4.0, 2.0]], dtype=torch.float64)
    across = torch.tensor([[0.0, 0.0, 2.0, 4.0]], dtype=torch.float64)
    v = 4 / math.pi**2 * (math.atan(2) - math.atan(0.5)) ** 2
    expected = 1 - 4 / 12 + 2 / 32 + v / (1 - 4 / 12 + v) * v
    assert ciou_loss(boxes, across).item() == pytest.approx(expected, abs=1e-12)


def test_ciou_alpha_is_a_constant() -> None:
    """The gradient is alpha dv, not d(alpha v), as in mmdetection before it detached alpha."""
    target = torch.tensor([[0.0, 0.0, 2.0, 4.0]], dtype=torch.float64)
    boxes = torch.tensor([[0.0, 0.0, 4.0, 2.0]], dtype=torch.float64)
    _, gradient = value_and_gradient(ciou_loss, boxes, target)
    _, without = value_and_gradient(diou_loss, boxes, target)
    apart = math.atan(0.5) - math.atan(2)
    v = 4 / math.pi**2 * apart**2
    alpha = v / (1 - 4 / 12 + v)
    width, height = -8 / math.pi**2 * apart * 2 / 20, 8 / math.pi**2 * apart * 4 / 20
    expected = alpha * torch.tensor([[-width, -height, width, height]], dtype=torch.float64)
    torch.testing.assert_close(gradient - without, expected, rtol=1e-10, atol=1e-12)


def eod_iou(boxes: Tensor, target: Tensor) -> Tensor:
    """EOD's IoU: a denominator of at least 1, in pixels."""
    overlap = torch.minimum(boxes[:, 2:], target[:, 2:]) - torch.maximum(
        boxes[:, :2], target[:, :2]
    )
    shared = overlap.clamp_min(0).prod(-1)
    areas = [(each[:, 2:] - each[:, :2]).prod(-1) for each in (boxes, target)]
    return shared / (areas[0] + areas[1] - shared).clamp_min(1.0)


def test_iou_has_no_unit() -> None:
    """Boxes in shares of the image have the IoU of the same boxes in pixels."""
    boxes, target = pairs()
    pixels = iou_loss(100 * boxes, 100 * target, reduction="none")
    torch.testing.assert_close(
        iou_loss(boxes / 100, target / 100, reduction="none"), pixels, rtol=0, atol=1e-12
    )
    torch.testing.assert_close(1 - eod_iou(100 * boxes, 100 * target), pixels, rtol=0, atol=1e-3)
    assert (1 - eod_iou(boxes / 100, target / 100)).min() > 0.99


def test_the_logarithm_is_finite_for_boxes_apart() -> None:
    """-log(IoU) without a floor, as in EOD, is infinite."""
    apart = torch.tensor([[5.0, 0.0, 6.0, 1.0]]), torch.tensor([[0.0, 0.0, 1.0, 1.0]])
    assert -eod_iou(*apart).log() == math.inf
    assert iou_loss(*apart, form="log").isfinite()


def test_ultralytics_probiou_of_equal_boxes() -> None:
    """Its eps leaves a distance of sqrt(2 eps) between a box and itself; ours is 0."""
    box = torch.tensor([[3.0, 4.0, 5.0, 2.0, 0.3]])
    assert catalog.get("probiou()")(box, box) == 0
    assert math.sqrt(1 - math.exp(-1e-7) + 1e-7) > 4e-4
