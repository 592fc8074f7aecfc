"""Detection losses: what the generated suites do not see."""

from __future__ import annotations

import copy
import io

import pytest
import torch
import torch.nn.functional as F

import taylored
from kit.cases import COUNTS
from kit.checks import detection_quality as checks
from kit.elements import CLASSES, HARD, LOGITS, SCORES, C, N, agree, draw
from references.formulas import entropy, sigmoid
from taylored import (
    DistributionFocalLoss,
    GHMLoss,
    QualityFocalLoss,
    catalog,
    distribution_focal_loss,
)

# Six samples of eight classes.
LOGITS8 = 2 * torch.randn(6, 8, generator=torch.Generator().manual_seed(0), dtype=torch.float64)
CLASSES8 = torch.arange(6)


def test_quality_focal_gradient_is_the_published_one() -> None:
    """|d|^b (p - y) + b |d|^(b - 1) sign(p - y) p (1 - p) BCE."""
    for beta in (1.5, 2.0, 3.0):
        z = LOGITS.clone().requires_grad_()
        QualityFocalLoss(beta=beta, reduction="sum")(z, SCORES).backward()
        p = sigmoid(LOGITS)
        d = p - SCORES
        inner = beta * d.abs() ** (beta - 1) * d.sign() * p * (1 - p) * entropy(LOGITS, SCORES)
        torch.testing.assert_close(z.grad, d.abs() ** beta * d + inner)


@pytest.mark.parametrize("beta", [0.3, 1.0, 2.0])
def test_quality_focal_of_hard_targets_is_focal_loss(beta: float) -> None:
    agree(
        lambda z: QualityFocalLoss(beta=beta)(z, HARD),
        lambda z: taylored.focal_loss(z, HARD, gamma=beta, link="sigmoid"),
    )
    agree(
        lambda z: QualityFocalLoss(beta=beta)(z, CLASSES),
        lambda z: taylored.focal_loss(z, CLASSES, gamma=beta, link="sigmoid"),
    )


@pytest.mark.parametrize("beta", [0.3, 0.5, 1.0, 1.5])
def test_a_score_that_is_met_has_no_gradient(beta: float) -> None:
    z = torch.zeros(3, requires_grad=True)
    loss = QualityFocalLoss(beta=beta, reduction="none")(z, torch.tensor([0.5, 1.0, 0.0]))
    (gradient,) = torch.autograd.grad(loss.sum(), z, create_graph=True)
    (curvature,) = torch.autograd.grad(gradient.sum(), z)
    assert loss[0].item() == gradient[0].item() == curvature[0].item() == 0.0
    assert (loss[1:] > 0).all()
    assert curvature.isfinite().all()


def test_varifocal_of_negatives_is_scaled_focal_loss_and_of_positives_is_their_score() -> None:
    checks.check_varifocal_sides()


def test_one_bin_is_binary_cross_entropy() -> None:
    agree(lambda z: GHMLoss(bins=1)(z, HARD), lambda z: F.binary_cross_entropy_with_logits(z, HARD))


def test_every_filled_bin_has_the_same_say() -> None:
    checks.check_equal_bins()


def test_ignored_elements_are_not_in_the_density() -> None:
    checks.check_ignored_density()


def test_an_all_ignored_batch_has_no_density() -> None:
    for momentum in (0.0, 0.5):
        loss = GHMLoss(momentum=momentum)
        z = LOGITS.clone().requires_grad_()
        value = loss(z, torch.full((N,), -100))
        value.backward()
        assert value.item() == 0.0
        assert (z.grad == 0).all()
        torch.testing.assert_close(loss(LOGITS, HARD), GHMLoss()(LOGITS, HARD), rtol=1e-5, atol=0)


def test_momentum_is_a_corrected_average_per_bin() -> None:
    checks.check_momentum()


def test_momentum_counts_training_only() -> None:
    checks.check_momentum_counts_training_only()


def test_momentum_is_saved_and_keeps_its_precision() -> None:
    loss = GHMLoss(momentum=0.75)
    for seed in range(3):
        loss(draw(N, C, seed=seed), HARD)
    buffer = io.BytesIO()
    torch.save(loss.state_dict(), buffer)
    buffer.seek(0)
    other = GHMLoss(momentum=0.75)
    other.load_state_dict(torch.load(buffer, weights_only=True))
    torch.testing.assert_close(other(LOGITS, HARD), loss(LOGITS, HARD))
    assert copy.deepcopy(loss).half().density.dtype == torch.float64
    assert copy.deepcopy(loss).double().density.dtype == torch.float64
    assert repr(loss) == "GHMLoss(bins=10, momentum=0.75)"
    assert GHMLoss().state_dict() == {}


def test_momentum_refuses_functional_transforms_in_training() -> None:
    loss = GHMLoss(momentum=0.5)
    with pytest.raises(ValueError, match=r"`loss` must be without momentum or in eval mode"):
        torch.func.grad(lambda z: loss(z, HARD))(LOGITS)
    torch.func.grad(lambda z: loss.eval()(z, HARD))(LOGITS)
    torch.func.grad(lambda z: GHMLoss()(z, HARD))(LOGITS)


def test_momentum_compiles_without_a_break_and_counts_the_same() -> None:
    plain, other = GHMLoss(momentum=0.5), GHMLoss(momentum=0.5)
    # The backend that may compute parts of forward again in backward.
    compiled = torch.compile(other, fullgraph=True, backend="aot_eager_decomp_partition")
    for seed in range(3):
        found = []
        for loss in (plain, compiled):
            z = draw(N, C, seed=seed).requires_grad_()
            value = loss(z, HARD)
            value.backward()
            found.append((value.detach(), z.grad))
        for left, right in zip(*found, strict=True):
            torch.testing.assert_close(left, right)
    torch.testing.assert_close(plain.density, other.density)
    assert plain.density.sum() > 0


def test_counts_beyond_the_whole_numbers_of_float32() -> None:
    """2^24 + 1 ones: a sum of float32 ones stops at 2^24."""
    from taylored.core.engine.elementwise import Elements
    from taylored.losses.detection_quality.ghm import bin_counts

    many = torch.zeros(1, 1).expand(2**24 + 2, 1)
    assert bin_counts(Elements(many, many, torch.ones(1, 1)), 1).item() == 2**24 + 2


def test_a_whole_number_is_a_class() -> None:
    """The last bin included, which indexes beyond the end in other code."""
    bins = torch.tensor([0, 3, 7, 7, 1, 6])
    expected = F.cross_entropy(LOGITS8, bins, reduction="none")
    for target in (bins, bins.double(), bins.float()):
        found = distribution_focal_loss(LOGITS8, target, reduction="none")
        torch.testing.assert_close(found, expected)


def test_between_two_bins_it_is_the_published_sum() -> None:
    y = torch.tensor([0.25, 3.9, 6.5, 6.999, 1.5, 0.001], dtype=torch.float64)
    left = y.long()
    expected = (left + 1 - y) * F.cross_entropy(LOGITS8, left, reduction="none") + (
        y - left
    ) * F.cross_entropy(LOGITS8, left + 1, reduction="none")
    torch.testing.assert_close(distribution_focal_loss(LOGITS8, y), expected.mean())


def test_the_mean_of_the_distribution_is_predicted() -> None:
    y = torch.tensor([0.25, 3.9, 6.5, 7.0, 1.5, 0.0], dtype=torch.float64)
    z = LOGITS8.clone().requires_grad_()
    for _ in range(3000):
        (gradient,) = torch.autograd.grad(distribution_focal_loss(z, y, reduction="sum"), z)
        z = (z - gradient).detach().requires_grad_()
    torch.testing.assert_close(DistributionFocalLoss().predict(z), y, rtol=0, atol=0.02)


def test_gradients_to_the_number() -> None:
    y = torch.tensor([0.25, 3.9, 6.5, 6.9, 1.5, 0.1], dtype=torch.float64, requires_grad=True)
    assert torch.autograd.gradcheck(lambda t: distribution_focal_loss(LOGITS8, t), (y,))


@pytest.mark.parametrize(
    ("arguments", "name", "got"),
    [
        ((LOGITS8, torch.full((6,), 7.01)), "target", "7.01"),
        ((LOGITS8, torch.full((6,), -0.5)), "target", "-0.5"),
        ((LOGITS8, torch.full((6,), float("nan"))), "target", "nan"),
        ((LOGITS8, torch.zeros(6, 8)), "target", r"\(6, 8\)"),
        ((LOGITS8, [0.0] * 6), "target", "list"),
        ((LOGITS8[:, :1], torch.zeros(6)), "input", r"\(6, 1\)"),
        ((LOGITS8.long(), torch.zeros(6)), "input", "int64"),
    ],
)
def test_distances_that_do_not_fit(arguments: tuple, name: str, got: str) -> None:
    with pytest.raises(ValueError, match=rf"^`{name}` must be .*, got .*{got}.* Fix: "):
        distribution_focal_loss(*arguments)


def test_sample_weights_of_distances_that_do_not_fit() -> None:
    with pytest.raises(ValueError, match=r"^`sample_weight` must be one number per position"):
        distribution_focal_loss(LOGITS8, torch.zeros(6), sample_weight=torch.ones(4))


@pytest.mark.parametrize(
    ("text", "name"),
    [
        ("varifocal(alpha=2)", "alpha"),
        ("varifocal(gamma=-1)", "gamma"),
        ("quality_focal(beta=-1)", "beta"),
        ("ghm(bins=0)", "bins"),
        ("ghm(bins=2.5)", "bins"),
        ("ghm(momentum=1)", "momentum"),
    ],
)
def test_parameters_out_of_their_domain(text: str, name: str) -> None:
    with pytest.raises(ValueError, match=rf"`{name}` must be .*got .*Fix: "):
        catalog.get(text, counts=COUNTS)
