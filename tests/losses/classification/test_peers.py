"""Other libraries as oracles where they agree; where they do not, the difference SPEC states."""

from __future__ import annotations

import numpy as np
import pytest
import torch
import torch.nn.functional as F
from scipy.special import log_softmax, softmax
from torch import Tensor

from references.long_tail import class_balanced_weights
from taylored import (
    FocalLoss,
    PolyLoss,
    binary_cross_entropy_loss,
    cross_entropy_loss,
    focal_loss,
    poly_loss,
)
from taylored.core.class_weights import effective_number_weights

kornia_losses = pytest.importorskip("kornia.losses")
timm_loss = pytest.importorskip("timm.loss")
torchvision_ops = pytest.importorskip("torchvision.ops")

N, C = 9, 5
GAMMAS = (0.0, 0.5, 1.0, 2.0, 3.7)


def draw(*shape: int, seed: int = 0) -> Tensor:
    generator = torch.Generator().manual_seed(seed)
    return 3 * torch.randn(shape, generator=generator, dtype=torch.float64)


LOGITS = draw(N, C)
CLASSES = torch.randint(C, (N,), generator=torch.Generator().manual_seed(1))
HARD = (draw(N, C, seed=2) > 0).double()
SOFT = torch.softmax(draw(N, C, seed=3), dim=1)


def agree(ours, theirs, logits: Tensor = LOGITS, rtol: float = 1e-9) -> None:
    a, b = (logits.clone().requires_grad_() for _ in range(2))
    left, right = ours(a), theirs(b)
    torch.testing.assert_close(left, right, rtol=rtol, atol=1e-12)
    left.sum().backward()
    right.sum().backward()
    torch.testing.assert_close(a.grad, b.grad, rtol=rtol, atol=1e-12)


@pytest.mark.parametrize("gamma", GAMMAS)
@pytest.mark.parametrize("alpha", [-1.0, 0.25, 0.9])
@pytest.mark.parametrize("reduction", ["none", "sum", "mean"])
def test_torchvision_sigmoid_focal(gamma: float, alpha: float, reduction: str) -> None:
    agree(
        lambda z: focal_loss(
            z,
            HARD,
            link="sigmoid",
            gamma=gamma,
            alpha=None if alpha < 0 else alpha,
            reduction=reduction,
        ),
        lambda z: torchvision_ops.sigmoid_focal_loss(
            z, HARD, alpha=alpha, gamma=gamma, reduction=reduction
        ),
    )


def test_torchvision_differs_for_soft_targets_as_documented() -> None:
    theirs = torchvision_ops.sigmoid_focal_loss(LOGITS, SOFT, alpha=-1.0, gamma=2.0)
    ours = focal_loss(LOGITS, SOFT, link="sigmoid", reduction="none")
    assert (ours - theirs).abs().max() > 1e-2
    p = torch.sigmoid(LOGITS)
    arithmetic = (1 - (SOFT * p + (1 - SOFT) * (1 - p))) ** 2
    bce = F.binary_cross_entropy_with_logits(LOGITS, SOFT, reduction="none")
    torch.testing.assert_close(theirs, arithmetic * bce)


@pytest.mark.parametrize("gamma", [1.0, 2.0, 3.7])
def test_kornia_focal_weights_every_class_but_the_first(gamma: float) -> None:
    alpha = 0.3
    agree(
        lambda z: focal_loss(
            z, CLASSES, gamma=gamma, weight=[1 - alpha] + [alpha] * (C - 1), reduction="none"
        ),
        lambda z: kornia_losses.focal_loss(
            z, CLASSES, alpha=alpha, gamma=gamma, reduction="none"
        ).sum(1),
        rtol=1e-7,  # its class weights are float32
    )
    agree(
        lambda z: focal_loss(z, CLASSES, gamma=gamma, reduction="none"),
        lambda z: kornia_losses.focal_loss(
            z, CLASSES, alpha=None, gamma=gamma, reduction="none"
        ).sum(1),
        rtol=1e-7,
    )


@pytest.mark.parametrize("smoothing", [0.0, 0.1, 0.4])
def test_timm_label_smoothing(smoothing: float) -> None:
    agree(
        lambda z: cross_entropy_loss(z, CLASSES, label_smoothing=smoothing),
        lambda z: timm_loss.LabelSmoothingCrossEntropy(smoothing=smoothing)(z, CLASSES),
    )


def test_timm_soft_targets() -> None:
    agree(
        lambda z: cross_entropy_loss(z, SOFT),
        lambda z: timm_loss.SoftTargetCrossEntropy()(z, SOFT),
    )


def keras_binary_focal(x: Tensor, y: Tensor, alpha: float, gamma: float) -> Tensor:
    """keras.losses.BinaryFocalCrossentropy(apply_class_balancing=True), as documented there."""
    p = torch.sigmoid(x)
    p_t = y * p + (1 - y) * (1 - p)
    alpha_t = y * alpha + (1 - y) * (1 - alpha)
    bce = F.binary_cross_entropy_with_logits(x, y, reduction="none")
    return (alpha_t * (1 - p_t) ** gamma * bce).mean()


@pytest.mark.parametrize("gamma", GAMMAS)
def test_keras_alpha(gamma: float) -> None:
    agree(
        lambda z: focal_loss(z, HARD, link="sigmoid", gamma=gamma, alpha=0.25),
        lambda z: keras_binary_focal(z, HARD, 0.25, gamma),
    )


def test_keras_label_smoothing_of_binary_cross_entropy() -> None:
    smoothed = HARD * 0.9 + 0.05
    agree(
        lambda z: binary_cross_entropy_loss(z, HARD, label_smoothing=0.1),
        lambda z: F.binary_cross_entropy_with_logits(z, smoothed),
    )


def published_poly1(logits: np.ndarray, labels: np.ndarray, epsilon: float) -> np.ndarray:
    """softmax cross-entropy + epsilon * sum(labels * (1 - softmax(logits)))."""
    cross_entropy = -(labels * log_softmax(logits, axis=-1)).sum(-1)
    return cross_entropy + epsilon * (labels * (1 - softmax(logits, axis=-1))).sum(-1)


@pytest.mark.parametrize("epsilon", [-1.0, 0.0, 0.5, 2.0, 10.0])
def test_poly1_is_the_published_definition_for_soft_targets(epsilon: float) -> None:
    hot = F.one_hot(CLASSES, C).double()
    for labels in (SOFT, hot):
        expected = published_poly1(LOGITS.numpy(), labels.numpy(), epsilon)
        found = poly_loss(LOGITS, labels, epsilon=epsilon, reduction="none")
        np.testing.assert_allclose(found.numpy(), expected, rtol=1e-10)
    found = poly_loss(LOGITS, CLASSES, epsilon=epsilon, reduction="none")
    np.testing.assert_allclose(found.numpy(), expected, rtol=1e-10)


@pytest.mark.parametrize("epsilon", [-1.0, 0.5, 2.0])
def test_poly1_is_optax(epsilon: float) -> None:
    optax = pytest.importorskip("optax")
    jax = pytest.importorskip("jax")

    def summed(z: object) -> object:
        losses = optax.losses.poly_loss_cross_entropy(z, SOFT.numpy(), epsilon=epsilon)
        return losses.sum()

    expected, gradient = jax.value_and_grad(summed)(LOGITS.float().numpy())
    logits = LOGITS.clone().requires_grad_()
    found = poly_loss(logits, SOFT, epsilon=epsilon, reduction="sum")
    found.backward()
    np.testing.assert_allclose(found.item(), float(expected), rtol=1e-5)
    np.testing.assert_allclose(logits.grad.numpy(), np.asarray(gradient), rtol=1e-4, atol=1e-5)


def test_poly_gradient_is_cross_entropy_s_times_one_plus_epsilon_p() -> None:
    """Leng et al. 2022: g = (p - e_t)(1 + epsilon p_t)."""
    logits = LOGITS.clone().requires_grad_()
    PolyLoss(epsilon=2.0, reduction="sum")(logits, CLASSES).backward()
    p, hot = torch.softmax(LOGITS, 1), F.one_hot(CLASSES, C)
    expected = (p - hot) * (1 + 2 * (p * hot).sum(1, keepdim=True))
    torch.testing.assert_close(logits.grad, expected)


def test_binary_focal_gradient_is_the_published_one() -> None:
    """s (1 - p_t)^gamma (gamma p_t log p_t + p_t - 1) alpha_t."""
    logits = LOGITS.clone().requires_grad_()
    FocalLoss(link="sigmoid", alpha=0.25, gamma=1.5, reduction="sum")(logits, HARD).backward()
    sign = 2 * HARD - 1
    p_t = torch.sigmoid(sign * LOGITS)
    alpha_t = torch.where(HARD > 0, 0.25, 0.75)
    expected = alpha_t * sign * (1 - p_t) ** 1.5 * (1.5 * p_t * torch.log(p_t) + p_t - 1)
    torch.testing.assert_close(logits.grad, expected)


@pytest.mark.parametrize("beta", [0.9, 0.99, 0.999, 0.9999])
def test_official_class_balanced_losses(beta: float) -> None:
    """richardaecn/class-balanced-loss: the sample's weight on its whole row, over the batch."""
    counts = [900, 250, 40, 7, 1]
    weight = class_balanced_weights(counts, beta)
    torch.testing.assert_close(
        effective_number_weights(counts, beta, dtype=torch.float64), weight, rtol=1e-12, atol=0
    )
    from taylored import ClassBalancedLoss

    hot = F.one_hot(CLASSES, C).double()
    bce = F.binary_cross_entropy_with_logits(LOGITS, hot, reduction="none")
    rows = weight[CLASSES].unsqueeze(1)
    for gamma in (0.5, 1.0, 2.0):
        modulator = torch.exp(-gamma * hot * LOGITS - gamma * torch.log1p(torch.exp(-LOGITS)))
        official = (rows * modulator * bce).sum() / hot.sum()
        inner = FocalLoss(gamma=gamma, link="sigmoid", reduction="batch_mean")
        ours = ClassBalancedLoss(inner, counts=counts, beta=beta)(LOGITS, CLASSES)
        torch.testing.assert_close(ours, official, rtol=1e-6, atol=0)  # weights are float32


def test_hardest_positives_keep_their_loss_where_the_official_modulator_overflows() -> None:
    x = torch.tensor([[-100.0]])
    modulator = torch.exp(-2 * x - 2 * torch.log1p(torch.exp(-x)))
    assert modulator.item() == 0.0
    loss = focal_loss(x, torch.tensor([[1.0]]), link="sigmoid")
    torch.testing.assert_close(loss, torch.tensor(100.0))


def test_weights_stay_out_of_the_probability() -> None:
    """Where the weighted cross-entropy enters p_t, a weight of 10 at p = 0.5 is off by 4."""
    loss = focal_loss(torch.zeros(1, 2), torch.tensor([0]), weight=[10.0, 1.0], reduction="none")
    right = 10 * 0.25 * np.log(2)
    wrong = (1 - 0.5**10) ** 2 * 10 * np.log(2)
    assert wrong / right > 3.9
    np.testing.assert_allclose(loss.item(), right, rtol=1e-6)
