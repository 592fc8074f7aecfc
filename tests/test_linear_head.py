"""A linear head whose forward is the loss."""

from __future__ import annotations

import copy

import pytest
import torch
from torch import nn

from kit.tolerances import close
from taylored import CrossEntropyLoss, FocalLoss, LinearHead, LinearLogits, SoftmaxEQLLoss

FEATURES = torch.randn(3, 4, 6, generator=torch.Generator().manual_seed(0), dtype=torch.float64)
TARGET = torch.arange(12).reshape(3, 4) % 9
WEIGHTS = torch.tensor([0.5, 1.0, 2.0], dtype=torch.float64)


@pytest.mark.parametrize("softcap", [None, 1.5])
@pytest.mark.parametrize("bias", [True, False])
def test_its_loss_is_that_of_its_logits(softcap: float | None, bias: bool) -> None:
    loss = FocalLoss(gamma=2, class_dim=-1)
    head = LinearHead(6, 9, loss, bias=bias, softcap=softcap, dtype=torch.float64)
    value = head(FEATURES, TARGET, sample_weight=WEIGHTS)
    value.backward()
    found = [each.grad.clone() for each in head.parameters()]
    head.zero_grad()
    expected = loss(head(FEATURES), TARGET, sample_weight=WEIGHTS)
    expected.backward()
    close(value, expected)
    for got, each in zip(found, head.parameters(), strict=True):
        close(got, each.grad)


def test_it_takes_the_place_of_a_head() -> None:
    plain = nn.Linear(6, 9, dtype=torch.float64)
    head = LinearHead.of(plain, CrossEntropyLoss(class_dim=-1))
    assert head.weight is plain.weight
    assert list(head.state_dict()) == list(plain.state_dict())
    close(head(FEATURES), plain(FEATURES))
    assert LinearHead.of(nn.Linear(6, 9, bias=False), FocalLoss()).bias is None


def test_its_loss_is_a_part_of_it() -> None:
    head = LinearHead(6, 9, SoftmaxEQLLoss(num_classes=9), dtype=torch.float64)
    head(FEATURES, TARGET)
    assert head.loss.indicator.steps == 1
    assert copy.deepcopy(head).eval().loss.training is False
    assert "loss.indicator.positive" in head.state_dict()


def test_losses_of_torch_are_refused() -> None:
    with pytest.raises(ValueError, match=r"taylored.CrossEntropyLoss\(\)"):
        LinearHead(6, 9, nn.CrossEntropyLoss())
    with pytest.raises(ValueError, match="`head` must be a torch.nn.Linear"):
        LinearHead.of(nn.Identity(), FocalLoss())


def test_a_weight_that_is_gathered_elsewhere_is_refused() -> None:
    with pytest.raises(ValueError, match="ZeRO-3 leaves of it.*taylored.LinearHead"):
        LinearLogits(FEATURES, torch.empty(0))
