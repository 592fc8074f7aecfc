"""The running mean of WIoU v3: what it counts, when, and what the weights follow from."""

from __future__ import annotations

import copy
import math

import pytest
import torch
from torch import Tensor

from kit.tolerances import close
from references import REFERENCES
from taylored import WIoULoss


def pairs(seed: int, count: int = 6) -> tuple[Tensor, Tensor]:
    generator = torch.Generator().manual_seed(seed)
    start = 2 * torch.rand(2, count, 2, generator=generator, dtype=torch.float64)
    sides = 0.2 + 2 * torch.rand(2, count, 2, generator=generator, dtype=torch.float64)
    boxes, target = torch.cat([start, start + sides], -1)
    return boxes, target


def lost(boxes: Tensor, target: Tensor) -> Tensor:
    return REFERENCES["iou"](boxes, target, {})


def test_training_follows_the_recurrence_of_the_authors() -> None:
    """m <- (1 - momentum) m + momentum mean(1 - IoU), from 1, before the batch is weighted."""
    loss = WIoULoss(half_life=10.0, reduction="none")
    momentum, mean = 1 - 0.5 ** (1 / 10), 1.0
    for seed in range(5):
        boxes, target = pairs(seed, 4 + seed)
        mean = (1 - momentum) * mean + momentum * lost(boxes, target).mean().item()
        values = loss(boxes.requires_grad_(), target)
        close(loss.mean, torch.tensor(mean, dtype=torch.float64))
        close(values, REFERENCES["wiou"](boxes.detach(), target, {"mean": mean}))


def test_evaluation_and_no_grad_do_not_count() -> None:
    loss = WIoULoss(half_life=2.0)
    boxes, target = pairs(0)
    with torch.no_grad():
        loss(boxes, target)
    loss.eval()(boxes.requires_grad_(), target)
    assert loss.mean == 1
    loss.train()(boxes, target)
    assert loss.mean < 1
    before = loss.mean.clone()
    loss.eval()(boxes, target)
    assert torch.equal(loss.mean, before)


def test_what_has_no_weight_is_not_counted() -> None:
    """Whatever it holds; other weights do not enter the mean."""
    first, second = WIoULoss(half_life=2.0), WIoULoss(half_life=2.0)
    boxes, target = pairs(0)
    spoilt = boxes.clone()
    spoilt[0] = math.nan
    weight = torch.tensor([0.0, 5.0, 1.0, 1.0, 0.5, 2.0])
    first(spoilt.requires_grad_(), target, sample_weight=weight)
    second(boxes[1:].requires_grad_(), target[1:])
    close(first.mean, second.mean)


def test_batches_of_nothing_and_of_nan_change_nothing() -> None:
    loss = WIoULoss(half_life=2.0)
    boxes, target = pairs(0)
    assert loss(boxes[:0].requires_grad_(), target[:0]) == 0
    loss(torch.full_like(boxes, math.nan).requires_grad_(), target)
    assert loss.mean == 1


def test_perfect_boxes_have_a_loss_of_zero_even_if_all_were() -> None:
    loss = WIoULoss(half_life=1e-3)
    _, target = pairs(0)
    x = target.clone().requires_grad_()
    loss(x, target).backward()
    assert loss.mean == 0
    assert x.grad is not None
    assert (x.grad == 0).all()


def test_the_weight_is_largest_for_ordinary_boxes() -> None:
    """beta / (delta alpha^(beta - delta)) has its maximum at beta = 1 / ln(alpha)."""
    target = torch.tensor([0.0, 0.0, 1.0, 1.0], dtype=torch.float64)
    shifts = torch.linspace(0.01, 0.99, 99, dtype=torch.float64).unsqueeze(1)
    boxes = target + shifts * torch.tensor([1.0, 0.0, 1.0, 0.0])
    v1, v3 = WIoULoss(version="v1", reduction="none"), WIoULoss(reduction="none").eval()
    v3.mean.fill_(0.3)
    ratios = v3(boxes, target.expand_as(boxes)) / v1(boxes, target.expand_as(boxes))
    beta = lost(boxes, target.expand_as(boxes)) / 0.3
    assert abs(beta[ratios.argmax()].item() - 1 / math.log(1.9)) < 0.05


def test_version_one_has_no_state() -> None:
    loss = WIoULoss(version="v1")
    assert loss.state_dict() == {}
    with pytest.raises(ValueError, match="`version` must be left as it was built"):
        loss.version = "v3"


def test_the_mean_stays_wide() -> None:
    loss = WIoULoss().half()
    assert loss.mean.dtype is torch.float64
    boxes, target = pairs(0)
    value = loss(boxes.half().requires_grad_(), target.half())
    assert value.dtype is torch.float32
    twin = copy.deepcopy(loss)
    assert torch.equal(twin.mean, loss.mean)
