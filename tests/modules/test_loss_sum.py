"""Sums of losses: values, gradients, names, text, states, and what is refused."""

from __future__ import annotations

import copy
import pickle

import pytest
import torch
from torch import nn

import taylored
from taylored import (
    CrossEntropyLoss,
    DeferredReweightingLoss,
    FocalLoss,
    GIoULoss,
    InfluenceBalancedLoss,
    LossSum,
    PolyLoss,
    SigmoidEQLLoss,
    SmoothL1Loss,
    catalog,
)
from taylored.catalog import LossNameError

LOGITS = torch.linspace(-2, 2, 12, dtype=torch.float64).reshape(4, 3)
TARGET = torch.tensor([0, 1, 2, 1])


def test_value_and_gradient_are_the_weighted_sums() -> None:
    loss = CrossEntropyLoss() + 0.5 * FocalLoss(gamma=2) + PolyLoss(epsilon=1) * 2
    z = LOGITS.clone().requires_grad_()
    value = loss(z, TARGET)
    expected = CrossEntropyLoss()(z, TARGET)
    expected = expected + 0.5 * FocalLoss(gamma=2)(z, TARGET) + 2 * PolyLoss(epsilon=1)(z, TARGET)
    torch.testing.assert_close(value, expected)
    for one, other in zip(
        torch.autograd.grad(value, z), torch.autograd.grad(expected, z), strict=True
    ):
        torch.testing.assert_close(one, other)


def test_weights_multiply_through_a_sum() -> None:
    loss = 2 * (CrossEntropyLoss() + 0.5 * FocalLoss(gamma=2))
    assert repr(loss) == "2 * CrossEntropyLoss() + FocalLoss(gamma=2)"
    assert loss.weights == {"cross_entropy": 2.0, "focal": 1.0}


def test_the_call_goes_to_every_part() -> None:
    loss = CrossEntropyLoss() + FocalLoss(gamma=2)
    weight = torch.tensor([1.0, 0.0, 2.0, 1.0])
    found = loss(LOGITS, TARGET, sample_weight=weight, normalizer=3.0)
    both = [
        part(LOGITS, TARGET, sample_weight=weight, normalizer=3.0)
        for part in (CrossEntropyLoss(), FocalLoss(gamma=2))
    ]
    torch.testing.assert_close(found, both[0] + both[1])


def test_parts_have_names() -> None:
    loss = FocalLoss(gamma=1) + FocalLoss(gamma=2) + FocalLoss(gamma=3)
    assert list(loss.parts) == ["focal", "focal_2", "focal_3"]
    values = loss.each(LOGITS, TARGET)
    assert list(values) == list(loss.parts)
    torch.testing.assert_close(loss.total(values), loss(LOGITS, TARGET))
    loss.parts["focal_2"].gamma = 0.0
    assert repr(loss) == "FocalLoss(gamma=1) + FocalLoss(gamma=0) + FocalLoss(gamma=3)"


@pytest.mark.parametrize(
    "text",
    [
        "focal(gamma=2) + cross_entropy",
        "cross_entropy + 0.5 * focal(gamma=2)",
        "focal(gamma=2) * 0.25 + poly",
        "0.5 * focal",
        "giou + 2 * giou(format='xywh')",
        "class_balanced(focal, counts=[1, 2, 3]) + 0.1 * poly(epsilon=2)",
    ],
)
def test_text_and_repr_build_the_same(text: str) -> None:
    loss = catalog.get(text)
    assert isinstance(loss, LossSum)
    again = eval(repr(loss), dict(vars(taylored)))  # noqa: S307 - our own repr
    assert repr(again) == repr(loss) == repr(catalog.get(repr(loss)))
    for copied in (copy.deepcopy(loss), pickle.loads(pickle.dumps(loss))):  # noqa: S301
        assert repr(copied) == repr(loss)


def test_counts_go_to_the_parts_that_ask() -> None:
    text = "class_balanced(focal) + balanced_softmax + focal"
    assert catalog.needs(text) == {"counts"}
    with pytest.raises(LossNameError, match="`class_balanced` needs the number of training"):
        catalog.get(text)
    loss = catalog.get(text, counts=[5, 3, 1])
    assert isinstance(loss, LossSum)
    assert list(loss.parts) == ["class_balanced", "balanced_softmax", "focal"]
    assert catalog.links("focal + binary_cross_entropy") == ("sigmoid",)
    assert catalog.links("focal + poly") == ("softmax", "sigmoid")
    with pytest.raises(LossNameError, match="is a sum"):
        catalog.spec("focal + poly")
    assert catalog.formula("0.5 * focal + poly").startswith(r"0.5\,(-\alpha_t")


def test_states_are_those_of_the_parts() -> None:
    z, y = LOGITS.float().requires_grad_(), torch.eye(3)[TARGET]
    loss = SigmoidEQLLoss(num_classes=3) + 0.5 * FocalLoss(link="sigmoid")
    alone = SigmoidEQLLoss(num_classes=3)
    loss.accumulate(2)
    alone.accumulate(2)
    for _ in range(4):
        loss(z, y)
        alone(z, y)
    part = loss.parts["sigmoid_eql"]
    assert isinstance(part, SigmoidEQLLoss)
    assert torch.equal(part.indicator.ratio(), alone.indicator.ratio())
    again = SigmoidEQLLoss(num_classes=3) + 0.5 * FocalLoss(link="sigmoid")
    again.load_state_dict(loss.state_dict())
    found = again.parts["sigmoid_eql"]
    assert isinstance(found, SigmoidEQLLoss)
    assert torch.equal(found.indicator.ratio(), alone.indicator.ratio())


def test_progress_reaches_the_parts_once() -> None:
    deferred = DeferredReweightingLoss(CrossEntropyLoss(), counts=[5, 3, 1], start=0.5)
    loss = deferred + FocalLoss()
    before = loss(LOGITS, TARGET)
    loss.set_progress(0.9)
    assert loss(LOGITS, TARGET) != before


def test_compiled_sums_are_one_graph() -> None:
    loss = CrossEntropyLoss() + 0.5 * FocalLoss(gamma=2)
    compiled = torch.compile(loss, fullgraph=True, backend="aot_eager")
    torch.testing.assert_close(compiled(LOGITS, TARGET), loss(LOGITS, TARGET))


@pytest.mark.parametrize(
    "text", ['giou(format="cxcywh") + 5 * l1', '5 * l1 + giou(format="cxcywh")']
)
def test_detectors_add_an_overlap_and_a_distance_of_the_same_boxes(text: str) -> None:
    """DETR: both are summed over the matched boxes, and divided by their number."""
    generator = torch.Generator().manual_seed(0)
    boxes, truth = torch.rand(2, 6, 4, generator=generator)
    matched = torch.tensor([1.0, 1.0, 0.0, 1.0, 0.0, 1.0])
    loss = taylored.get(text)
    assert loss.takes == "boxes"
    found = loss(boxes, truth, sample_weight=matched, normalizer=4.0)
    boxes, truth = boxes[matched == 1], truth[matched == 1]
    overlap = GIoULoss(format="cxcywh", reduction="sum")(boxes, truth)
    torch.testing.assert_close(found, (overlap + 5 * (boxes - truth).abs().sum()) / 4)


def test_what_cannot_be_added_is_refused() -> None:
    with pytest.raises(ValueError, match=r"`parts` must be called on boxes, .*on logits"):
        FocalLoss() + GIoULoss()
    with pytest.raises(ValueError, match=r"`parts` must be called on values, .*on logits"):
        SmoothL1Loss() + FocalLoss()
    with pytest.raises(ValueError, match=r"`weight` must be a number >= 0, got -1"):
        -1.0 * FocalLoss()
    with pytest.raises(ValueError, match=r"`weight` must be"):
        float("nan") * FocalLoss()
    with pytest.raises(ValueError, match=r"`weight` must be"):
        float("inf") * FocalLoss()
    with pytest.raises(TypeError):
        True * FocalLoss()
    with pytest.raises(ValueError, match=r"`parts` must be losses of an input and a target"):
        FocalLoss() + InfluenceBalancedLoss()
    with pytest.raises(TypeError):
        FocalLoss() + nn.CrossEntropyLoss()  # type: ignore[operator]
    with pytest.raises(TypeError):
        FocalLoss() + 1  # type: ignore[operator]
    loss = FocalLoss(reduction="none") + FocalLoss(link="sigmoid", reduction="none")
    with pytest.raises(ValueError, match=r"`reduction` must be one that gives focal_2 the shape"):
        loss(LOGITS, TARGET)


def test_a_link_is_known_where_the_parts_share_it() -> None:
    assert (FocalLoss() + PolyLoss()).link == "softmax"
    assert not hasattr(FocalLoss() + FocalLoss(link="sigmoid"), "link")
    assert not hasattr(GIoULoss() + GIoULoss(), "link")
