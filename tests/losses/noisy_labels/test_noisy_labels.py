"""Noise-robust losses: what the generated suites do not see."""

from __future__ import annotations

import math

import pytest
import torch

import taylored
from kit.cases import COUNTS, build, call_of
from kit.checks import noisy_labels as checks
from kit.elements import CLASSES, HOT, LOGITS, N
from taylored import (
    GeneralizedCrossEntropyLoss,
    JensenShannonLoss,
    SymmetricCrossEntropyLoss,
    catalog,
    generalized_jensen_shannon_loss,
    jensen_shannon_loss,
)

# Six samples of eight classes.
LOGITS8 = 2 * torch.randn(6, 8, generator=torch.Generator().manual_seed(0), dtype=torch.float64)
CLASSES8 = torch.arange(6)


def test_gradient_of_generalized_cross_entropy_is_the_published_one() -> None:
    checks.check_generalized_gradient()


@pytest.mark.parametrize("pi", [0.1, 0.5, 0.9])
def test_jensen_shannon_is_the_divergence_over_all_classes(pi: float) -> None:
    checks.check_divergence(pi)


def test_jensen_shannon_is_bounded_as_published() -> None:
    logits = torch.tensor([[-1e4, 1e4]], dtype=torch.float64)
    for pi in (0.1, 0.5, 0.9):
        bound = 1 + pi * math.log(pi) / ((1 - pi) * math.log(1 - pi))
        loss = JensenShannonLoss(pi=pi)(logits, torch.tensor([0]))
        assert loss.item() == pytest.approx(bound)


def test_symmetric_cross_entropy_sums_over_the_wrong_classes() -> None:
    """a CE + b RCE with log 0 = A; what the authors' clamped label adds to it is documented."""
    a, b, zero = 0.3, 1.7, math.log(1e-4)
    loss = SymmetricCrossEntropyLoss(direct=a, reverse=b, log_zero=zero)
    p = torch.softmax(LOGITS, dim=1)
    label = HOT.clamp(1e-4, 1.0)
    direct, reverse = -(HOT * p.log()).sum(1).mean(), -(p * label.log()).sum(1).mean()
    torch.testing.assert_close(loss(LOGITS, CLASSES), a * direct + b * reverse)
    official = -(label * p.log()).sum(1).mean()
    extra = -(1e-4 * (1 - HOT) * p.log()).sum(1).mean()
    torch.testing.assert_close(official - direct, extra)


def test_truncated_generalized_cross_entropy_by_sample_weights() -> None:
    """AlanChou/Truncated-Loss: a constant less, and a weight per sample."""
    loss, kept = GeneralizedCrossEntropyLoss(q=0.7), torch.linspace(0, 1, N).round().double()
    p_t = (torch.softmax(LOGITS, dim=1) * HOT).sum(1)
    official = ((1 - p_t**0.7) / 0.7 * kept - (1 - 0.5**0.7) / 0.7 * kept).mean()
    ours = loss(LOGITS, CLASSES, sample_weight=kept) - (1 - 0.5**0.7) / 0.7 * kept.mean()
    torch.testing.assert_close(ours, official)


@pytest.mark.parametrize("name", ["generalized_cross_entropy", "jensen_shannon"])
def test_mislabelled_samples_pull_less_than_in_cross_entropy(name: str) -> None:
    for margin in (-2.0, -5.0, -12.0):
        gradients = []
        for text in (name, "cross_entropy"):
            z = torch.tensor([[margin, 0.0]], dtype=torch.float64, requires_grad=True)
            catalog.get(text)(z, torch.tensor([0])).backward()
            gradients.append(z.grad.abs().max().item())
        assert gradients[0] < 0.6 * gradients[1]


def test_wrappers_take_the_functions_of_p_t() -> None:
    for text in ("generalized_cross_entropy(q=0.5)", "jensen_shannon(pi=0.3)"):
        balanced = build(call_of(f"class_balanced({text}, beta=0.9)"))
        each = build(call_of(text))
        weight = balanced.weights
        expected = each(LOGITS, CLASSES, sample_weight=weight[CLASSES]) * N
        torch.testing.assert_close(balanced(LOGITS, CLASSES), expected / weight[CLASSES].sum())
        first = build(call_of(f"softmax_eql({text})")).train()
        first.indicator.reset()  # the first step is the wrapped loss itself
        torch.testing.assert_close(first(LOGITS, CLASSES), each(LOGITS, CLASSES))
        assert taylored.series(catalog.get(text), 3).coefficients[0] == 1.0


@pytest.mark.parametrize("pi", [0.1, 0.5, 0.9])
def test_one_view_and_equal_views_are_jensen_shannon(pi: float) -> None:
    z = LOGITS8.clone().requires_grad_()
    expected = jensen_shannon_loss(z, CLASSES8, pi=pi)
    (gradient,) = torch.autograd.grad(expected, z)
    for views in (1, 4):
        z = LOGITS8.clone().requires_grad_()
        found = generalized_jensen_shannon_loss(z.expand(views, 6, 8), CLASSES8, pi=pi)
        torch.testing.assert_close(found, expected)
        torch.testing.assert_close(torch.autograd.grad(found, z)[0], gradient)


def test_disagreement_costs_whatever_the_label() -> None:
    views = torch.stack([LOGITS8, LOGITS8.flip(1)])
    mean = torch.softmax(views, dim=2).mean(dim=0).log()
    apart = generalized_jensen_shannon_loss(views, CLASSES8, reduction="none")
    together = jensen_shannon_loss(mean, CLASSES8, reduction="none")
    gap = apart - together
    assert (gap > 1e-3).all()
    other = generalized_jensen_shannon_loss(views, 5 - CLASSES8, reduction="none")
    torch.testing.assert_close(
        other - jensen_shannon_loss(mean, 5 - CLASSES8, reduction="none"), gap
    )


def test_soft_targets_are_the_expected_loss() -> None:
    views, soft = torch.stack([LOGITS8, LOGITS8.flip(1)]), torch.softmax(LOGITS8.flip(0), dim=1)
    found = generalized_jensen_shannon_loss(views, soft, reduction="none")
    parts = [
        soft[:, c] * generalized_jensen_shannon_loss(views, torch.full((6,), c), reduction="none")
        for c in range(8)
    ]
    torch.testing.assert_close(found, sum(parts))


def test_predictions_that_are_not_stacked_are_refused() -> None:
    with pytest.raises(ValueError, match=r"`input` must be logits of M >= 1 predictions.*stack"):
        generalized_jensen_shannon_loss(LOGITS8, CLASSES8)


@pytest.mark.parametrize(
    ("text", "name"),
    [
        ("generalized_cross_entropy(q=1.5)", "q"),
        ("generalized_cross_entropy(q=-0.1)", "q"),
        ("symmetric_cross_entropy(direct=-1)", "direct"),
        ("symmetric_cross_entropy(direct=0, reverse=0)", "direct"),
        ("symmetric_cross_entropy(log_zero=0)", "log_zero"),
        ("jensen_shannon(pi=0)", "pi"),
        ("jensen_shannon(pi=1)", "pi"),
        ("generalized_jensen_shannon(pi=1.5)", "pi"),
    ],
)
def test_parameters_out_of_their_domain(text: str, name: str) -> None:
    with pytest.raises(ValueError, match=rf"`{name}` must be .*got .*Fix: "):
        catalog.get(text, counts=COUNTS)
