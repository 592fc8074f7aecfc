"""Checks of single multi-label losses by hand."""

from __future__ import annotations

import torch
import torch.nn.functional as F

from kit.elements import HARD, LOGITS, C, N, gradient_of
from kit.tolerances import close
from references.formulas import entropy
from taylored import AsymmetricLoss, DistributionBalancedLoss

COUNTS = (900.0, 250.0, 40.0, 7.0, 1.0)


def check_asymmetric_margin() -> None:
    """No loss and no gradient below the margin; at p = 1 the loss of 1 - m."""
    loss = AsymmetricLoss(margin=0.3, gamma_negative=2.0, reduction="none")
    x = torch.tensor([-40.0, -3.0, -0.86, -0.83, 0.0, 40.0, 1e4], dtype=torch.float64)
    z = x.clone().requires_grad_()
    values = loss(z, torch.zeros(7))
    (gradient,) = torch.autograd.grad(values.sum(), z)
    assert (values[:3] == 0).all()
    assert (gradient[:3] == 0).all()
    assert (values[3:] > 0).all()
    assert (gradient[3:5] > 0).all()
    expected = 0.7**2 * -torch.log(torch.tensor([0.3, 0.3], dtype=torch.float64))
    close(values[5:], expected)
    close(values[4], 0.2**2 * -torch.log(torch.tensor(0.8, dtype=torch.float64)))


def check_official_distribution_balanced() -> None:
    """ResampleLoss with reweight_func="rebalance", written out; its balance_param is 2."""
    total, kappa, scale, mu = 1000.0, 0.05, 2.0, 0.2
    frequency = torch.tensor(COUNTS, dtype=torch.float64)
    target = HARD.clone()
    target[:, 0] = 1.0  # the official code has no rows without positives
    repeat = (target / frequency).sum(dim=1, keepdim=True)
    weight = torch.sigmoid(10 * ((1 / frequency) / repeat - mu)) + 0.1
    z = LOGITS.clone().requires_grad_()
    score = z - torch.log(total / frequency - 1) * kappa / scale
    score = score * (1 - target) * scale + score * target
    weight = weight / scale * (1 - target) + weight * target
    bce = F.binary_cross_entropy_with_logits(score, target, reduction="none")
    official = (2.0 * (1 - torch.exp(-bce)) ** 2 * weight * bce).mean()
    (expected,) = torch.autograd.grad(official, z)
    loss = DistributionBalancedLoss(counts=COUNTS, num_samples=1000).double()
    close(2 * loss(LOGITS, target), official.detach(), rtol=1e-6)  # its buffers were float32
    close(2 * gradient_of(loss, target), expected, rtol=1e-5)


def check_rows_without_positives() -> None:
    """They weigh 1 + floor, and leave the other rows alone."""
    loss = DistributionBalancedLoss(counts=COUNTS, kappa=0.0, negative_scale=1.0, gamma=0.0)
    target = HARD.clone()
    target[2] = 0.0
    rows = target.sum(dim=1) > 0
    found = DistributionBalancedLoss(
        counts=COUNTS, kappa=0.0, negative_scale=1.0, gamma=0.0, reduction="none"
    )(LOGITS, target)
    close(found[2], 1.1 * entropy(LOGITS, target)[2], rtol=1e-6)
    kept = loss(LOGITS[rows], target[rows]) * rows.sum() / N
    close(loss(LOGITS, target), kept + found[~rows].sum() / (N * C), rtol=1e-6)
    assert gradient_of(loss, target).isfinite().all()
