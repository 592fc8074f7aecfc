"""Margins that depend on the true class's logit: at the ends, and their derivatives."""

from __future__ import annotations

import math

import pytest
import torch

from taylored import ArcFaceLoss, LinearLogits, arcface_loss
from taylored.core.engine.blocked import Blocked
from taylored.core.engine.whole import WHOLE
from taylored.core.links.class_sums import ClassSums
from taylored.core.plan.options import Options
from taylored.core.plan.prepare import prepare
from taylored.core.plan.truth_margin import AngularMargin
from taylored.core.terms.elementary import nll

ANGLES = (-0.5, 0.0, 0.3, math.pi / 2)


@pytest.mark.parametrize("angle", ANGLES)
def test_growth_is_the_derivative(angle: float) -> None:
    cosines = torch.linspace(-1.2, 1.2, 1001, dtype=torch.float64).requires_grad_()
    margin = AngularMargin(torch.full_like(cosines, angle), less=0.2)
    (expected,) = torch.autograd.grad(margin.added(cosines).sum(), cosines)
    torch.testing.assert_close(margin.growth(cosines).detach(), expected)
    plain = AngularMargin(angle, less=0.2)
    torch.testing.assert_close(plain.added(cosines), margin.added(cosines))


@pytest.mark.parametrize("angle", ANGLES)
def test_a_larger_cosine_never_has_the_smaller_logit(angle: float) -> None:
    cosines = torch.linspace(-1.2, 1.2, 100_001, dtype=torch.float64)
    moved = cosines + AngularMargin(angle).added(cosines)
    assert (moved.diff() >= -1e-15).all()


def test_angles_to_the_digits_of_float32_near_the_ends() -> None:
    """1 - c^2 would have lost half of the digits there."""
    cosines = torch.tensor([1 - 2**-24, 1 - 2**-20, 0.999, -0.8775, 0.0, -1.0, 1.0])
    moved = cosines + AngularMargin(0.5).added(cosines)
    expected = torch.cos(torch.acos(cosines.double()) + 0.5)
    expected[-2] = -1 - 0.5 * math.sin(0.5)
    torch.testing.assert_close(moved.double(), expected, rtol=0, atol=1e-7)
    growth = AngularMargin(0.5).growth(cosines.double())
    torch.testing.assert_close(
        AngularMargin(0.5).growth(cosines).double(), growth, rtol=1e-5, atol=0
    )


def test_pinned_values() -> None:
    """By hand: arccos 0.9 is 0.451027, and its cosine 0.5 farther on is 0.580843."""
    loss = arcface_loss(torch.tensor([[0.9, 0.1]]), torch.tensor([0]), margin=0.5, scale=10.0)
    assert loss.item() == pytest.approx(math.log1p(math.exp(10 * (0.1 - 0.580843))), abs=1e-6)
    turned = arcface_loss(torch.tensor([[-0.95, 0.1]]), torch.tensor([0]), margin=0.5, scale=1.0)
    own = -0.95 - 0.5 * math.sin(0.5)
    assert turned.item() == pytest.approx(math.log1p(math.exp(0.1 - own)), abs=1e-6)


def test_identities_by_features_and_weight_without_their_logits() -> None:
    """A tenth of the logits would not fit into what the loss keeps: its gradients."""
    features = torch.nn.functional.normalize(torch.randn(512, 8)).requires_grad_()
    weight = torch.nn.functional.normalize(torch.randn(20_000, 8)).requires_grad_()
    loss = ArcFaceLoss()(LinearLogits(features, weight), torch.randint(20_000, (512,)))
    kept = [each for each in loss.grad_fn.saved_tensors if each is not None]
    assert sum(each.numel() for each in kept) < 512 * 20_000 / 10
    loss.backward()
    assert features.grad.isfinite().all()


@pytest.mark.parametrize("executor", [WHOLE, Blocked()], ids=lambda each: each.name)
def test_what_indicators_count_is_the_gradient(executor) -> None:
    logits, target = 0.5 * torch.randn(9, 4, dtype=torch.float64), torch.arange(9) % 4
    options = Options(margin=AngularMargin(0.4), temperature=0.25)
    canonical, plan = prepare(logits, target, nll, options)
    sums = ClassSums(canonical)
    gradient = executor.sweep(canonical, plan, sums=sums).gradient.abs()
    hot = torch.nn.functional.one_hot(target, 4)
    expected = torch.stack([(gradient * hot).sum(0), (gradient * (1 - hot)).sum(0)])
    torch.testing.assert_close(sums.total(), expected)
