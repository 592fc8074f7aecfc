"""Probabilities where logits belong: noticed, named, and nothing else taken for them."""

import warnings

import pytest
import torch

import taylored
from taylored import (
    BinaryCrossEntropyLoss,
    CrossEntropyLoss,
    DiceLoss,
    FocalLoss,
    SoftmaxEQLLoss,
    cross_entropy_loss,
    focal_loss,
)

LOGITS = torch.randn(8, 5, generator=torch.Generator().manual_seed(0))
CLASSES = torch.arange(8) % 5
MULTI = (LOGITS > 0).float()
IMAGE = LOGITS.reshape(2, 5, 4, 1)


@pytest.mark.parametrize(
    "call",
    [
        lambda p: CrossEntropyLoss()(p, CLASSES),
        lambda p: CrossEntropyLoss()(p.double(), CLASSES),
        lambda p: CrossEntropyLoss()(p.bfloat16(), CLASSES),
        lambda p: CrossEntropyLoss(class_dim=-1)(p.reshape(2, 4, 5), CLASSES.reshape(2, 4)),
        lambda p: FocalLoss(gamma=1)(p, p),
        lambda p: CrossEntropyLoss()(p.repeat(9000, 1), CLASSES.repeat(9000)),
        lambda p: CrossEntropyLoss()(p.repeat(20, 400).div(400), CLASSES.repeat(20)),
        lambda p: SoftmaxEQLLoss(num_classes=5)(p, CLASSES),
        lambda p: DiceLoss()(IMAGE.softmax(1), torch.zeros(2, 4, 1).long()),
        lambda p: DiceLoss(class_dim=-1)(p.reshape(2, 4, 5), CLASSES.reshape(2, 4)),
        lambda p: taylored.get("dice + cross_entropy")(IMAGE.softmax(1), IMAGE.argmax(1)),
    ],
)
def test_a_softmax_before_the_loss_is_refused(call):
    with pytest.raises(ValueError, match="`input` must be logits: .* add"):
        call(LOGITS.softmax(1))


def test_it_is_refused_as_often_as_it_is_passed():
    loss = CrossEntropyLoss()
    for _ in range(2):
        with pytest.raises(ValueError, match="leave out the softmax"):
            loss(LOGITS.softmax(1), CLASSES)
    loss(LOGITS, CLASSES)


def test_functions_look_where_values_are_checked():
    p = LOGITS.softmax(1)
    cross_entropy_loss(p, CLASSES)
    with taylored.debug():
        with pytest.raises(ValueError, match="leave out the softmax"):
            cross_entropy_loss(p, CLASSES)
        with pytest.warns(UserWarning, match="leave out the sigmoid|Leave out the sigmoid"):
            focal_loss(LOGITS.sigmoid(), MULTI, gamma=2.0, link="sigmoid")


def test_modules_look_at_later_batches_where_values_are_checked():
    loss = CrossEntropyLoss()
    loss(LOGITS, CLASSES)
    with taylored.debug(), pytest.raises(ValueError, match="leave out the softmax"):
        loss(LOGITS.softmax(1), CLASSES)


@pytest.mark.parametrize(
    "loss", [BinaryCrossEntropyLoss(), FocalLoss(link="sigmoid"), DiceLoss(link="sigmoid")]
)
def test_a_sigmoid_before_the_loss_is_warned_of(loss):
    with pytest.warns(UserWarning, match="all 40 numbers of `input` that were looked at are in"):
        loss(LOGITS.sigmoid(), MULTI)


@pytest.mark.parametrize(
    ("loss", "logits", "target"),
    [
        (CrossEntropyLoss(), LOGITS, CLASSES),
        (CrossEntropyLoss(), LOGITS.log_softmax(1), CLASSES),  # costs nothing: they stay
        (CrossEntropyLoss(), torch.tensor([[0.0, 1.0], [0.7, 0.3]]), torch.tensor([1, 0])),
        (CrossEntropyLoss(), torch.zeros(8, 5), CLASSES),
        (CrossEntropyLoss(), LOGITS.sigmoid(), CLASSES),
        (CrossEntropyLoss(), torch.full((8, 5), torch.nan), CLASSES),
        (CrossEntropyLoss(), torch.zeros(0, 5), CLASSES[:0]),
        (BinaryCrossEntropyLoss(), torch.zeros(8, 5), MULTI),
        (BinaryCrossEntropyLoss(), torch.tensor([0.2, 0.4]), torch.ones(2)),
        (BinaryCrossEntropyLoss(), LOGITS.softmax(1) - 0.2, MULTI),
    ],
)
def test_logits_are_not_taken_for_probabilities(loss, logits, target):
    with warnings.catch_warnings():
        warnings.simplefilter("error")
        loss(logits, target)


def test_compilers_see_nothing_of_it():
    loss = CrossEntropyLoss()
    torch._dynamo.reset()
    compiled = torch.compile(loss, fullgraph=True, backend="eager")
    compiled(LOGITS.softmax(1), CLASSES)
    torch.export.export(CrossEntropyLoss(), (LOGITS.softmax(1), CLASSES))
