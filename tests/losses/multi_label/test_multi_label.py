"""Multi-label losses: what the generated suites do not see."""

from __future__ import annotations

import math

import pytest
import torch

from kit.cases import COUNTS
from kit.checks import multi_label as checks
from kit.elements import HARD, LOGITS, agree
from taylored import AsymmetricLoss, DistributionBalancedLoss, catalog, distribution_balanced_loss

timm_loss = pytest.importorskip("timm.loss")


@pytest.mark.parametrize(
    ("positive", "negative", "margin"),
    [(1, 4, 0.05), (0, 4, 0.05), (0, 2, 0), (0.5, 1.5, 0.2), (0, 0, 0.1)],
)
def test_asymmetric_is_timm_s_for_hard_targets(
    positive: float, negative: float, margin: float
) -> None:
    for ours, theirs in (("sum", "sum"), ("mean", "mean"), ("batch_mean", "batchmean")):
        loss = AsymmetricLoss(
            gamma_positive=positive, gamma_negative=negative, margin=margin, reduction=ours
        )
        peer = timm_loss.AsymmetricLossMultiLabel(negative, positive, clip=margin, reduction=theirs)
        # It computes in float32.
        agree(lambda z, f=loss: f(z, HARD), lambda z, f=peer: f(z, HARD), rtol=1e-4)


def test_asymmetric_differs_from_timm_s_as_documented() -> None:
    soft = 0.1 + 0.8 * HARD
    loss = AsymmetricLoss(reduction="none")(LOGITS, soft)
    peer = timm_loss.AsymmetricLossMultiLabel(reduction="none")(LOGITS, soft)
    assert (loss - peer).abs().max() > 1e-2
    z = torch.full((1, 1), -25.0, requires_grad=True)  # below its clamp there is no gradient
    timm_loss.AsymmetricLossMultiLabel()(z, torch.ones(1, 1)).backward()
    assert z.grad.abs().max() < 1e-6
    z.grad = None
    AsymmetricLoss()(z, torch.ones(1, 1)).backward()
    assert z.grad.item() == pytest.approx(-1.0, abs=1e-3)


def test_asymmetric_drops_easy_negatives_and_bounds_hard_ones() -> None:
    checks.check_asymmetric_margin()


def test_distribution_balanced_is_the_official_code() -> None:
    checks.check_official_distribution_balanced()


def test_rows_without_positives_and_classes_without_samples_stay_finite() -> None:
    checks.check_rows_without_positives()
    with pytest.warns(UserWarning, match="1 of 5 classes have no samples"):
        loss = DistributionBalancedLoss(counts=[900, 250, 40, 7, 0], num_samples=900)
    assert loss.prior.isfinite().all()  # in no sample, and in every one
    z = LOGITS.clone().requires_grad_()
    loss(z, HARD).backward()
    assert z.grad.isfinite().all()


def test_more_positives_than_samples_are_refused() -> None:
    with pytest.raises(ValueError, match=r"`num_samples` must be at least the largest count"):
        DistributionBalancedLoss(counts=[900, 2], num_samples=800)
    with pytest.raises(ValueError, match=r"`counts` must be one number per class: 5"):
        distribution_balanced_loss(LOGITS, HARD, counts=[900, 2])


def test_weights_of_a_row_follow_its_rarest_label() -> None:
    """With one positive its weight is the largest; a rarer label beside it lowers it."""
    loss = DistributionBalancedLoss(counts=[900, 9], negative_scale=1, kappa=0, gamma=0)
    zero = torch.zeros(1, 2)
    alone = loss(zero, torch.tensor([[1, 0]]), normalizer=math.log(2))
    both = loss(zero, torch.tensor([[1, 1]]), normalizer=math.log(2))
    frequent = 0.1 + 1 / (1 + math.exp(-10 * (0.01 / 1.01 - 0.2)))
    rare = 0.1 + 1 / (1 + math.exp(-10 * (1 / 1.01 - 0.2)))
    assert both.item() == pytest.approx(frequent + rare, rel=1e-5)
    single = 0.1 + 1 / (1 + math.exp(-10 * 0.8))
    assert alone.item() == pytest.approx(single + 1.1, rel=1e-5)


@pytest.mark.parametrize(
    ("text", "name"),
    [
        ("asymmetric(gamma_negative=-1)", "gamma_negative"),
        ("asymmetric(margin=1)", "margin"),
        ("asymmetric(margin=1e-9)", "margin"),
        ("asymmetric(label_smoothing=2)", "label_smoothing"),
        ("distribution_balanced(negative_scale=0)", "negative_scale"),
        ("distribution_balanced(floor=-1)", "floor"),
        ("distribution_balanced(gamma=-1)", "gamma"),
        ("distribution_balanced(num_samples=3)", "num_samples"),
    ],
)
def test_parameters_out_of_their_domain(text: str, name: str) -> None:
    with pytest.raises(ValueError, match=rf"`{name}` must be .*got .*Fix: "):
        catalog.get(text, counts=COUNTS)
