"""Losses with state: the official updates, and everything that could disturb them."""

from __future__ import annotations

import pytest
import torch

from kit.checks import stateful as checks
from kit.stateful import PLAIN, SUBJECTS, Subject, identified
from kit.turns import by_family

each_subject = pytest.mark.parametrize(**identified(SUBJECTS))
each_loss = pytest.mark.parametrize(**identified(PLAIN))
each_dtype = pytest.mark.parametrize(
    "dtype", [torch.float64, torch.float32], ids=lambda dtype: str(dtype)[6:]
)


@each_subject
def test_two_hundred_steps(subject: Subject) -> None:
    checks.check_steps(subject)


@pytest.mark.parametrize("path", ["blocked", "composed"])
@each_subject
def test_steps_along_other_paths(subject: Subject, path: str) -> None:
    checks.check_steps(subject, 25, path)


@pytest.mark.parametrize(**identified(tuple(s for s in SUBJECTS if s.background is None)))
def test_target_forms(subject: Subject) -> None:
    checks.check_target_forms(subject)


@each_subject
def test_weights_are_from_before(subject: Subject) -> None:
    checks.check_weights_are_from_before(subject)


@each_subject
def test_untouched(subject: Subject) -> None:
    checks.check_untouched(subject)


@each_subject
def test_reset(subject: Subject) -> None:
    checks.check_reset(subject)


@each_dtype
@each_subject
def test_round_trip(subject: Subject, dtype: torch.dtype) -> None:
    checks.check_round_trip(subject, dtype)


@each_dtype
@each_loss
def test_copies(subject: Subject, dtype: torch.dtype) -> None:
    checks.check_copies(subject, dtype)


@each_subject
def test_wide_buffers(subject: Subject) -> None:
    checks.check_wide_buffers(subject)


@each_subject
def test_loss_scale(subject: Subject) -> None:
    checks.check_loss_scale(subject)


@each_subject
def test_logits_untouched(subject: Subject) -> None:
    checks.check_logits_untouched(subject)


@each_subject
def test_double_forward(subject: Subject) -> None:
    checks.check_double_forward(subject)


@each_subject
def test_accumulation(subject: Subject) -> None:
    checks.check_accumulation(subject)


@by_family
@each_subject
def test_compile(subject: Subject) -> None:
    checks.check_compile(subject, "aot_eager")


# Generating C++ takes seconds a case.
@by_family
@each_loss
def test_generated_code(subject: Subject) -> None:
    checks.check_compile(subject, "inductor")


@by_family
@each_loss
def test_batch_sizes(subject: Subject) -> None:
    checks.check_batch_sizes(subject)


@each_subject
def test_functorch(subject: Subject) -> None:
    checks.check_functorch(subject)
