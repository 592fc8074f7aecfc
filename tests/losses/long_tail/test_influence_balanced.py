"""The influence-balanced loss: published code, and what is constant in it."""

from __future__ import annotations

import pytest
import torch
import torch.nn.functional as F

from kit.cases import COUNTS
from taylored import (
    InfluenceBalancedLoss,
    catalog,
    influence_balanced_loss,
    inverse_frequency_weights,
)

# Six samples of eight classes.
LOGITS8 = 2 * torch.randn(6, 8, generator=torch.Generator().manual_seed(0), dtype=torch.float64)
CLASSES8 = torch.arange(6)
FEATURES = torch.randn(6, 4, generator=torch.Generator().manual_seed(1), dtype=torch.float64)


def test_the_influence_is_the_last_layer_s_gradient() -> None:
    """|p - y|_1 |h|_1 is the 1-norm of the gradient of the loss on W, for logits W h."""
    layer = torch.randn(8, 4, dtype=torch.float64, requires_grad=True)
    logits = FEATURES @ layer.T
    for i in range(6):
        loss = F.cross_entropy(logits[i : i + 1], CLASSES8[i : i + 1])
        (gradient,) = torch.autograd.grad(loss, layer, retain_graph=True)
        ours = influence_balanced_loss(
            logits[i : i + 1].detach(), CLASSES8[i : i + 1], FEATURES[i : i + 1], scale=2.0
        )
        expected = 2.0 * loss.detach() / (gradient.abs().sum() + 1e-3)
        torch.testing.assert_close(ours, expected)


def test_no_gradient_reaches_the_features_or_the_divisor() -> None:
    """Unlike the official code, whose divisor stays in the graph."""
    features, z = FEATURES.clone().requires_grad_(), LOGITS8.clone().requires_grad_()
    loss = influence_balanced_loss(z, CLASSES8, features, scale=1.0, reduction="sum")
    loss.backward()
    assert features.grad is None
    p, y = torch.softmax(LOGITS8, dim=1), F.one_hot(CLASSES8, 8)
    influence = (p - y).abs().sum(1, keepdim=True) * FEATURES.abs().sum(1, keepdim=True)
    torch.testing.assert_close(z.grad, (p - y) / (influence + 1e-3))
    official = LOGITS8.clone().requires_grad_()
    weight = (torch.softmax(official, 1) - y).abs().sum(1) * FEATURES.abs().sum(1)
    (F.cross_entropy(official, CLASSES8, reduction="none") / (weight + 1e-3)).sum().backward()
    assert (official.grad - z.grad).abs().max() > 1e-2


def test_official_class_weights_divide_by_the_batch() -> None:
    weight = inverse_frequency_weights([90, 40, 20, 9, 5, 3, 2, 1], dtype=torch.float64)
    loss = InfluenceBalancedLoss(scale=10.0, weight=weight, reduction="batch_mean")
    each_loss = InfluenceBalancedLoss(scale=10.0, reduction="none")(LOGITS8, CLASSES8, FEATURES)
    found = loss(LOGITS8, CLASSES8, FEATURES)
    torch.testing.assert_close(found, (each_loss * weight[CLASSES8]).sum() / 6)


def test_confident_samples_keep_their_digits() -> None:
    """Where 1 - p_t rounds to 0 in float32 the influence does not."""
    z = torch.tensor([[20.0, 0.0]])
    found = influence_balanced_loss(z, torch.tensor([0]), torch.full((1, 2), 1e6), scale=1.0)
    q = torch.sigmoid(torch.tensor(-20.0).double())
    expected = -torch.log1p(-q) / (2 * q * 2e6 + 1e-3)
    torch.testing.assert_close(found.double(), expected, rtol=1e-5, atol=0)


@pytest.mark.parametrize(
    "features", [FEATURES[:5], FEATURES.long(), None, FEATURES[:, 0, None, None]]
)
def test_features_that_do_not_fit(features: object) -> None:
    with pytest.raises(ValueError, match=r"^`features` must be what the last layer is given"):
        influence_balanced_loss(LOGITS8, CLASSES8, features)


def test_soft_targets_take_the_distance_from_them() -> None:
    soft = torch.softmax(LOGITS8.flip(0), dim=1)
    found = influence_balanced_loss(LOGITS8, soft, FEATURES, scale=1.0, reduction="none")
    p = torch.softmax(LOGITS8, dim=1)
    influence = (p - soft).abs().sum(1) * FEATURES.abs().sum(1)
    torch.testing.assert_close(found, -(soft * p.log()).sum(1) / (influence + 1e-3))


@pytest.mark.parametrize(
    ("text", "name"),
    [
        ("influence_balanced(scale=0)", "scale"),
    ],
)
def test_parameters_out_of_their_domain(text: str, name: str) -> None:
    with pytest.raises(ValueError, match=rf"`{name}` must be .*got .*Fix: "):
        catalog.get(text, counts=COUNTS)
