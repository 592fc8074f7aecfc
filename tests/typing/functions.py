"""Functions as a type checker must see them. Lines marked `# error` must be refused, no others."""

from collections import Counter
from typing import assert_type

import numpy as np
import torch
from torch import Tensor

from taylored import cross_entropy_loss, focal_loss, logit_adjusted_loss

logits, target = torch.zeros(2, 3), torch.tensor([0, 1])


def accepted() -> None:
    assert_type(focal_loss(logits, target), Tensor)
    focal_loss(logits, target, gamma=2, link="sigmoid", alpha=0.25, reduction="none")
    focal_loss(logits, target, gamma=[0.5, 1.0, 2.0], weight=torch.ones(3))
    focal_loss(logits, target, sample_weight=torch.ones(2), normalizer=3.0)
    assert_type(cross_entropy_loss(logits, target, label_smoothing=0.1), Tensor)
    assert_type(logit_adjusted_loss(logits, target, counts=[90, 10, 1]), Tensor)
    logit_adjusted_loss(logits, target, counts={0: 90, 2: 1, 1: 10})
    logit_adjusted_loss(logits, target, counts=Counter([0, 0, 1, 2]))
    logit_adjusted_loss(logits, target, counts=np.array([90, 10, 1]))
    focal_loss(logits, target, gamma=(0.5, 1.0, 2.0), weight={0: 1.0, 1: 2.0, 2: 0.5})


def keywords() -> None:
    focal_loss(logits, target, gama=2.0)  # error
    cross_entropy_loss(logits, target, gamma=2.0)  # error
    cross_entropy_loss(logits, target, link="sigmoid")  # error
    logit_adjusted_loss(logits, target)  # error


def types() -> None:
    focal_loss(logits, target, gamma="2")  # error
    focal_loss(logits, target, weight="balanced")  # error
    logit_adjusted_loss(logits, target, counts={"cat": 90, "dog": 10, "fox": 1})  # error
    focal_loss(logits, [0, 1])  # error
    cross_entropy_loss(logits, target, normalizer="3")  # error
    cross_entropy_loss(logits, target, label_smoothing=None)  # error


def literals() -> None:
    focal_loss(logits, target, reduction="avg")  # error
    focal_loss(logits, target, link="tanh")  # error


def positions() -> None:
    focal_loss(logits, target, 2.0)  # error
    cross_entropy_loss(logits, target, torch.ones(3))  # error


def calls() -> None:
    focal_loss(logits)  # error
    cross_entropy_loss(logits)  # error
