"""Softcap on logits, and on those of a head that are formed a few rows at a time."""

from __future__ import annotations

import math

import pytest
import torch

from kit.elements import CLASSES, LOGITS
from taylored import CrossEntropyLoss, LinearLogits, SoftcapLoss, cross_entropy_loss
from taylored.core.engine.linear import sizes
from taylored.core.numerics import softcapped


def test_linear_logits_know_a_cap(monkeypatch: pytest.MonkeyPatch) -> None:
    """Of the head, without the wrapper: values, gradients and the logits themselves."""
    monkeypatch.setattr(sizes, "CHUNK_ROWS", 2)
    monkeypatch.setattr(sizes, "SMALL_CHUNK", 0)
    features = LOGITS[:, :3].clone().requires_grad_()
    weight = torch.linspace(-4, 4, 15, dtype=torch.float64).reshape(5, 3).requires_grad_()
    given = LinearLogits(features, weight, softcap=2.0)
    by_hand = 2 * torch.tanh(features @ weight.T / 2)
    torch.testing.assert_close(given.logits(), by_hand)
    pairs = [
        (cross_entropy_loss(given, CLASSES), cross_entropy_loss(by_hand, CLASSES)),
        (
            SoftcapLoss(CrossEntropyLoss(), cap=2.0)(LinearLogits(features, weight), CLASSES),
            cross_entropy_loss(by_hand, CLASSES),
        ),
    ]
    for found, expected in pairs:
        torch.testing.assert_close(found, expected)
        for left, right in zip(
            torch.autograd.grad(found, (features, weight)),
            torch.autograd.grad(expected, (features, weight), retain_graph=True),
            strict=True,
        ):
            torch.testing.assert_close(left, right, rtol=1e-12, atol=1e-14)


def test_one_cap_is_enough() -> None:
    given = LinearLogits(LOGITS, torch.eye(5, dtype=torch.float64), softcap=2.0)
    with pytest.raises(ValueError, match=r"`input` must be without a softcap.*leave one out"):
        SoftcapLoss(CrossEntropyLoss())(given, CLASSES)
    with pytest.raises(ValueError, match=r"`softcap`.*30 is usual"):
        LinearLogits(LOGITS, LOGITS, softcap=0.0)


def test_ends_of_the_cap() -> None:
    z = torch.tensor([math.inf, -math.inf, math.nan, 0.0], requires_grad=True)
    capped = softcapped(z, 3.0)
    assert capped[:2].tolist() == [3.0, -3.0]
    assert capped[2].isnan()
    (slope,) = torch.autograd.grad(capped, z, torch.ones(4))
    assert slope.tolist() == [0.0, 0.0, 1.0, 1.0]
