"""What textbooks say of these gradients, confirmed or corrected with numbers."""

import math

import pytest
import torch
import torch.nn.functional as F
from torch import nn

from taylored import CrossEntropyLoss, DiceLoss, FocalLoss, PolyLoss, analysis
from taylored.lab.data import load


def squared(logits, target):
    return 0.5 * (logits.sigmoid() - target) ** 2


def single_dice(logits, target):
    return DiceLoss(link="sigmoid", smooth_numerator=0, smooth_denominator=0)(
        logits.reshape(1, 1, 1, 1), target.reshape(1, 1, 1, 1)
    )


def test_squared_error_of_a_sigmoid_vanishes_where_it_is_wrong_and_cross_entropy_does_not():
    curves = analysis.gradient_curves({"bce": F.binary_cross_entropy_with_logits, "mse": squared})
    p = curves.p_t
    torch.testing.assert_close(curves.gradients["bce"], 1 - p)
    torch.testing.assert_close(curves.gradients["mse"], (1 - p) * p * (1 - p))
    at, peak = curves.peak("mse")  # 4 / 27 at p = 1/3
    assert at == pytest.approx(1 / 3, abs=0.01)
    assert peak == pytest.approx(4 / 27, abs=1e-4)
    assert curves.ratio("mse", "bce")[0] < 1e-5
    assert curves.region("bce")[0] < 1e-5


def test_negatives_are_seen_from_their_own_truth():
    curves = analysis.gradient_curves([F.binary_cross_entropy_with_logits], target=0)
    torch.testing.assert_close(curves.gradients["binary_cross_entropy_with_logits"], 1 - curves.p_t)


@pytest.mark.parametrize("link", ["sigmoid", "softmax"])
def test_focal_keeps_the_full_gradient_in_the_limit_only(link):
    losses = {"focal": FocalLoss(gamma=2, link=link), "ce": FocalLoss(gamma=0, link=link)}
    curves = analysis.gradient_curves(losses)
    p, ratio = curves.p_t, curves.ratio("focal", "ce")
    q = 1 - p
    torch.testing.assert_close(ratio, q**2 - 2 * p * q * p.log(), atol=1e-6, rtol=1e-6)
    # "Hard samples keep their full loss": they get more than it up to p = 0.3, then ever less.
    assert ratio.max() > 1.2
    assert ratio[0] == pytest.approx(1, abs=1e-3)
    assert (ratio[p > 0.5] < 0.95).all()
    assert float(ratio[(p - 0.9).abs().argmin()]) == pytest.approx(0.0290, abs=2e-3)
    assert curves.region("focal")[1] < curves.region("ce")[1]


def test_the_first_polynomial_scales_easy_samples_only():
    curves = analysis.gradient_curves({"poly": PolyLoss(epsilon=2.0), "ce": CrossEntropyLoss()})
    torch.testing.assert_close(curves.ratio("poly", "ce"), 1 + 2 * curves.p_t)


def test_dice_of_one_pixel_saturates_on_both_sides_with_its_peak_at_a_third():
    curves = analysis.gradient_curves([single_dice])
    p = curves.p_t
    torch.testing.assert_close(
        curves.gradients["single_dice"], 2 * p * (1 - p) / (1 + p) ** 2, atol=1e-7, rtol=1e-5
    )
    at, peak = curves.peak("single_dice")
    assert at == pytest.approx(1 / 3, abs=0.01)  # not "near 0.5"
    assert peak == pytest.approx(0.25, abs=1e-5)
    assert curves.gradients["single_dice"][[0, -1]].max() < 1e-4
    nothing = analysis.gradient_curves([single_dice], target=0)
    assert nothing.gradients["single_dice"].abs().max() == 0


@pytest.fixture(scope="module")
def kanji():
    """Strokes of a kanji as a mask (4 % of the pixels), and logits of a blurred guess."""
    ink = torch.as_tensor(load("kanjivg-components").features[:1]).double()
    logits = 6 * F.avg_pool2d(ink, 5, stride=1, padding=2) - 1.5
    return logits, (ink > 0.5).double()


def test_dice_looks_at_the_mask_and_cross_entropy_at_every_pixel(kanji):
    logits, mask = kanji
    losses = ["binary_cross_entropy", 'dice(link="sigmoid")']
    before = analysis.gradient_maps(losses, logits, mask)
    edited = logits.clone()
    edited[..., :8, :] += 3  # another opinion on a quarter of the picture
    after = analysis.gradient_maps(losses, edited, mask)
    kept = (slice(None), slice(8, None))
    ce, dice = losses
    torch.testing.assert_close(after.sizes[ce][kept], before.sizes[ce][kept])
    changed = (after.sizes[dice][kept] / before.sizes[dice][kept] - 1).abs()
    assert changed.min() > 0.05
    strokes = mask[:, 0] == 1
    # 4 % of the pixels: nearly all of cross-entropy's gradient is in the background.
    assert strokes.double().mean() < 0.08
    assert before.share(dice, strokes) > 2 * before.share(ce, strokes)


def test_dice_saturates_where_it_is_wrong_and_cross_entropy_does_not(kanji):
    _, mask = kanji
    wrong = 12 * (1 - 2 * mask)
    losses = ["binary_cross_entropy", 'dice(link="sigmoid")']
    maps = analysis.gradient_maps(losses, wrong, mask)
    undecided = analysis.gradient_maps(losses, 0 * wrong, mask)
    ce, dice = (maps.sizes[name].sum() / undecided.sizes[name].sum() for name in losses)
    assert ce > 1.9
    assert dice < 1e-4


def test_gradients_of_weights_are_those_of_logits_times_features():
    generator = torch.Generator().manual_seed(0)
    x, w = (torch.randn(n, 4, generator=generator).double() for n in (6, 3))
    b = torch.zeros(3)
    index = torch.tensor([0, 1, 2, 0, 0, 1])
    found = analysis.layer_gradients(CrossEntropyLoss(reduction="sum"), x, w, index, b)
    y = F.one_hot(index, 3).double()
    torch.testing.assert_close(found.logits, (x @ w.T).softmax(1) - y)
    torch.testing.assert_close(found.weight, found.logits.T @ x)
    torch.testing.assert_close(found.bias, found.logits.sum(0))
    torch.testing.assert_close(found.own + found.others, found.logits.abs().sum(0))
    bce = nn.BCEWithLogitsLoss(reduction="sum")
    found = analysis.layer_gradients(bce, x, w, y)
    torch.testing.assert_close(found.logits, (x @ w.T).sigmoid() - y)
    torch.testing.assert_close(found.weight, found.logits.T @ x)


@pytest.mark.parametrize(("classes", "smoothing"), [(2, 0.2), (5, 0.1), (10, 0.5)])
def test_the_smoothed_optimum_is_where_training_ends(classes, smoothing):
    logits = torch.zeros(1, classes, dtype=torch.float64, requires_grad=True)
    loss = CrossEntropyLoss(label_smoothing=smoothing)
    optimizer = torch.optim.LBFGS([logits], max_iter=500, tolerance_change=0, tolerance_grad=1e-9)

    def closure():
        optimizer.zero_grad()
        value = loss(logits, torch.tensor([1]))
        value.backward()
        return value

    optimizer.step(closure)
    p, best = logits.detach().softmax(1)[0], analysis.smoothed_optimum(classes, smoothing)
    assert best.truth == pytest.approx(float(p[1]), abs=1e-6)
    assert best.other == pytest.approx(float(p[0]), abs=1e-6)
    assert best.gap == pytest.approx(float((logits[0, 1] - logits[0, 0]).detach()), abs=1e-5)
    assert best.loss == pytest.approx(closure().item(), abs=1e-9)
    assert analysis.smoothed_optimum(classes, 0).gap == math.inf


def test_smoothing_gathers_the_features_of_a_class():
    digits = load("digits-lt")
    x = torch.as_tensor(digits.features).flatten(1).float()
    y = torch.as_tensor(digits.labels)
    x = (x - x.mean(0)) / (x.std(0) + 1e-3)
    ratios = []
    for smoothing in (0.0, 0.1):
        torch.manual_seed(0)
        body = nn.Sequential(nn.Linear(x.shape[1], 64), nn.ReLU(), nn.Linear(64, 32), nn.ReLU())
        model = nn.Sequential(body, nn.Linear(32, len(digits.class_names)))
        loss = CrossEntropyLoss(label_smoothing=smoothing)
        optimizer = torch.optim.Adam(model.parameters(), 1e-2)
        for _ in range(150):
            optimizer.zero_grad()
            loss(model(x), y).backward()
            optimizer.step()
        ratios.append(analysis.class_spread(body(x), y).ratio)
    plain, smoothed = ratios
    assert smoothed < 0.6 * plain
