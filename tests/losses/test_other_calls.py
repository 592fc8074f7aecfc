"""Losses with calls of their own: several predictions, features, real numbers for targets."""

from __future__ import annotations

import copy

import pytest
import torch
import torch.nn.functional as F
from torch import Tensor

from kit.checks import other_calls as checks
from kit.checks.other_calls import SHAPES, SUBJECTS, Subject
from taylored import (
    DistributionFocalLoss,
    InfluenceBalancedLoss,
    catalog,
    distribution_focal_loss,
    generalized_jensen_shannon_loss,
    influence_balanced_loss,
    inverse_frequency_weights,
    jensen_shannon_loss,
)

each = pytest.mark.parametrize("subject", SUBJECTS, ids=lambda s: s.text)
each_shape = pytest.mark.parametrize("shape", SHAPES, ids=str)
DTYPES = (torch.float64, torch.float32, torch.bfloat16, torch.float16)


def test_every_loss_with_a_call_of_its_own_is_here() -> None:
    unusual = {name for name, spec in catalog.SPECS.items() if spec.call != "plain"}
    assert unusual == {subject.text.split("(")[0] for subject in SUBJECTS}


@each
@each_shape
@pytest.mark.parametrize("dtype", DTYPES, ids=lambda d: str(d)[6:])
def test_values(subject: Subject, shape: tuple[int, ...], dtype: torch.dtype) -> None:
    checks.check_values(subject, shape, dtype)


@each
@each_shape
def test_reductions(subject: Subject, shape: tuple[int, ...]) -> None:
    checks.check_reductions(subject, shape)


@each
@each_shape
def test_ignored(subject: Subject, shape: tuple[int, ...]) -> None:
    checks.check_ignored(subject, shape)


@each
def test_extremes(subject: Subject) -> None:
    checks.check_extremes(subject)


@each
def test_empty(subject: Subject) -> None:
    checks.check_empty(subject)


@each
def test_transforms(subject: Subject) -> None:
    checks.check_transforms(subject)


@pytest.mark.parametrize(
    "subject", [s for s in SUBJECTS if "influence" not in s.text], ids=lambda s: s.text
)
def test_derivatives(subject: Subject) -> None:
    """Not of the influence-balanced loss: its divisor is constant by definition."""
    logits, target, further = subject.arguments((3,))

    def function(z: Tensor) -> Tensor:
        return subject.build()(z, target, *further)

    z = logits.requires_grad_()
    assert torch.autograd.gradcheck(function, (z,), check_forward_ad=True, check_batched_grad=True)
    assert torch.autograd.gradgradcheck(function, (z,))


@each
def test_written_form(subject: Subject) -> None:
    logits, target, further = subject.arguments((7,))
    loss = catalog.get(subject.text)
    again = catalog.get(repr(loss))
    assert repr(again) == repr(loss)
    assert torch.equal(again(logits, target, *further), loss(logits, target, *further))
    copied = copy.deepcopy(loss)
    assert torch.equal(copied(logits, target, *further), loss(logits, target, *further))


# --- distribution focal loss ------------------------------------------------------------------


LOGITS = 2 * torch.randn(6, 8, generator=torch.Generator().manual_seed(0), dtype=torch.float64)


def test_a_whole_number_is_a_class() -> None:
    """The last bin included, which indexes beyond the end in other code."""
    bins = torch.tensor([0, 3, 7, 7, 1, 6])
    expected = F.cross_entropy(LOGITS, bins, reduction="none")
    for target in (bins, bins.double(), bins.float()):
        found = distribution_focal_loss(LOGITS, target, reduction="none")
        torch.testing.assert_close(found, expected)


def test_between_two_bins_it_is_the_published_sum() -> None:
    y = torch.tensor([0.25, 3.9, 6.5, 6.999, 1.5, 0.001], dtype=torch.float64)
    left = y.long()
    expected = (left + 1 - y) * F.cross_entropy(LOGITS, left, reduction="none") + (
        y - left
    ) * F.cross_entropy(LOGITS, left + 1, reduction="none")
    torch.testing.assert_close(distribution_focal_loss(LOGITS, y), expected.mean())


def test_the_mean_of_the_distribution_is_predicted() -> None:
    y = torch.tensor([0.25, 3.9, 6.5, 7.0, 1.5, 0.0], dtype=torch.float64)
    z = LOGITS.clone().requires_grad_()
    for _ in range(3000):
        (gradient,) = torch.autograd.grad(distribution_focal_loss(z, y, reduction="sum"), z)
        z = (z - gradient).detach().requires_grad_()
    torch.testing.assert_close(DistributionFocalLoss().predict(z), y, rtol=0, atol=0.02)


def test_gradients_to_the_number() -> None:
    y = torch.tensor([0.25, 3.9, 6.5, 6.9, 1.5, 0.1], dtype=torch.float64, requires_grad=True)
    assert torch.autograd.gradcheck(lambda t: distribution_focal_loss(LOGITS, t), (y,))


@pytest.mark.parametrize(
    ("arguments", "name", "got"),
    [
        ((LOGITS, torch.full((6,), 7.01)), "target", "7.01"),
        ((LOGITS, torch.full((6,), -0.5)), "target", "-0.5"),
        ((LOGITS, torch.full((6,), float("nan"))), "target", "nan"),
        ((LOGITS, torch.zeros(6, 8)), "target", r"\(6, 8\)"),
        ((LOGITS, [0.0] * 6), "target", "list"),
        ((LOGITS[:, :1], torch.zeros(6)), "input", r"\(6, 1\)"),
        ((LOGITS.long(), torch.zeros(6)), "input", "int64"),
    ],
)
def test_distances_that_do_not_fit(arguments: tuple, name: str, got: str) -> None:
    with pytest.raises(ValueError, match=rf"^`{name}` must be .*, got .*{got}.* Fix: "):
        distribution_focal_loss(*arguments)


def test_sample_weights_of_distances_that_do_not_fit() -> None:
    with pytest.raises(ValueError, match=r"^`sample_weight` must be one number per position"):
        distribution_focal_loss(LOGITS, torch.zeros(6), sample_weight=torch.ones(4))


# --- influence-balanced loss ------------------------------------------------------------------

FEATURES = torch.randn(6, 4, generator=torch.Generator().manual_seed(1), dtype=torch.float64)
CLASSES = torch.tensor([0, 1, 2, 3, 4, 5])


def test_the_influence_is_the_last_layer_s_gradient() -> None:
    """|p - y|_1 |h|_1 is the 1-norm of the gradient of the loss on W, for logits W h."""
    layer = torch.randn(8, 4, dtype=torch.float64, requires_grad=True)
    logits = FEATURES @ layer.T
    for i in range(6):
        loss = F.cross_entropy(logits[i : i + 1], CLASSES[i : i + 1])
        (gradient,) = torch.autograd.grad(loss, layer, retain_graph=True)
        ours = influence_balanced_loss(
            logits[i : i + 1].detach(), CLASSES[i : i + 1], FEATURES[i : i + 1], scale=2.0
        )
        expected = 2.0 * loss.detach() / (gradient.abs().sum() + 1e-3)
        torch.testing.assert_close(ours, expected)


def test_no_gradient_reaches_the_features_or_the_divisor() -> None:
    """Unlike the official code, whose divisor stays in the graph."""
    features, z = FEATURES.clone().requires_grad_(), LOGITS.clone().requires_grad_()
    loss = influence_balanced_loss(z, CLASSES, features, scale=1.0, reduction="sum")
    loss.backward()
    assert features.grad is None
    p, y = torch.softmax(LOGITS, dim=1), F.one_hot(CLASSES, 8)
    influence = (p - y).abs().sum(1, keepdim=True) * FEATURES.abs().sum(1, keepdim=True)
    torch.testing.assert_close(z.grad, (p - y) / (influence + 1e-3))
    official = LOGITS.clone().requires_grad_()
    weight = (torch.softmax(official, 1) - y).abs().sum(1) * FEATURES.abs().sum(1)
    (F.cross_entropy(official, CLASSES, reduction="none") / (weight + 1e-3)).sum().backward()
    assert (official.grad - z.grad).abs().max() > 1e-2


def test_official_class_weights_divide_by_the_batch() -> None:
    weight = inverse_frequency_weights([90, 40, 20, 9, 5, 3, 2, 1], dtype=torch.float64)
    loss = InfluenceBalancedLoss(scale=10.0, weight=weight, reduction="batch_mean")
    each_loss = InfluenceBalancedLoss(scale=10.0, reduction="none")(LOGITS, CLASSES, FEATURES)
    found = loss(LOGITS, CLASSES, FEATURES)
    torch.testing.assert_close(found, (each_loss * weight[CLASSES]).sum() / 6)


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
        influence_balanced_loss(LOGITS, CLASSES, features)


def test_soft_targets_take_the_distance_from_them() -> None:
    soft = torch.softmax(LOGITS.flip(0), dim=1)
    found = influence_balanced_loss(LOGITS, soft, FEATURES, scale=1.0, reduction="none")
    p = torch.softmax(LOGITS, dim=1)
    influence = (p - soft).abs().sum(1) * FEATURES.abs().sum(1)
    torch.testing.assert_close(found, -(soft * p.log()).sum(1) / (influence + 1e-3))


# --- generalised Jensen-Shannon ---------------------------------------------------------------


@pytest.mark.parametrize("pi", [0.1, 0.5, 0.9])
def test_one_view_and_equal_views_are_jensen_shannon(pi: float) -> None:
    z = LOGITS.clone().requires_grad_()
    expected = jensen_shannon_loss(z, CLASSES, pi=pi)
    (gradient,) = torch.autograd.grad(expected, z)
    for views in (1, 4):
        z = LOGITS.clone().requires_grad_()
        found = generalized_jensen_shannon_loss(z.expand(views, 6, 8), CLASSES, pi=pi)
        torch.testing.assert_close(found, expected)
        torch.testing.assert_close(torch.autograd.grad(found, z)[0], gradient)


def test_disagreement_costs_whatever_the_label() -> None:
    views = torch.stack([LOGITS, LOGITS.flip(1)])
    mean = torch.softmax(views, dim=2).mean(dim=0).log()
    apart = generalized_jensen_shannon_loss(views, CLASSES, reduction="none")
    together = jensen_shannon_loss(mean, CLASSES, reduction="none")
    gap = apart - together
    assert (gap > 1e-3).all()
    other = generalized_jensen_shannon_loss(views, 5 - CLASSES, reduction="none")
    torch.testing.assert_close(
        other - jensen_shannon_loss(mean, 5 - CLASSES, reduction="none"), gap
    )


def test_soft_targets_are_the_expected_loss() -> None:
    views, soft = torch.stack([LOGITS, LOGITS.flip(1)]), torch.softmax(LOGITS.flip(0), dim=1)
    found = generalized_jensen_shannon_loss(views, soft, reduction="none")
    parts = [
        soft[:, c] * generalized_jensen_shannon_loss(views, torch.full((6,), c), reduction="none")
        for c in range(8)
    ]
    torch.testing.assert_close(found, sum(parts))


def test_predictions_that_are_not_stacked_are_refused() -> None:
    with pytest.raises(ValueError, match=r"`input` must be logits of M >= 1 predictions.*stack"):
        generalized_jensen_shannon_loss(LOGITS, CLASSES)
