"""Noise-robust, multi-label and detection losses: what the generated suites do not see."""

from __future__ import annotations

import copy
import io
import math

import pytest
import torch
import torch.nn.functional as F
from torch import Tensor

import taylored
from kit.cases import COUNTS, build, call_of
from kit.checks import robust as checks
from references.formulas import entropy, sigmoid
from taylored import (
    AsymmetricLoss,
    AsymmetricSingleLabelLoss,
    DistributionBalancedLoss,
    GeneralizedCrossEntropyLoss,
    GHMLoss,
    JensenShannonLoss,
    QualityFocalLoss,
    SymmetricCrossEntropyLoss,
    catalog,
    distribution_balanced_loss,
)

timm_loss = pytest.importorskip("timm.loss")

N, C = 9, 5


def draw(*shape: int, seed: int = 0) -> Tensor:
    generator = torch.Generator().manual_seed(seed)
    return 3 * torch.randn(shape, generator=generator, dtype=torch.float64)


LOGITS = draw(N, C)
CLASSES = torch.randint(C, (N,), generator=torch.Generator().manual_seed(1))
HOT = F.one_hot(CLASSES, C).double()
HARD = (draw(N, C, seed=2) > 0).double()
SCORES = torch.sigmoid(draw(N, C, seed=3)) * HARD


def agree(ours: object, theirs: object, logits: Tensor = LOGITS, rtol: float = 1e-9) -> None:
    a, b = (logits.clone().requires_grad_() for _ in range(2))
    left, right = ours(a), theirs(b)
    torch.testing.assert_close(left, right.to(left), rtol=rtol, atol=rtol * 1e-3)
    left.sum().backward()
    right.sum().backward()
    torch.testing.assert_close(a.grad, b.grad, rtol=rtol, atol=rtol * 1e-3)


# --- functions of p_t -----------------------------------------------------------------------------


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


# --- asymmetric -----------------------------------------------------------------------------------


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


@pytest.mark.parametrize(("positive", "negative", "eps"), [(0, 4, 0.1), (1, 4, 0.1), (2, 1, 0.0)])
def test_single_label_form_is_timm_s(positive: float, negative: float, eps: float) -> None:
    loss = AsymmetricSingleLabelLoss(
        gamma_positive=positive, gamma_negative=negative, label_smoothing=eps
    )
    peer = timm_loss.AsymmetricLossSingleLabel(positive, negative, eps)
    agree(lambda z: loss(z, CLASSES), lambda z: peer(z, CLASSES))


def test_single_label_form_without_smoothing_is_focal_loss() -> None:
    loss = AsymmetricSingleLabelLoss(gamma_positive=0.5, label_smoothing=0.0)
    agree(
        lambda z: loss(z, CLASSES),
        lambda z: taylored.focal_loss(z, CLASSES, gamma=0.5),
    )


# --- distribution-balanced ------------------------------------------------------------------------


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
    with pytest.raises(ValueError, match=r"`counts` must be one number per class: shape \(5,\)"):
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


# --- scores ---------------------------------------------------------------------------------------


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


# --- GHM ------------------------------------------------------------------------------------------


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
    assert copy.deepcopy(loss).half().density.dtype == torch.float32
    assert copy.deepcopy(loss).double().density.dtype == torch.float64
    assert repr(loss) == "ghm(bins=10, momentum=0.75)"
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
    assert bin_counts(Elements(many, many, None), 1).item() == 2**24 + 2


# --- what is refused ------------------------------------------------------------------------------


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
        ("asymmetric(gamma_negative=-1)", "gamma_negative"),
        ("asymmetric(margin=1)", "margin"),
        ("asymmetric(margin=1e-9)", "margin"),
        ("asymmetric(label_smoothing=2)", "label_smoothing"),
        ("asymmetric_single_label(gamma_positive=-1)", "gamma_positive"),
        ("asymmetric_single_label(label_smoothing=-1)", "label_smoothing"),
        ("distribution_balanced(negative_scale=0)", "negative_scale"),
        ("distribution_balanced(floor=-1)", "floor"),
        ("distribution_balanced(gamma=-1)", "gamma"),
        ("distribution_balanced(num_samples=3)", "num_samples"),
        ("varifocal(alpha=2)", "alpha"),
        ("varifocal(gamma=-1)", "gamma"),
        ("quality_focal(beta=-1)", "beta"),
        ("ghm(bins=0)", "bins"),
        ("ghm(bins=2.5)", "bins"),
        ("ghm(momentum=1)", "momentum"),
        ("influence_balanced(scale=0)", "scale"),
    ],
)
def test_parameters_out_of_their_domain(text: str, name: str) -> None:
    with pytest.raises(ValueError, match=rf"`{name}` must be .*got .*Fix: "):
        catalog.get(text, counts=COUNTS)


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
