"""Hardest share and tilted mean: what counts, and what they are where they meet other losses."""

from __future__ import annotations

import pytest
import torch
import torch.nn.functional as F

from kit.elements import CLASSES, HARD, LOGITS
from taylored import (
    BinaryCrossEntropyLoss,
    CrossEntropyLoss,
    FocalLoss,
    HardestLoss,
    LDAMLoss,
    TiltedLoss,
    ZLPRLoss,
    catalog,
    donate,
)


def test_ignored_positions_do_not_count_towards_the_share() -> None:
    """nnU-Net's top-k keeps k percent of all voxels, the ignored ones, whose loss is 0, too."""
    each = F.cross_entropy(LOGITS, CLASSES, reduction="none")
    target = CLASSES.clone()
    target[each.argsort()[:5]] = -100  # four of nine are left: half of them are two
    found = HardestLoss(CrossEntropyLoss(), share=0.5)(LOGITS, target)
    torch.testing.assert_close(found, each.sort().values[-2:].mean())
    theirs = F.cross_entropy(LOGITS, target, reduction="none").sort().values[-4:].mean()
    assert not torch.isclose(found, theirs)


def test_the_reductions_of_the_hardest() -> None:
    each = F.cross_entropy(LOGITS, CLASSES, reduction="none")
    top = each.sort(descending=True).values[:3]
    for reduction, expected in {
        "mean": top.mean(), "sum": top.sum(), "batch_mean": top.sum() / 9
    }.items():  # fmt: skip
        loss = HardestLoss(CrossEntropyLoss(reduction=reduction), share=1 / 3)
        torch.testing.assert_close(loss(LOGITS, CLASSES), expected)
    values = HardestLoss(CrossEntropyLoss(reduction="none"), share=1 / 3)(LOGITS, CLASSES)
    torch.testing.assert_close(values, torch.where(each >= top[-1], each, 0.0))


def test_a_tenth_of_thirty_is_three() -> None:
    logits = torch.linspace(-1, 1, 60, dtype=torch.float64).reshape(30, 2)
    logits[:, 1] = 0
    values = HardestLoss(CrossEntropyLoss(reduction="none"), share=0.1)(
        logits, torch.zeros(30, dtype=torch.long)
    )
    assert (values > 0).sum() == 3


def test_elements_and_sets() -> None:
    each = F.binary_cross_entropy_with_logits(LOGITS, HARD, reduction="none")
    found = HardestLoss(BinaryCrossEntropyLoss(), share=0.2)(LOGITS, HARD)
    torch.testing.assert_close(found, each.flatten().sort().values[-9:].mean())
    rows = ZLPRLoss(reduction="none")(LOGITS, HARD)
    found = HardestLoss(ZLPRLoss(), share=0.2)(LOGITS, HARD)
    torch.testing.assert_close(found, rows.sort().values[-2:].mean())


def test_classes_without_weight_do_not_count() -> None:
    weight = [1.0, 0.0, 1.0, 1.0, 1.0]
    keep = [0, 2, 3, 4]
    found = HardestLoss(BinaryCrossEntropyLoss(weight=weight), share=0.25)(LOGITS, HARD)
    alone = HardestLoss(BinaryCrossEntropyLoss(), share=0.25)(LOGITS[:, keep], HARD[:, keep])
    torch.testing.assert_close(found, alone)


def test_the_tilt_goes_from_the_least_to_the_largest() -> None:
    each = F.cross_entropy(LOGITS, CLASSES, reduction="none")
    found = [TiltedLoss(CrossEntropyLoss(), t=t)(LOGITS, CLASSES) for t in (-1e4, 0, 1e4)]
    torch.testing.assert_close(found[0], each.min(), rtol=1e-3, atol=1e-3)
    torch.testing.assert_close(found[1], each.mean())
    torch.testing.assert_close(found[2], each.max(), rtol=1e-3, atol=1e-3)


def test_a_weight_of_two_is_the_sample_twice() -> None:
    weight = torch.ones(len(LOGITS), dtype=torch.float64)
    weight[0] = 2
    loss = TiltedLoss(CrossEntropyLoss(), t=1.5)
    twice = loss(torch.cat([LOGITS, LOGITS[:1]]), torch.cat([CLASSES, CLASSES[:1]]))
    torch.testing.assert_close(loss(LOGITS, CLASSES, sample_weight=weight), twice)


def test_any_loss_with_values_can_be_wrapped() -> None:
    loss = catalog.get("hardest(class_balanced(ldam(scale=2), beta=0.9))", counts=[9, 7, 5, 3, 1])
    assert isinstance(loss.inner.inner, LDAMLoss)
    assert loss(LOGITS, CLASSES).isfinite()


@pytest.mark.parametrize("wrapper", [HardestLoss, TiltedLoss])
def test_losses_without_values_are_refused(wrapper: type) -> None:
    for text in ("two_way", "tilted(cross_entropy)", "generalized_jensen_shannon"):
        with pytest.raises(ValueError, match=r"^`loss` must be .* Fix: wrap another loss"):
            wrapper(catalog.get(text))


def test_a_tilted_loss_has_no_values() -> None:
    with pytest.raises(ValueError, match=r'^`reduction` must be "mean".* Fix: '):
        TiltedLoss(CrossEntropyLoss(reduction="none"))(LOGITS, CLASSES)


@pytest.mark.parametrize("wrapper", [HardestLoss, TiltedLoss])
@pytest.mark.parametrize("link", ["softmax", "sigmoid"])
def test_donated_logits_are_read_before_they_are_gone(wrapper: type, link: str) -> None:
    loss = wrapper(FocalLoss(link=link))
    found = []
    for hand_in in (lambda z: z, donate):
        leaf = LOGITS.clone().requires_grad_()
        value = loss(hand_in(leaf * 1.0), CLASSES if link == "softmax" else HARD)
        found.append((value.detach(), *torch.autograd.grad(value, leaf)))
    for left, right in zip(*found, strict=True):
        torch.testing.assert_close(left, right)
