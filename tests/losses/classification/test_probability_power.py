"""Powers of the probability: what cross-entropy's gradient is multiplied by, and DFT."""

from __future__ import annotations

import pytest
import torch
import torch.nn.functional as F

from kit.elements import CLASSES, LOGITS, gradient_of
from taylored import DFTLoss, LinearLogits, ProbabilityPowerLoss


def test_dft_has_the_gradient_of_the_first_power() -> None:
    torch.testing.assert_close(
        gradient_of(DFTLoss(), CLASSES), gradient_of(ProbabilityPowerLoss(), CLASSES)
    )


def test_dft_is_trl_s() -> None:
    """-sg(p) log p, averaged over the tokens that are not ignored."""
    target = CLASSES.clone()
    target[2] = -100
    nll = F.cross_entropy(LOGITS, target, reduction="none")
    expected = (torch.exp(-nll.detach()) * nll)[target != -100].mean()
    torch.testing.assert_close(DFTLoss()(LOGITS, target), expected)


@pytest.mark.parametrize("power", [0.5, 1.0, 10.0])
def test_the_gradient_is_cross_entropy_s_times_a_power(power: float) -> None:
    z = LOGITS.clone().requires_grad_()
    p = torch.softmax(z, 1).gather(1, CLASSES.unsqueeze(1)).squeeze(1)
    (expected,) = torch.autograd.grad((-(p**power)).mean(), z)
    torch.testing.assert_close(gradient_of(ProbabilityPowerLoss(power=power), CLASSES), expected)


def test_it_runs_without_logits() -> None:
    features, weight = torch.randn(9, 3).double(), torch.randn(5, 3).double()
    loss = ProbabilityPowerLoss(power=2)
    found = loss(LinearLogits(features, weight), CLASSES)
    torch.testing.assert_close(found, loss(features @ weight.T, CLASSES))
