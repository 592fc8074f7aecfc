"""Modules as a type checker must see them. Lines marked `# error` must be refused, no others."""

from typing import assert_type

import torch
from torch import Tensor

import taylored
from taylored import CrossEntropyLoss, FocalLoss, InfluenceBalancedLoss, LogitAdjustedLoss

logits, target = torch.zeros(2, 3), torch.tensor([0, 1])


def accepted() -> None:
    loss = FocalLoss(gamma=2, link="sigmoid", alpha=0.25, reduction="sum")
    FocalLoss()
    FocalLoss(gamma=[0.5, 1.0, 2.0], weight=torch.ones(3), ignore_index=None)
    FocalLoss(gamma=torch.ones(3), pos_weight=None)
    CrossEntropyLoss(label_smoothing=0.1)
    LogitAdjustedLoss(counts=[90, 10], tau=2.0)
    LogitAdjustedLoss(counts=torch.tensor([90, 10]))
    assert_type(loss(logits, target), Tensor)
    assert_type(loss(logits, target, sample_weight=torch.ones(2), normalizer=3.0), Tensor)
    assert_type(loss.predict(logits), Tensor)
    assert_type(loss.set_progress(0.5), None)
    loss.gamma = 3.0
    term = loss.term
    assert_type(term.value(logits), Tensor)
    features = torch.zeros(2, 4)
    assert_type(InfluenceBalancedLoss()(logits, target, features), Tensor)
    plain: taylored.Loss = loss
    assert_type(plain(logits, target), Tensor)


def keywords() -> None:
    FocalLoss(gama=2.0)  # error
    CrossEntropyLoss(gamma=2.0)  # error
    CrossEntropyLoss(link="sigmoid")  # error
    CrossEntropyLoss(alpha=0.25)  # error
    LogitAdjustedLoss(tau=2.0)  # error
    LogitAdjustedLoss(counts=[1, 2], pos_weight=2.0)  # error


def types() -> None:
    FocalLoss(gamma="2")  # error
    FocalLoss(gamma=None)  # error
    FocalLoss(weight="balanced")  # error
    FocalLoss(ignore_index=0.5)  # error
    CrossEntropyLoss(label_smoothing="0.1")  # error
    LogitAdjustedLoss(counts="many")  # error


def literals() -> None:
    FocalLoss(reduction="avg")  # error
    FocalLoss(link="tanh")  # error
    CrossEntropyLoss(reduction="avg")  # error


def positions() -> None:
    FocalLoss(2.0)  # error
    CrossEntropyLoss(torch.ones(3))  # error
    LogitAdjustedLoss([90, 10])  # error


def calls() -> None:
    FocalLoss()(logits)  # error
    CrossEntropyLoss()(logits)  # error
    FocalLoss()(logits, target, torch.ones(2))  # error
    FocalLoss()(logits, target, weight=torch.ones(3))  # error
    FocalLoss()(logits, [0, 1])  # error
    InfluenceBalancedLoss()(logits, target)  # error
    FocalLoss().set_progress()  # error


def attributes() -> None:
    loss = FocalLoss()
    loss.gamma = "3"  # error
    loss.reduction = "avg"  # error
