"""Margins that depend on the true class's logit: at the ends, and their derivatives."""

from __future__ import annotations

import math

import pytest
import torch

from references import REFERENCES
from taylored import AdaCosLoss, AdaFaceLoss, ArcFaceLoss, CosFaceLoss, LinearLogits, arcface_loss
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


# --- AdaFace ------------------------------------------------------------------------------------


def test_adaface_follows_the_norms_as_its_code_does() -> None:
    """Kim et al. 2022: mean and deviation move by 1 - momentum; margins by the new ones."""
    loss = AdaFaceLoss(momentum=0.5, scale=4.0, reduction="none").double()
    mean, deviation = 20.0, 100.0
    for step in range(3):
        generator = torch.Generator().manual_seed(step)
        cosines = 2 * torch.rand(6, 4, generator=generator, dtype=torch.float64) - 1
        features = 30 * torch.rand(6, 3, generator=generator, dtype=torch.float64)
        target = torch.tensor([0, 1, 2, 3, -100, 1])
        there = target >= 0
        norms = features.norm(dim=1)[there]
        mean = 0.5 * mean + 0.5 * norms.mean().item()
        deviation = 0.5 * deviation + 0.5 * norms.std().item()
        value = loss(cosines.requires_grad_(), target, features)
        assert loss.mean.item() == pytest.approx(mean)
        assert loss.deviation.item() == pytest.approx(deviation)
        given = {"scale": 4.0, "features": features, "norms": (mean, deviation)}
        torch.testing.assert_close(value, REFERENCES["adaface"](cosines, target, given))


def test_adaface_is_cosface_of_average_samples_and_arcface_of_poor_ones() -> None:
    cosines, target = torch.tensor([[0.3, 0.5], [0.6, -0.2]]), torch.tensor([0, 1])
    loss = AdaFaceLoss(margin=0.3, h=0.5, scale=8.0).eval()
    loss.mean.fill_(30.0)
    loss.deviation.fill_(5.0)
    average = loss(cosines, target, torch.full((2, 1), 30.0))
    torch.testing.assert_close(average, CosFaceLoss(margin=0.3, scale=8.0)(cosines, target))
    poor = loss(cosines, target, torch.full((2, 1), 2.0))
    torch.testing.assert_close(poor, ArcFaceLoss(margin=0.3, scale=8.0)(cosines, target))


def test_adaface_state_survives_batches_without_a_deviation() -> None:
    loss = AdaFaceLoss()
    one = torch.tensor([[0.5, 0.1]], requires_grad=True)
    loss(one, torch.tensor([0]), torch.ones(1, 3))
    loss(one[:0], torch.tensor([0])[:0], torch.ones(0, 3))
    loss(one.expand(2, 2), torch.tensor([0, 1]), torch.tensor([[1.0], [torch.nan]]))
    assert (loss.mean.item(), loss.deviation.item()) == (20.0, 100.0)


def test_adaface_on_features_and_weight() -> None:
    features = torch.randn(6, 5, dtype=torch.float64)
    units, weight = (
        torch.nn.functional.normalize(each) for each in (features, torch.randn(9, 5).double())
    )
    target, loss = torch.arange(6), AdaFaceLoss(scale=8.0).eval()
    formed = loss(units @ weight.T, target, features)
    torch.testing.assert_close(loss(LinearLogits(units, weight), target, features), formed)


# --- AdaCos -------------------------------------------------------------------------------------


def published_scale(cosines: torch.Tensor, target: torch.Tensor, scale: float) -> float:
    """Zhang et al. 2019, equation 15, as the authors' code has it."""
    hot = torch.nn.functional.one_hot(target, cosines.shape[1]).bool()
    rivals = torch.where(hot, 0.0, torch.exp(scale * cosines)).sum() / len(cosines)
    median = torch.acos(cosines[hot]).median().item()
    return math.log(rivals) / math.cos(min(math.pi / 4, median))


@pytest.mark.parametrize("closeness", [0.2, 0.9])
def test_adacos_follows_the_median_angle(closeness: float) -> None:
    loss, scale = AdaCosLoss(), math.sqrt(2) * math.log(9)
    for step in range(3):
        generator = torch.Generator().manual_seed(step)
        cosines = torch.rand(51, 10, generator=generator, dtype=torch.float64) - 0.5
        target = torch.randint(10, (51,), generator=generator)
        own = closeness + 0.1 * torch.rand(51, 1, generator=generator, dtype=torch.float64)
        cosines.scatter_(1, target.unsqueeze(1), own)
        scale = published_scale(cosines, target, scale)
        extra = torch.cat([cosines, torch.full((1, 10), torch.nan)]).requires_grad_()
        value = loss(extra, torch.cat([target, torch.tensor([-100])]))
        assert loss.scale.item() == pytest.approx(scale, rel=1e-3)
        expected = torch.nn.functional.cross_entropy(loss.scale * cosines, target)
        torch.testing.assert_close(value, expected)


@pytest.mark.parametrize("scaling", ["fixed", "dynamic"])
def test_adacos_on_features_and_weight(scaling: str) -> None:
    generator = torch.Generator().manual_seed(0)
    features, weight = (
        torch.nn.functional.normalize(torch.randn(n, 5, generator=generator).double())
        for n in (6, 9)
    )
    target, losses = torch.arange(6), [AdaCosLoss(scaling=scaling) for _ in range(2)]
    for _ in range(2):
        weight.requires_grad_()
        formed = losses[0](features @ weight.T, target)
        torch.testing.assert_close(losses[1](LinearLogits(features, weight), target), formed)
    if scaling == "dynamic":
        torch.testing.assert_close(losses[1].scale, losses[0].scale)


def test_adacos_scale_stays_where_a_batch_says_nothing() -> None:
    loss = AdaCosLoss()
    cosines = torch.rand(4, 3, requires_grad=True)
    loss(cosines[:0], torch.zeros(0, dtype=torch.long))
    loss(cosines, torch.full((4,), -100))
    loss(-cosines.abs() * 1e3, torch.zeros(4, dtype=torch.long))  # a scale below 0
    assert loss.scale.item() == pytest.approx(math.sqrt(2) * math.log(2))
