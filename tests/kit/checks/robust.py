"""Checks of single losses by hand; the suites run them, the negative controls must fail them."""

from __future__ import annotations

import torch
import torch.nn.functional as F
from torch import Tensor

from references.formulas import entropy, sigmoid
from taylored import (
    AsymmetricLoss,
    DistributionBalancedLoss,
    GeneralizedCrossEntropyLoss,
    GHMLoss,
    JensenShannonLoss,
    VarifocalLoss,
)

N, C = 9, 5
COUNTS = (900.0, 250.0, 40.0, 7.0, 1.0)


def draw(*shape: int, seed: int = 0) -> Tensor:
    generator = torch.Generator().manual_seed(seed)
    return 3 * torch.randn(shape, generator=generator, dtype=torch.float64)


LOGITS = draw(N, C)
CLASSES = torch.randint(C, (N,), generator=torch.Generator().manual_seed(1))
HARD = (draw(N, C, seed=2) > 0).double()


def close(left: Tensor, right: Tensor, rtol: float = 1e-9) -> None:
    torch.testing.assert_close(left, right, rtol=rtol, atol=1e-12, check_dtype=False)


def gradient_of(loss: torch.nn.Module, target: Tensor, logits: Tensor = LOGITS) -> Tensor:
    z = logits.clone().requires_grad_()
    loss(z, target).backward()
    return z.grad


def check_generalized_gradient() -> None:
    """p_t^q (p - y), over the batch."""
    loss = GeneralizedCrossEntropyLoss(q=0.7, reduction="sum")
    p, hot = torch.softmax(LOGITS, dim=1), F.one_hot(CLASSES, C)
    p_t = (p * hot).sum(dim=1, keepdim=True)
    close(gradient_of(loss, CLASSES), p_t**0.7 * (p - hot))


def check_divergence(pi: float) -> None:
    """pi KL(y || m) + (1 - pi) KL(p || m) over all classes, normalised."""
    p, y = torch.softmax(LOGITS, dim=1), F.one_hot(CLASSES, C).double()
    m = pi * y + (1 - pi) * p
    label = torch.where(y > 0, y * (torch.where(y > 0, y, 1.0) / m).log(), 0.0).sum(dim=1)
    predicted = (p * (p / m).log()).sum(dim=1)
    norm = -(1 - pi) * torch.log(torch.tensor(1 - pi, dtype=torch.float64))
    loss = JensenShannonLoss(pi=pi, reduction="none")
    close(loss(LOGITS, CLASSES), (pi * label + (1 - pi) * predicted) / norm)


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


def check_varifocal_sides() -> None:
    """Negatives are focused, positives weighted by their score and never focused."""
    scores = torch.sigmoid(draw(N, C, seed=3)) * HARD
    found = VarifocalLoss(alpha=0.4, gamma=1.5, reduction="none")(LOGITS, scores)
    p = sigmoid(LOGITS)
    close(found[HARD == 0], (0.4 * p**1.5 * entropy(LOGITS, scores))[HARD == 0])
    close(found[HARD == 1], (scores * entropy(LOGITS, scores))[HARD == 1])


def check_equal_bins() -> None:
    """The weights of each filled bin add up to the same share of the elements."""
    loss = GHMLoss(bins=6, reduction="none")
    weights = loss(LOGITS, HARD) / entropy(LOGITS, HARD)
    place = ((sigmoid(LOGITS) - HARD).abs() * 6).long()
    sums = torch.stack([weights[place == b].sum() for b in place.unique()])
    close(sums, torch.full_like(sums, LOGITS.numel() / len(sums)))
    # Constants: the gradient is that of binary cross-entropy, times the weights.
    expected = weights * (sigmoid(LOGITS) - HARD)
    close(gradient_of(GHMLoss(bins=6, reduction="sum"), HARD), expected)


def check_ignored_density() -> None:
    target = HARD.clone()
    target.view(-1)[::4] = -100
    kept = target != -100
    loss = GHMLoss()
    close(loss(LOGITS, target), loss(LOGITS[kept], target[kept]))
    assert (gradient_of(loss, target)[~kept] == 0).all()


def _counts(logits: Tensor, target: Tensor, bins: int) -> Tensor:
    place = ((sigmoid(logits) - target).abs() * bins).long()
    return torch.bincount(place.flatten(), minlength=bins).double()


def check_momentum() -> None:
    """Averages of the batches that had something in the bin, weighted 1, m, m^2, ... backwards."""
    bins, momentum = 8, 0.6
    loss = GHMLoss(bins=bins, momentum=momentum).double()
    # All on the right side, and easier and easier: bins of large gradients fall empty.
    batches = [LOGITS.abs() * (2 * HARD - 1) * factor for factor in (0.3, 1.0, 4.0)]
    seen: list[Tensor] = []
    for logits in batches:
        counts = _counts(logits, HARD, bins)
        seen.append(counts)
        average = torch.zeros(bins, dtype=torch.float64)
        for b in range(bins):
            filled = [c[b] for c in seen if c[b] > 0]
            powers = [momentum**i for i in range(len(filled))]
            if filled:
                average[b] = sum(w * n for w, n in zip(powers, filled[::-1], strict=True)) / sum(
                    powers
                )
        weights = torch.where(counts > 0, LOGITS.numel() / average / (counts > 0).sum(), 0.0)
        place = ((sigmoid(logits) - HARD).abs() * bins).long()
        expected = (weights[place] * entropy(logits, HARD)).mean()
        close(loss(logits, HARD), expected)
    assert any((c == 0).any() for c in seen[1:])


def check_momentum_counts_training_only() -> None:
    loss = GHMLoss(momentum=0.5)
    before = loss(LOGITS, HARD)
    state = {name: value.clone() for name, value in loss.state_dict().items()}
    with torch.no_grad():
        loss(2 * LOGITS, HARD)
    loss.eval()
    again = loss(LOGITS, HARD)
    assert all(torch.equal(value, state[name]) for name, value in loss.state_dict().items())
    close(again, before)
    loss.train()
    loss(2 * LOGITS, HARD)
    assert not torch.equal(loss.density, state["density"])
