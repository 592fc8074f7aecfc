"""Wrappers and strings as a type checker must see them. Lines marked `# error` must be refused."""

from typing import assert_type

import torch
from torch import Tensor, nn

import taylored
from taylored import ClassBalancedLoss, CrossEntropyLoss, FocalLoss, SoftmaxEQLLoss

logits, target = torch.zeros(2, 3), torch.tensor([0, 1])


def accepted() -> None:
    loss = ClassBalancedLoss(FocalLoss(gamma=2), counts=[90, 10, 1], beta=0.99)
    ClassBalancedLoss(nn.CrossEntropyLoss(), counts=torch.tensor([90, 10, 1]), weighting="class")
    SoftmaxEQLLoss(num_classes=3)
    SoftmaxEQLLoss(CrossEntropyLoss(), num_classes=3, floor="share")
    assert_type(loss(logits, target), Tensor)
    assert_type(loss.predict(logits), Tensor)
    loss.set_progress(0.5)


def strings() -> None:
    loss = taylored.get("class_balanced(focal)", counts=[90, 10, 1])
    assert_type(loss, taylored.Loss)
    assert_type(loss(logits, target), Tensor)
    taylored.get("focal").predict(logits)
    taylored.get("focal").term.value(logits)
    taylored.get("focal").set_progress(0.5)
    taylored.get(FocalLoss())  # error
    taylored.get("focal", count=[90, 10])  # error


def refused() -> None:
    ClassBalancedLoss(counts=[90, 10, 1])  # error
    ClassBalancedLoss(FocalLoss())  # error
    ClassBalancedLoss(FocalLoss(), [90, 10, 1])  # error
    ClassBalancedLoss("focal", counts=[90, 10, 1])  # error
    ClassBalancedLoss(FocalLoss(), counts=[90, 10, 1], betta=0.9)  # error
    ClassBalancedLoss(FocalLoss(), counts=[90, 10, 1], weighting="row")  # error
    ClassBalancedLoss(FocalLoss(), counts=[90, 10, 1])(logits)  # error
    SoftmaxEQLLoss()  # error
    SoftmaxEQLLoss(num_classes="3")  # error
    SoftmaxEQLLoss(num_classes=3, floor="none")  # error
