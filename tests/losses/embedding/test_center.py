"""Center loss: how its centers follow, in both published forms."""

from __future__ import annotations

import pytest
import torch

from taylored import CenterLoss


def test_centers_follow_by_the_published_rule() -> None:
    """Wen et al. 2016, equations 2 and 4, sample by sample."""
    loss = CenterLoss(num_classes=4, dim=3, alpha=0.3).double()
    centers = torch.zeros(4, 3, dtype=torch.float64)
    for step in range(4):
        generator = torch.Generator().manual_seed(step)
        features = torch.randn(7, 3, generator=generator, dtype=torch.float64).requires_grad_()
        target = torch.tensor([0, 2, 2, 1, -100, 2, 0])
        weight = torch.tensor([1.0, 1.0, 5.0, 0.0, 1.0, 1.0, 1.0], dtype=torch.float64)
        value = loss(features, target, sample_weight=weight)
        found, total, moved = 0.0, 0.0, centers.clone()
        for x, y, w in zip(features.detach(), target, weight, strict=True):
            if y >= 0:
                found, total = found + w * (x - centers[y]).square().sum() / 2, total + 1
        for j in range(4):
            own = features.detach()[(target == j) & (weight != 0)]
            delta = (centers[j] - own).sum(0) / (1 + len(own))
            moved[j] = centers[j] - 0.3 * delta
        (gradient,) = torch.autograd.grad(value, features)
        apart = weight[1] * (features[1].detach() - centers[2]) / total
        centers = moved
        torch.testing.assert_close(value.detach(), found / total)
        torch.testing.assert_close(gradient[1], apart)
        assert (gradient[4] == 0).all()
        torch.testing.assert_close(loss.centers.double(), centers, rtol=1e-6, atol=1e-6)


def test_centers_that_an_optimiser_trains() -> None:
    loss = CenterLoss(num_classes=3, dim=2, update="gradient", reduction="sum")
    features, target = torch.tensor([[1.0, 2.0], [3.0, 0.0]]), torch.tensor([2, 2])
    loss(features, target).backward()
    assert [name for name, _ in loss.named_parameters()] == ["centers"]
    torch.testing.assert_close(loss.centers.grad[2], -features.sum(0))
    assert (loss.centers.grad[:2] == 0).all()


def test_an_infinite_feature_moves_no_center() -> None:
    loss = CenterLoss(num_classes=2, dim=2)
    features = torch.tensor([[torch.inf, 0.0], [4.0, 0.0]], requires_grad=True)
    loss(features, torch.tensor([0, 1]))
    assert loss.centers.tolist() == [[0.0, 0.0], [1.0, 0.0]]


@pytest.mark.parametrize(
    ("features", "target", "name"),
    [
        (torch.ones(3, 4), torch.zeros(3).long(), "input"),
        (torch.ones(3, 2), torch.zeros(3, 1).long(), "target"),
        (torch.ones(3, 2), torch.zeros(3), "target"),
        (torch.ones(3, 2), torch.full((3,), 2), "target"),
    ],
)
def test_refused(features: torch.Tensor, target: torch.Tensor, name: str) -> None:
    with pytest.raises((ValueError, IndexError), match=rf"`{name}` must be .*, got .*Fix: "):
        CenterLoss(num_classes=2, dim=2)(features, target)
