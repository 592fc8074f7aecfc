"""The same losses in other libraries: where they agree, and where they do not, and why."""

from __future__ import annotations

import math
from typing import Any

import pytest
import torch
import torch.nn.functional as F
from torch import Tensor

import taylored

SHAPE = (3, 4, 6, 5)


def batch(classes: int = 4) -> tuple[Tensor, Tensor]:
    generator = torch.Generator().manual_seed(0)
    logits = torch.randn(3, classes, 6, 5, generator=generator, dtype=torch.float64)
    return logits, torch.randint(0, classes, (3, 6, 5), generator=generator)


def hot(target: Tensor, classes: int) -> Tensor:
    return F.one_hot(target, classes).movedim(-1, 1).double()


def same(ours: Tensor, theirs: Any, tolerance: float = 1e-9) -> None:
    torch.testing.assert_close(ours.double(), theirs.double(), rtol=tolerance, atol=tolerance)


@pytest.fixture(scope="module")
def monai() -> Any:
    pytest.importorskip("monai")
    return pytest.importorskip("monai.losses")


@pytest.fixture(scope="module")
def smp() -> Any:
    return pytest.importorskip("segmentation_models_pytorch").losses


@pytest.fixture(scope="module")
def kornia() -> Any:
    return pytest.importorskip("kornia.losses")


SMOOTH = {"smooth_numerator": 1e-5, "smooth_denominator": 1e-5}


@pytest.mark.parametrize(("batched", "average"), [(False, "sample"), (True, "class")])
@pytest.mark.parametrize("squared", [False, True])
def test_monai_dice(monai: Any, batched: bool, average: str, squared: bool) -> None:
    logits, target = batch()
    theirs = monai.DiceLoss(softmax=True, batch=batched, squared_pred=squared)
    ours = taylored.DiceLoss(average=average, exponent=1 + squared, **SMOOTH)
    same(ours(logits, target), theirs(logits, hot(target, 4)))
    sigmoid = monai.DiceLoss(sigmoid=True, batch=batched, squared_pred=squared)
    ours = taylored.DiceLoss(average=average, exponent=1 + squared, link="sigmoid", **SMOOTH)
    same(ours(logits, hot(target, 4)), sigmoid(logits, hot(target, 4)))


def test_monai_weights_multiply(monai: Any) -> None:
    """Its mean counts classes, ours their weights; "batch_mean" is theirs."""
    logits, target = batch()
    weight = [0.5, 1.0, 2.0, 0.0]
    theirs = monai.DiceLoss(softmax=True, weight=weight)(logits, hot(target, 4))
    ours = taylored.DiceLoss(average="sample", weight=weight, reduction="batch_mean", **SMOOTH)
    same(ours(logits, target), theirs)
    ours.reduction = "mean"
    same(ours(logits, target), theirs * 4 / sum(weight))


def test_monai_background_is_a_weight(monai: Any) -> None:
    logits, target = batch()
    theirs = monai.DiceLoss(softmax=True, include_background=False)(logits, hot(target, 4))
    ours = taylored.DiceLoss(average="sample", weight=[0, 1, 1, 1], **SMOOTH)
    same(ours(logits, target), theirs)


def test_monai_jaccard(monai: Any) -> None:
    logits, target = batch()
    theirs = monai.DiceLoss(softmax=True, jaccard=True, smooth_nr=2, smooth_dr=2)
    ours = taylored.JaccardLoss(average="sample", smooth_numerator=1, smooth_denominator=1)
    same(ours(logits, target), theirs(logits, hot(target, 4)))


@pytest.mark.parametrize(("kind", "rarity"), [("square", 2), ("simple", 1), ("uniform", 0)])
def test_monai_generalized_dice(monai: Any, kind: str, rarity: float) -> None:
    logits, target = batch()
    target[1][target[1] == 3] = 0  # a class that one sample does not have
    for batched, average in ((False, "sample_micro"), (True, "micro")):
        theirs = monai.GeneralizedDiceLoss(softmax=True, w_type=kind, batch=batched)
        ours = taylored.GeneralizedDiceLoss(rarity=rarity, average=average, **SMOOTH)
        same(ours(logits, target), theirs(logits, hot(target, 4)), 1e-6)


def test_monai_tversky(monai: Any) -> None:
    logits, target = batch()
    theirs = monai.TverskyLoss(softmax=True, alpha=0.3, beta=0.7)
    ours = taylored.TverskyLoss(average="sample", alpha=0.3, beta=0.7, **SMOOTH)
    same(ours(logits, target), theirs(logits, hot(target, 4)))


def test_monai_mcc(monai: Any) -> None:
    logits, target = batch()
    theirs = monai.MCCLoss(softmax=True)
    ours = taylored.MCCLoss(average="sample", smooth_denominator=1e-5)
    same(ours(logits, target), theirs(logits, hot(target, 4)))


def test_monai_unified_focal(monai: Any) -> None:
    logits, target = batch(2)
    theirs = monai.AsymmetricUnifiedFocalLoss(weight=0.3, delta=0.7, gamma=0.4)
    ours = taylored.UnifiedFocalLoss(balance=0.3, delta=0.7, gamma=0.4, average="sample")
    same(ours(logits, target), theirs(logits.softmax(1), hot(target, 2)), 1e-5)


def test_monai_cldice(monai: Any) -> None:
    """One class: with several, MONAI adds them up before it divides."""
    generator = torch.Generator().manual_seed(1)
    logits = torch.randn(2, 1, 9, 11, generator=generator, dtype=torch.float64)
    mask = (torch.rand(2, 1, 9, 11, generator=generator) > 0.4).double()
    theirs = monai.SoftclDiceLoss(iter_=3, sigmoid=True, smooth=1e-12)
    ours = taylored.CLDiceLoss(
        link="sigmoid", average="sample", smooth_numerator=1, smooth_denominator=1
    )
    same(ours(logits, mask), theirs(logits, mask))


def test_monai_boundary(monai: Any) -> None:
    if not hasattr(monai, "BoundaryLoss"):
        pytest.skip("an older MONAI")
    logits, target = batch()
    theirs = monai.BoundaryLoss(softmax=True)(logits, hot(target, 4))
    same(taylored.BoundaryLoss(average="sample")(logits, target), theirs, 1e-6)


def test_monai_hausdorff(monai: Any) -> None:
    logits, target = batch()
    theirs = monai.HausdorffDTLoss(alpha=1.5, softmax=True, include_background=True)
    ours = taylored.HausdorffLoss(alpha=1.5, average="sample")
    same(ours(logits, target), theirs(logits, hot(target, 4)), 1e-6)


def test_smp_ratios(smp: Any) -> None:
    logits, target = batch()
    target[target == 3] = 0  # an absent class: without loss, and in the mean
    options = {"average": "class", "empty": "perfect"}
    same(taylored.DiceLoss(**options)(logits, target), smp.DiceLoss("multiclass")(logits, target))
    same(
        taylored.DiceLoss(**options, smooth_numerator=2, smooth_denominator=2)(logits, target),
        smp.DiceLoss("multiclass", smooth=1)(logits, target),
    )
    same(
        taylored.JaccardLoss(**options)(logits, target),
        smp.JaccardLoss("multiclass")(logits, target),
    )
    same(
        taylored.TverskyLoss(**options, alpha=0.3, beta=0.7)(logits, target),
        smp.TverskyLoss("multiclass", alpha=0.3, beta=0.7)(logits, target),
    )
    ignored = torch.where(target == 1, 255, target)
    same(
        taylored.DiceLoss(**options, ignore_index=255)(logits, ignored),
        smp.DiceLoss("multiclass", ignore_index=255)(logits, ignored),
    )


def test_smp_mcc_adds_eps_to_every_cell(smp: Any) -> None:
    logits, _ = batch(1)
    mask = (logits > 0.3).double()
    theirs = smp.MCCLoss(eps=1e-12)(logits.sigmoid(), mask)
    same(taylored.MCCLoss(link="sigmoid", average="micro")(logits, mask), theirs, 1e-8)


@pytest.mark.parametrize("per_image", [False, True])
def test_smp_lovasz(smp: Any, per_image: bool) -> None:
    logits, target = batch()
    logits = logits.float()  # its sorted truths know no float64
    average = "sample" if per_image else "class"
    theirs = smp.LovaszLoss("multiclass", per_image=per_image)(logits, target)
    same(taylored.LovaszSoftmaxLoss(average=average)(logits, target), theirs, 1e-5)
    ignored = torch.where(target == 1, 255, target)
    theirs = smp.LovaszLoss("multiclass", per_image=False, ignore_index=255)(logits, ignored)
    same(taylored.LovaszSoftmaxLoss(ignore_index=255)(logits, ignored), theirs, 1e-5)
    mask = (logits[:, :1] > 0.2).float()
    theirs = smp.LovaszLoss("binary", per_image=per_image)(-logits[:, :1], mask)
    same(taylored.LovaszHingeLoss(average=average)(-logits[:, :1], mask), theirs, 1e-5)


def test_kornia_ratios(kornia: Any) -> None:
    logits, target = batch()
    same(
        taylored.DiceLoss(average="sample_micro", smooth_denominator=1e-8)(logits, target),
        kornia.dice_loss(logits, target, average="micro"),
    )
    one, truth = logits[:1], torch.where(target[:1] == 3, 0, target[:1])
    same(
        taylored.DiceLoss(average="sample", empty="skip", smooth_denominator=1e-8)(one, truth),
        kornia.dice_loss(one, truth, average="macro"),
    )
    weight = torch.tensor([0.5, 1.0, 2.0, 0.1], dtype=torch.float64)
    same(
        taylored.DiceLoss(average="sample_micro", weight=weight, smooth_denominator=1e-8)(
            logits, target
        ),
        kornia.dice_loss(logits, target, average="micro", weight=weight),
    )
    same(
        taylored.TverskyLoss(
            alpha=0.3, beta=0.7, average="sample", empty="skip", smooth_denominator=1e-8
        )(one, truth),
        kornia.tversky_loss(one, truth, alpha=0.3, beta=0.7),
    )


def test_kornia_lovasz(kornia: Any) -> None:
    logits, target = batch()
    same(
        taylored.LovaszSoftmaxLoss(average="sample", empty="keep")(logits, target),
        kornia.lovasz_softmax_loss(logits, target),
    )
    mask = logits[:, 0] > 0.2
    same(
        taylored.LovaszHingeLoss(average="sample")(-logits[:, :1], mask),
        kornia.lovasz_hinge_loss(-logits[:, :1], mask.double()),
    )


def test_kornia_cannot_leave_a_sample_out(kornia: Any) -> None:
    """A sample whose positions are all ignored costs 1 there, and nothing here."""
    logits, target = batch()
    target[0] = -100
    alone = taylored.DiceLoss(average="sample_micro")(logits[1:], target[1:])
    same(taylored.DiceLoss(average="sample_micro")(logits, target), alone)
    theirs = kornia.dice_loss(logits, target, average="micro")
    same(theirs, (2 * alone + 1) / 3, 1e-6)


def test_keras_swaps_the_prices() -> None:
    """Keras documents alpha for false positives, and computes it for false negatives."""
    logits, _ = batch(1)
    mask = (logits > 1).double()
    p = logits.sigmoid()
    hit, wrong, missed = (p * mask).sum(), (p * (1 - mask)).sum(), ((1 - p) * mask).sum()
    keras = 1 - hit / (hit + 0.3 * missed + 0.7 * wrong)  # Tversky(alpha=0.3, beta=0.7)
    documented = 1 - hit / (hit + 0.3 * wrong + 0.7 * missed)
    ours = taylored.TverskyLoss(alpha=0.3, beta=0.7, link="sigmoid", average="micro")
    same(ours(logits, mask), documented)
    assert not math.isclose(float(keras), float(documented), rel_tol=1e-3)
    ours = taylored.TverskyLoss(alpha=0.7, beta=0.3, link="sigmoid", average="micro")
    same(ours(logits, mask), keras)
