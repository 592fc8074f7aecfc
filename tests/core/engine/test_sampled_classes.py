"""A loss of some of the classes, as an estimate of the loss of all."""

from __future__ import annotations

from typing import Any

import pytest
import torch
from torch import Tensor

from kit.cases import build, call_of
from kit.sharded import SHARDED
from kit.tolerances import close
from kit.traits import CLASSES
from taylored import (
    CrossEntropyLoss,
    FocalLoss,
    GradientRatio,
    LinearHead,
    LinearLogits,
    SoftmaxEQLLoss,
    catalog,
)
from taylored.core.engine.linear import linear_pass
from taylored.core.plan import some_classes
from taylored.core.plan.some_classes import Drawn

GENERATOR = torch.Generator().manual_seed(0)
FEATURES = torch.randn(6, 4, generator=GENERATOR, dtype=torch.float64)
WEIGHT = torch.randn(40, 4, generator=GENERATOR, dtype=torch.float64)
TARGET = torch.tensor([3, 3, 0, 39, -100, 7])
DRAWS = 300

PLAIN = [name for name in SHARDED if catalog.SPECS[name].call == "plain"]
# The cap bends what is added to a logit, and the factor of AdaCos is no option.
MOVED = [name for name in PLAIN if name not in ("softcap", "adacos")]


def given(**options: Any) -> LinearLogits:
    return LinearLogits(FEATURES, WEIGHT, **options)


def draws(loss: torch.nn.Module, share: float, count: int = DRAWS) -> Tensor:
    """The loss of each position, of many draws."""
    generator = torch.Generator().manual_seed(1)
    with torch.no_grad():
        return torch.stack(
            [loss(given(sample=share, generator=generator), TARGET) for _ in range(count)]
        )


def check_unbiased(share: float) -> None:
    """The sum of the softmax over the true class's part, e^loss, is right on average."""
    loss = CrossEntropyLoss(reduction="none")
    found, expected = draws(loss, share).exp(), loss(given(), TARGET).exp()
    error = found.std(dim=0) / DRAWS**0.5
    assert ((found.mean(dim=0) - expected).abs() <= 4 * error).all()


@pytest.mark.parametrize("share", [0.1, 0.5])
def test_the_sum_of_the_softmax_is_right_on_average(share: float) -> None:
    check_unbiased(share)


def test_without_the_correction_it_is_not(monkeypatch: pytest.MonkeyPatch) -> None:
    def uncorrected(*args: Any) -> Drawn:
        found = some_classes.drawn(*args)
        return found._replace(correction=torch.zeros_like(found.correction))

    monkeypatch.setattr(linear_pass, "drawn", uncorrected)
    with pytest.raises(AssertionError):
        check_unbiased(0.1)


def test_the_estimate_comes_nearer_with_the_share() -> None:
    loss = FocalLoss(gamma=2)
    expected = loss(given(), TARGET)
    errors = [(draws(loss, share, 150) - expected).square().mean() for share in (0.1, 0.4, 0.8)]
    assert errors[0] > 2 * errors[1] > 4 * errors[2] > 0


def test_its_mean_gradient_is_that_of_all_classes() -> None:
    features, weight = FEATURES.clone().requires_grad_(), WEIGHT.repeat(10, 1).requires_grad_()
    loss, generator = CrossEntropyLoss(), torch.Generator().manual_seed(2)
    loss(LinearLogits(features, weight), TARGET).backward()
    expected = weight.grad.clone(), features.grad.clone()
    weight.grad, features.grad = None, None
    for _ in range(100):
        input = LinearLogits(features, weight, sample=0.6, generator=generator)
        (loss(input, TARGET) / 100).backward()
    for got, wanted in zip((weight.grad, features.grad), expected, strict=True):
        assert (got - wanted).norm() < 0.03 * wanted.norm()


@pytest.mark.parametrize("name", MOVED)
def test_it_is_the_loss_of_the_classes_that_are_there(
    name: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Classes that were not drawn are masked, the others moved by their correction."""
    seen: list[Drawn] = []

    def watched(*args: Any) -> Drawn:
        seen.append(some_classes.drawn(*args))
        return seen[-1]

    monkeypatch.setattr(linear_pass, "drawn", watched)
    loss = build(call_of(SHARDED[name][0])).eval()
    features, weight = FEATURES.clone().requires_grad_(), WEIGHT[:CLASSES].clone().requires_grad_()
    target = torch.tensor([1, 1, 2, 2, -100, 1])
    value = loss(LinearLogits(features, weight, sample=0.5), target).sum()
    found = torch.autograd.grad(value, (features, weight))
    assert seen
    assert {1, 2} < set(seen[-1].classes.tolist()) < set(range(CLASSES))
    options = loss.options()
    steps = seen[-1].correction * options.temperature
    if options.logit_scale is not None:
        steps = steps / torch.as_tensor(options.logit_scale).double()[seen[-1].classes]
    mask = torch.full((CLASSES,), -torch.inf, dtype=torch.float64)
    mask[seen[-1].classes] = steps
    expected = loss(features @ weight.t() + mask, target).sum()
    close(value, expected)
    for got, wanted in zip(found, torch.autograd.grad(expected, (features, weight)), strict=True):
        close(got, wanted)


@pytest.mark.parametrize("name", PLAIN)
def test_all_classes_are_the_loss_itself(name: str) -> None:
    loss = build(call_of(SHARDED[name][-1])).eval()
    target = torch.tensor([1, 4, 2, 2, -100, 0])
    if loss.options().label_smoothing:
        pytest.skip("it has mass on every class")
    whole, every = (LinearLogits(FEATURES, WEIGHT[:CLASSES], sample=share) for share in (None, 1.0))
    close(loss(every, target), loss(whole, target))


def test_draws_follow_the_generator() -> None:
    def value(**options: Any) -> Tensor:
        return CrossEntropyLoss()(given(sample=0.2, **options), TARGET)

    seeded = [value(generator=torch.Generator().manual_seed(seed)) for seed in (5, 5, 6)]
    assert seeded[0] == seeded[1] != seeded[2]
    torch.manual_seed(3)
    first, second = value(), value()
    torch.manual_seed(3)
    assert first == value() != second


def test_a_state_counts_the_classes_that_are_there() -> None:
    loss, whole = (SoftmaxEQLLoss(num_classes=40) for _ in range(2))
    loss(LinearLogits(FEATURES, WEIGHT.clone().requires_grad_(), sample=0.3), TARGET).backward()
    whole(LinearLogits(FEATURES, WEIGHT.clone().requires_grad_()), TARGET).backward()
    counted = loss.indicator.negative != 0
    assert 4 < counted.sum() < 20
    assert (loss.indicator.positive != 0).sum() == 4
    assert 0.3 < loss.indicator.negative.sum() / whole.indicator.negative.sum() < 3


def test_a_head_samples_in_training_alone() -> None:
    head = LinearHead(4, 40, CrossEntropyLoss(), sample=0.1, dtype=torch.float64)
    values = {head(FEATURES, TARGET).item() for _ in range(4)}
    assert len(values) > 1
    head.eval()
    close(head(FEATURES, TARGET), head.loss(head(FEATURES), TARGET))


@pytest.mark.parametrize(
    ("call", "said"),
    [
        (lambda: given(sample=0.0), "`sample` must be in"),
        (lambda: FocalLoss(link="sigmoid")(given(sample=0.5), TARGET), "share no sum"),
        (lambda: FocalLoss(label_smoothing=0.1)(given(sample=0.5), TARGET), "has target mass"),
        (lambda: FocalLoss()(given(sample=0.5), torch.rand(6, 40)), "has target mass"),
        (lambda: GradientRatio(FocalLoss(), num_classes=40)(given(sample=0.5), TARGET), "watches"),
    ],
)
def test_what_cannot_be_sampled_is_refused(call: Any, said: str) -> None:
    with pytest.raises(ValueError, match=said):
        call()
