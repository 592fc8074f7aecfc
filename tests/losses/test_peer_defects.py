"""Where other libraries are known to be wrong: our value, and why it is that one.

Each test is about one defect of a public implementation, named in its docstring; the numbers are
worked out by hand or from the paper's equation.
"""

from __future__ import annotations

import math

import pytest
import torch
import torch.nn.functional as F

from taylored import (
    CIoULoss,
    CrossEntropyLoss,
    EIoULoss,
    EqualizedFocalLoss,
    FocalLoss,
    GIoULoss,
    HardestLoss,
    MaxSupLoss,
    SigmoidEQLLoss,
    SIoULoss,
    TverskyLoss,
)

LOGITS = torch.tensor([[2.0, 0.0, -1.0], [0.5, 0.5, 0.0], [0.0, 3.0, 1.0], [1.0, 0.0, 0.0]])


def test_siou_rises_with_distance():
    """mmdet: the distance cost has the wrong sign by default, and the loss falls to 0.000."""
    box = torch.tensor([[0.0, 0.0, 2.0, 2.0]])
    found = [SIoULoss()(box + torch.tensor([d, 0.0, d, 0.0]), box).item() for d in (0.5, 2, 4, 8)]
    assert found == pytest.approx([0.438, 1.197, 1.294, 1.361], abs=1e-3)


def test_eiou_is_the_efficient_one():
    """mmdet: its EIoULoss is another loss, Extended IoU."""
    box, other = torch.tensor([[0.0, 0.0, 2.0, 2.0]]), torch.tensor([[1.0, 0.0, 5.0, 1.0]])
    # Overlap 1 of 4 + 4 - 1; centres (1, 1) and (3, 0.5); enclosed by 5 x 2; sides 2, 2 and 4, 1.
    expected = 1 - 1 / 7 + (4 + 0.25) / (25 + 4) + 4 / 25 + 1 / 4
    assert EIoULoss()(box, other).item() == pytest.approx(expected, rel=1e-6)


def test_sigmoid_eql_obeys_its_reduction_and_keeps_its_state_in_evaluation():
    """mmdet: EQLV2Loss ignores reduction, and its sums move in eval mode."""
    truth = F.one_hot(torch.tensor([0, 1, 1, 2]), 3).float()
    loss = SigmoidEQLLoss(num_classes=3, reduction="none").eval()
    each = loss(LOGITS, truth)
    assert each.shape == (4, 3)
    loss.reduction = "sum"
    torch.testing.assert_close(loss(LOGITS, truth), each.sum())
    assert loss.indicator.steps.item() == 0


@pytest.mark.parametrize("threshold", [0.0, 0.5])
def test_the_rule_of_ciou_is_a_parameter(threshold):
    """mmdet has alpha = 0 at an IoU below one half, torchvision has not: both say CIoU."""
    box, other = torch.tensor([[0.0, 0.0, 2.0, 2.0]]), torch.tensor([[1.0, 0.0, 5.0, 1.0]])
    iou, centre = 1 / 7, (4 + 0.25) / (25 + 4)
    v = 4 / math.pi**2 * (math.atan(4 / 1) - math.atan(2 / 2)) ** 2
    alpha = v / (1 - iou + v) if threshold == 0 else 0.0
    found = CIoULoss(alpha_above=threshold)(box, other).item()
    assert found == pytest.approx(1 - iou + centre + alpha * v, rel=1e-6)


def test_equalized_focal_is_finite_at_any_logit():
    """EOD: the logarithm of a saturated sigmoid is infinite from a logit of 17 on."""
    loss = EqualizedFocalLoss(num_classes=1).eval()
    logit = torch.tensor([[100.0]], requires_grad=True)
    value = loss(logit, torch.zeros(1, 1))
    value.backward()
    assert value.item() > 20
    assert 0 < logit.grad.item() < math.inf


def test_alpha_of_tversky_weighs_false_positives():
    """keras: alpha weighs the false negatives, though its text says the reverse."""
    everything = torch.full((1, 1, 4), 50.0)
    half = torch.tensor([[[1.0, 1.0, 0.0, 0.0]]])
    loss = TverskyLoss(alpha=0.75, beta=0.25, link="sigmoid")
    assert loss(everything, half).item() == pytest.approx(1 - 2 / (2 + 0.75 * 2))
    missed = half.clone()
    missed[0, 0, 1:] = 0
    predicted = 50 * (2 * missed - 1)  # one of two found
    assert loss(predicted, half).item() == pytest.approx(1 - 1 / (1 + 0.25 * 1))


def test_a_mean_does_not_count_what_is_ignored():
    """segmentation_models_pytorch: ignored positions are in the denominator, 3/4 of the loss."""
    target = torch.tensor([0, 1, -100, 2])
    expected = F.cross_entropy(LOGITS, target, label_smoothing=0.1)
    found = CrossEntropyLoss(label_smoothing=0.1)(LOGITS, target)
    torch.testing.assert_close(found, expected)
    kept = CrossEntropyLoss(label_smoothing=0.1)(LOGITS[[0, 1, 3]], target[[0, 1, 3]])
    torch.testing.assert_close(found, kept)


def test_focal_of_several_classes_is_that_of_their_softmax():
    """segmentation_models_pytorch: mode "multiclass" takes a sigmoid of every class."""
    target = torch.tensor([0, 1, 1, 2])
    p = LOGITS.softmax(1).gather(1, target[:, None]).squeeze(1)
    torch.testing.assert_close(
        FocalLoss(gamma=2, reduction="none")(LOGITS, target), -((1 - p) ** 2) * p.log()
    )


def test_the_mean_of_focal_is_over_positions_that_count():
    """kornia: it divides by classes times positions, ignored ones included."""
    target = torch.tensor([0, 1, -100, 2])
    each = FocalLoss(gamma=2, reduction="none")(LOGITS, target)
    torch.testing.assert_close(FocalLoss(gamma=2)(LOGITS, target), each.sum() / 3)


def test_smoothed_labels_keep_their_share_of_the_spread():
    """CoinCheung/pytorch-loss: the true class gets 1 - s and not 1 - s + s / K."""
    log_p = LOGITS.log_softmax(1)
    expected = -(0.9 * log_p[0, 0] + 0.1 * log_p[0].mean())
    found = CrossEntropyLoss(label_smoothing=0.1)(LOGITS[:1], torch.tensor([0]))
    torch.testing.assert_close(found, expected)


def test_the_hardest_positives_have_the_largest_loss():
    """balanced-loss: exp overflows below a logit of -88.7, and they get the weight 0."""
    logits = torch.tensor([[-80.0], [-100.0], [-10000.0]], requires_grad=True)
    value = FocalLoss(gamma=2, link="sigmoid", reduction="none")(logits, torch.ones(3, 1))
    value.sum().backward()
    torch.testing.assert_close(value.squeeze(1), torch.tensor([80.0, 100.0, 10000.0]))
    torch.testing.assert_close(logits.grad, -torch.ones(3, 1))


def test_negatives_are_focused_by_their_own_probability():
    """pytorch_optimizer: its factor of negatives, (1 - y)^gamma, is 1."""
    p = torch.tensor(2.0).sigmoid()
    found = FocalLoss(gamma=2, link="sigmoid")(torch.tensor([[2.0]]), torch.zeros(1, 1))
    torch.testing.assert_close(found, -(p**2) * (1 - p).log())


def test_nothing_that_counts_is_zero():
    """torch: the mean of a batch that is ignored as a whole is NaN, and so are its gradients."""
    logits = LOGITS.clone().requires_grad_()
    value = CrossEntropyLoss()(logits, torch.full((4,), -100))
    value.backward()
    assert value.item() == 0
    assert not logits.grad.any()


def test_two_boxes_without_area_in_one_place_are_equal():
    """torchvision: identical boxes of no size have a GIoU loss of 1."""
    point = torch.tensor([[3.0, 3.0, 3.0, 3.0]])
    assert GIoULoss()(point, point).item() == 0


def test_max_sup_is_reduced_as_a_whole():
    """torch-uncertainty: its cross-entropy part is a mean whatever the reduction is."""
    target = torch.tensor([0, 1, -100, 2])
    each = MaxSupLoss(reduction="none")(LOGITS, target)
    assert each.shape == (4,)
    assert each[2] == 0
    torch.testing.assert_close(MaxSupLoss()(LOGITS, target), each.sum() / 3)


def test_the_hardest_share_is_one_of_the_positions_that_count():
    """nnU-Net: ignored voxels are among those that the share is taken of, with a loss of 0."""
    target = torch.tensor([0, 1, -100, -100])
    each = CrossEntropyLoss(reduction="none")(LOGITS, target)
    found = HardestLoss(CrossEntropyLoss(), share=0.5)(LOGITS, target)
    torch.testing.assert_close(found, each.max())  # one of two, not two of four
