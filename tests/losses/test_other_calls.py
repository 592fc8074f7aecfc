"""Losses with calls of their own: several predictions, features, real numbers for targets."""

from __future__ import annotations

import copy

import pytest
import torch
from torch import Tensor

from kit.cases import GENERATED, OF_A_BATCH
from kit.catalogued import CLASSIFICATION
from kit.checks import other_calls as checks
from kit.other_calls import DRAW, SHAPES, SUBJECTS, Subject
from kit.turns import FAST
from taylored import (
    catalog,
)

each = pytest.mark.parametrize("subject", SUBJECTS, ids=lambda s: s.text)
each_shape = pytest.mark.parametrize("shape", SHAPES, ids=str)
DTYPES = (torch.float64, torch.float32, torch.bfloat16, torch.float16)


def test_every_loss_is_called_by_some_suite() -> None:
    assert {spec.call for spec in CLASSIFICATION.values()} <= {"plain", "batch", *DRAW}
    assert {catalog.spec(subject.text).name for subject in SUBJECTS} == (
        CLASSIFICATION.keys() - GENERATED.keys() - OF_A_BATCH.keys()
    )


@each
@each_shape
@pytest.mark.parametrize("dtype", DTYPES, ids=lambda d: str(d)[6:])
def test_values(subject: Subject, shape: tuple[int, ...], dtype: torch.dtype) -> None:
    checks.check_values(subject, shape, dtype)


@each
@each_shape
def test_reductions(subject: Subject, shape: tuple[int, ...]) -> None:
    checks.check_reductions(subject, shape)


@each
@each_shape
def test_ignored(subject: Subject, shape: tuple[int, ...]) -> None:
    checks.check_ignored(subject, shape)


@each
def test_extremes(subject: Subject) -> None:
    checks.check_extremes(subject)


@each
def test_empty(subject: Subject) -> None:
    checks.check_empty(subject)


@each
def test_transforms(subject: Subject) -> None:
    checks.check_transforms(subject)


@pytest.mark.parametrize(
    "subject", [s for s in SUBJECTS if s.differentiated()], ids=lambda s: s.text
)
def test_derivatives(subject: Subject) -> None:
    """Not of losses with a factor that is constant by definition."""
    logits, target, further = subject.arguments((3,))

    def function(z: Tensor) -> Tensor:
        return subject.build()(z, target, *further)

    z = logits.requires_grad_()
    assert torch.autograd.gradcheck(function, (z,), check_forward_ad=True, check_batched_grad=True)
    assert torch.autograd.gradgradcheck(function, (z,), fast_mode=FAST)


@each
def test_written_form(subject: Subject) -> None:
    logits, target, further = subject.arguments((7,))
    loss = catalog.get(subject.text)
    again = catalog.get(repr(loss))
    assert repr(again) == repr(loss)
    assert torch.equal(again(logits, target, *further), loss(logits, target, *further))
    copied = copy.deepcopy(loss)
    assert torch.equal(copied(logits, target, *further), loss(logits, target, *further))
