"""Parameters after construction: assigned, moved, shared with the caller; losses inside losses."""

from __future__ import annotations

import pydoc
import warnings

import pytest
import torch
from torch import nn

import taylored
from kit.catalogued import CLASSIFICATION
from kit.traits import loss_of
from taylored import (
    BalancedSoftmaxLoss,
    ClassBalancedLoss,
    CrossEntropyLoss,
    EqualizedFocalLoss,
    FocalLoss,
    InfluenceBalancedLoss,
    LDAMLoss,
    Loss,
    SoftmaxEQLLoss,
    focal_loss,
)
from taylored.losses.as_loss import as_loss

LOGITS = torch.linspace(-2, 2, 12).reshape(4, 3)
TARGET = torch.tensor([0, 1, 2, 1])


@pytest.mark.parametrize("name", dir(taylored))
def test_help_works(name: str) -> None:
    assert pydoc.render_doc(getattr(taylored, name))


@pytest.mark.parametrize("name", CLASSIFICATION)
def test_a_loss_has_a_term_or_says_that_it_has_none(name: str) -> None:
    loss = loss_of(name)
    assert hasattr(loss, "term") == loss.has_term
    if not loss.has_term:
        with pytest.raises(ValueError, match="must be a function of p_t alone"):
            _ = loss.term


def test_a_failed_assignment_changes_nothing() -> None:
    loss = BalancedSoftmaxLoss(counts=[1, 2, 3])
    before = loss.logit_bias.clone()
    with warnings.catch_warnings():
        warnings.simplefilter("error")  # a class without samples warns
        with pytest.raises(UserWarning, match="no samples"):
            loss.counts = [0, 5, 5]
    assert repr(loss) == "BalancedSoftmaxLoss(counts=[1, 2, 3])"
    assert torch.equal(loss.logit_bias, before)


@pytest.mark.parametrize("name", ["link", "spec", "margins"])
def test_what_the_class_says_or_works_out_is_not_assigned(name: str) -> None:
    with pytest.raises(ValueError, match="assign one of max_m, scale"):
        setattr(LDAMLoss(counts=[1, 2, 3]), name, torch.zeros(3))


def test_parameters_are_copies() -> None:
    weight, gamma = torch.ones(3), torch.ones(3)
    losses = [CrossEntropyLoss(weight=weight), as_loss(nn.CrossEntropyLoss(weight=weight))]
    focal = FocalLoss(gamma=gamma)
    weight[0], gamma[0] = 100.0, -5.0
    assert all(loss.weight.tolist() == [1, 1, 1] for loss in losses)
    assert focal.gamma.tolist() == [1, 1, 1]


def test_a_parameter_of_torch_is_trained() -> None:
    loss = FocalLoss(gamma=nn.Parameter(torch.ones(3)))
    loss(LOGITS, TARGET).backward()
    assert [name for name, _ in loss.named_parameters()] == ["gamma"]
    assert loss.gamma.grad.abs().min() > 0


def test_an_assigned_tensor_goes_where_the_module_is() -> None:
    loss = EqualizedFocalLoss(num_classes=3).to("meta")
    loss.weight = [1, 2, 3]
    assert loss.weight.device.type == "meta"
    wide = FocalLoss(gamma=[1, 2, 3]).double()
    wide.gamma = [3, 2, 1]
    assert wide.gamma.dtype == torch.float64


def test_counts_survive_half_precision() -> None:
    loss = ClassBalancedLoss(FocalLoss(), counts=[100_000, 2, 3]).half()
    assert loss.counts.tolist() == [100_000, 2, 3]


def test_a_wrapper_follows_the_loss_inside() -> None:
    loss = ClassBalancedLoss(FocalLoss(), counts=[1, 2, 3])
    loss.loss.link = "sigmoid"
    again = taylored.get(repr(loss))
    assert loss.link == again.link == "sigmoid"
    assert torch.equal(loss(LOGITS, TARGET), again(LOGITS, TARGET))


@pytest.mark.parametrize(
    ("loss", "name", "value", "message"),
    [
        (
            ClassBalancedLoss(FocalLoss(), counts=[1, 2, 3]),
            "weight",
            [1, 2, 3],
            "leave `weight` out",
        ),
        (ClassBalancedLoss(FocalLoss(), counts=[1, 2, 3]), "gamma", [1, 2], "`loss.gamma` must be"),
        (SoftmaxEQLLoss(FocalLoss(), num_classes=3), "link", "sigmoid", "a softmax loss"),
    ],
)
def test_a_loss_inside_that_does_not_fit_any_more(
    loss: Loss, name: str, value: object, message: str
) -> None:
    setattr(loss.loss, name, value)
    for _ in range(2):  # the second call is no better than the first
        with pytest.raises(ValueError, match=message):
            loss(LOGITS, TARGET)


def test_wrappers_and_other_calls() -> None:
    """Stacked predictions have their classes on another axis; features cannot be handed on."""
    stacked = ClassBalancedLoss(taylored.get("generalized_jensen_shannon"), counts=[1, 2, 3])
    assert stacked(torch.stack([LOGITS, -LOGITS]), TARGET).isfinite()
    with pytest.raises(ValueError, match="only logits and targets"):
        ClassBalancedLoss(InfluenceBalancedLoss(), counts=[1, 2, 3])


def test_names_of_lengths_say_which_loss_they_belong_to() -> None:
    with pytest.raises(ValueError, match=r"`loss.counts` must be given for 2 classes, as `counts`"):
        ClassBalancedLoss(LDAMLoss(counts=[1, 2, 3]), counts=[1, 2])
    with pytest.raises(ValueError, match=r"write loss.loss.gamma = "):
        ClassBalancedLoss(FocalLoss(), counts=[1, 2]).gamma = 3.0


def test_a_call_without_input_is_pythons_error() -> None:
    with pytest.raises(TypeError, match="missing 1 required positional argument: 'input'"):
        focal_loss(target=TARGET, weight=torch.ones(3))


@pytest.mark.parametrize(
    ("make", "meant"),
    [
        (lambda: ClassBalancedLoss(FocalLoss(), [9, 1]), "(FocalLoss(gamma=2), counts=[9, 1])"),
        (lambda: LDAMLoss([9, 1]), "LDAMLoss(counts=[9, 1])"),
        (lambda: SoftmaxEQLLoss(FocalLoss(), 3), "(FocalLoss(gamma=2), num_classes=3)"),
        (lambda: CrossEntropyLoss(torch.ones(2)), "weight=tensor([1., 1.])"),
    ],
)
def test_parameters_by_position_suggest_what_takes_them(make: object, meant: str) -> None:
    with pytest.raises(TypeError) as caught:
        make()
    assert meant in str(caught.value)


def test_a_subclass_may_change_a_default() -> None:
    class HarderFocalLoss(FocalLoss):
        gamma = 3.0

    assert repr(HarderFocalLoss()) == "HarderFocalLoss(gamma=3)"


def test_what_is_no_parameter_is_no_annotation() -> None:
    with pytest.raises(TypeError, match="assigned in `setup`"):

        class FlagLoss(FocalLoss):
            flag: bool = False
