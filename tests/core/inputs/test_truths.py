"""Truths of the sigmoid link outside [0, 1]: refused on every path on the CPU, where they count."""

from __future__ import annotations

import pytest
import torch
from torch import Tensor

from kit.executors import PATHS, running
from taylored import catalog
from taylored.core.engine import elementwise, whole
from taylored.core.links import sigmoid_blocked

LOSSES = ("binary_cross_entropy()", 'focal(link="sigmoid", label_smoothing=0.1)', "asymmetric()",
          "quality_focal()")  # fmt: skip
SHAPES = ((2, 3), (40, 30, 5))
WRONG = (1.01, -0.01, 2.0, 100.0, float("nan"), float("inf"))

each_path = pytest.mark.parametrize("path", PATHS)


def spoiled(shape: tuple[int, ...], wrong: float) -> tuple[Tensor, Tensor]:
    logits, target = torch.randn(shape), torch.rand(shape).round()
    target[(0, 1, *[0] * (len(shape) - 2))] = wrong
    return logits, target


def check_refused(text: str, path: str, shape: tuple[int, ...], wrong: float) -> None:
    logits, target = spoiled(shape, wrong)
    for z in (logits, logits.clone().requires_grad_()):
        with running(path), pytest.raises(ValueError, match=r"`target` must be probabilities in"):
            catalog.get(text)(z, target)


@each_path
@pytest.mark.parametrize("text", LOSSES)
def test_refused(text: str, path: str) -> None:
    for shape in SHAPES:
        for wrong in WRONG:
            check_refused(text, path, shape, wrong)


@each_path
@pytest.mark.parametrize("text", LOSSES)
def test_the_last_digits_of_mixed_targets_are_no_mistake(text: str, path: str) -> None:
    for shape in SHAPES:
        logits, target = spoiled(shape, 1.0 + 1e-6)
        with running(path):
            assert catalog.get(text)(logits, target).isfinite()


@each_path
def test_whole_numbers_are_not_all_true(path: str) -> None:
    logits, target = spoiled((2, 3), 0.0)
    loss = catalog.get("binary_cross_entropy()")
    for dtype in (torch.long, torch.int32, torch.uint8):
        whole_numbers = target.to(dtype)
        whole_numbers[1, 2] = 2
        with running(path), pytest.raises(ValueError, match="got 2"):
            loss(logits, whole_numbers)


@each_path
@pytest.mark.parametrize("text", LOSSES)
def test_not_where_they_do_not_count(text: str, path: str) -> None:
    logits, target = spoiled((4, 3), -100.0)
    clean = target.clamp_min(0.0)
    weight = torch.ones(4, 3)
    weight[0, 1] = 0.0
    loss = catalog.get(f"{text[:-1]}, ignore_index=None)".replace("(, ", "("))
    with running(path):
        assert catalog.get(text)(logits, target).isfinite()
        expected = loss(logits, clean, sample_weight=weight)
        for wrong in (-100.0, 7.0):
            target[0, 1] = wrong
            torch.testing.assert_close(loss(logits, target, sample_weight=weight), expected)


def test_the_checks_are_what_finds_them(monkeypatch: pytest.MonkeyPatch) -> None:
    for module in (whole, sigmoid_blocked, elementwise):
        monkeypatch.setattr(module, "check_truths", lambda target, ignore, rows: None)
    for text, path in (("asymmetric()", "whole"), ("quality_focal()", "whole"),
                       ("binary_cross_entropy()", "blocked")):  # fmt: skip
        with pytest.raises(pytest.fail.Exception):
            check_refused(text, path, (2, 3), 2.0)
