"""Margins by class: what the generated suites do not see, because it is drawn or tied."""

from __future__ import annotations

import math

import pytest
import torch
import torch.nn.functional as F

from taylored import GaussianCloudedLogitLoss, KPSLoss

COUNTS = [1000, 100, 10]


def test_the_cloud_of_a_class_is_as_large_as_it_is_rare() -> None:
    """Li et al. 2022: |epsilon| of a normal of deviation 1/3, at most 1, off every logit."""
    loss = GaussianCloudedLogitLoss(counts=COUNTS, noise=0.8, margin=0.1, scale=4.0)
    cosines = torch.rand(6, 3, dtype=torch.float64).requires_grad_()
    target = torch.tensor([0, 1, 2, 2, 1, 0])
    torch.manual_seed(3)
    value = loss(cosines, target)
    torch.manual_seed(3)
    drawn = (torch.randn(6, 3, dtype=torch.float64) / 3).abs().clamp(max=1)
    clouded = cosines - 0.8 * drawn * torch.tensor([0.0, 0.5, 1.0])
    clouded = clouded - 0.1 * F.one_hot(target, 3)
    expected = F.cross_entropy(4 * clouded, target)
    torch.testing.assert_close(value, expected)
    gradients = [torch.autograd.grad(each, cosines)[0] for each in (value, expected)]
    torch.testing.assert_close(*gradients)
    assert loss(cosines, target) != value
    assert loss.eval()(cosines, target) == loss(cosines, target)


def test_equal_counts_have_no_cloud() -> None:
    loss = GaussianCloudedLogitLoss(counts=[5, 5])
    assert loss.sizes.tolist() == [0.0, 0.0]


@pytest.mark.parametrize("order", [[0, 1, 2, 3], [3, 1, 0, 2]])
def test_classes_with_one_count_have_one_margin(order: list[int]) -> None:
    counts = torch.tensor([800, 20, 20, 4])[order]
    loss = KPSLoss(counts=counts.tolist(), max_m=0.5)
    factor = math.log(50 * 20 / 4) / math.log(50)
    largest = math.log(50 * 800 / 4) / math.log(50)
    expected = torch.tensor([0.5 / largest, 0.5 * factor / largest, 0.5 * factor / largest, 0.5])
    torch.testing.assert_close(loss.margins, expected.double()[order], rtol=1e-6, atol=0)
