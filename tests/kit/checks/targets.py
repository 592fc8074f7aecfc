"""Targets and weights as people have them: read where there is one reading, refused elsewhere."""

from __future__ import annotations

import math

import pytest
import torch
from torch import Tensor

from kit.cases import IGNORED, Case, build, resized
from kit.checks.class_dim import function_of, loss_of
from kit.checks.every_loss import value_and_gradient
from kit.tolerances import close

WHOLE = (
    torch.int8,
    torch.int16,
    torch.int32,
    torch.int64,
    torch.uint8,
    torch.uint16,
    torch.uint32,
    torch.uint64,
)


def check_forms(case: Case, form: str) -> None:
    """Index targets of every dtype, and as masks; one-hot targets of every dtype."""
    logits, target = case.logits(), case.targets(ignored=False)
    loss = loss_of(case, form, ignore_index=100)
    target[0] = 100
    expected = loss(logits, target)
    for dtype in WHOLE:
        close(loss(logits, target.to(dtype)), expected)
        close(loss(logits, target.unsqueeze(1).to(dtype)), expected)


def check_one_hot_forms(case: Case, form: str) -> None:
    logits, target = case.logits(), case.targets(ignored=False)
    hot = torch.nn.functional.one_hot(target, case.shape[1]).movedim(-1, 1)
    loss = loss_of(case, form)
    expected = loss(logits, hot.double())
    for dtype in (*WHOLE, torch.bool):
        close(loss(logits, hot.to(dtype)), expected)


def check_weights(case: Case, form: str) -> None:
    """Sample weights as lists, arrays, and with an axis in the place of the classes."""
    logits, target = case.logits(), case.targets()
    loss = loss_of(case, form)
    weight = torch.linspace(0.25, 2, case.shape[0], dtype=torch.float64)
    expected = loss(logits, target, sample_weight=weight)
    forms = [weight.tolist(), weight.numpy(), weight.unsqueeze(1), weight.unsqueeze(1).tolist()]
    for given in forms:
        close(loss(logits, target, sample_weight=given), expected)
    positions = case.shape[:1] + case.shape[2:]
    each = torch.linspace(0.25, 2, math.prod(positions), dtype=torch.float64).reshape(positions)
    expected = loss(logits, target, sample_weight=each)
    close(loss(logits, target, sample_weight=each.unsqueeze(1)), expected)
    close(loss(logits, target, sample_weight=each.numpy()), expected)


def check_soft_positions_ignored(case: Case, path: str, marker: int, dtype: torch.dtype) -> None:
    """Where every class holds the ignored value, the position counts for nothing."""
    logits, target = case.logits(), case.targets(ignored=False).to(dtype)
    gone = torch.zeros(case.shape[:1] + case.shape[2:], dtype=torch.bool)
    gone[1], gone.view(-1)[-1] = True, True
    marked = target.masked_fill(gone.unsqueeze(1), marker)
    kept = ~gone
    rows, truths = (each.movedim(1, -1)[kept] for each in (logits, target))
    for reduction in ("mean", "batch_mean", "sum", "none"):
        loss = build(case.call.having(reduction=reduction, ignore_index=marker))
        value, gradient = value_and_gradient(loss, logits, marked, path)
        expected, expected_gradient = value_and_gradient(loss, rows, truths, path)
        close(value[kept] if reduction == "none" else value, expected)
        close(gradient.movedim(1, -1)[kept], expected_gradient)
        assert (gradient.movedim(1, -1)[gone] == 0).all()
        if reduction == "none":
            assert (value[gone] == 0).all()


def check_partly_ignored(case: Case) -> None:
    """Where only some classes hold it: an error."""
    logits, target = case.logits(), case.targets(ignored=False)
    target[0, 0] = 255.0
    loss = build(case.call.having(ignore_index=255))
    with pytest.raises(ValueError, match="`target` must be ignore_index=255 in every class"):
        loss(logits, target)


def check_partly_ignored_compiled(case: Case) -> None:
    """The same under a compiler."""
    logits, target = case.logits(), case.targets(ignored=False)
    target[0, 0] = 255.0
    loss = build(case.call.having(ignore_index=255))
    torch._dynamo.reset()
    assert torch.compile(loss, backend="eager")(logits, target).isnan()


def check_out_of_range(case: Case) -> None:
    """A class without a column is a clear error."""
    logits, loss = case.logits(), build(case.call)
    for wrong in (case.shape[1], 1000, -1):
        target = case.targets()
        target.view(-1)[0] = wrong
        with pytest.raises(ValueError, match=f"got the class {wrong}"):
            loss(logits, target)


def check_out_of_range_compiled(case: Case) -> None:
    """NaN or an error in compiled code."""
    logits, loss = case.logits(), build(case.call)
    torch._dynamo.reset()
    compiled = torch.compile(loss, backend="eager", dynamic=False)
    for wrong in (case.shape[1], 1000, -1):
        target = case.targets()
        target.view(-1)[0] = wrong
        try:
            with torch.enable_grad():  # an error in a compiled graph leaves its grad mode behind
                value = compiled(logits, target)
        except (RuntimeError, IndexError) as error:
            assert "out of" in str(error), error
        else:
            assert value.isnan(), f"the class {wrong} cost {value}"


def check_background(case: Case, form: str, path: str) -> None:
    """A background row is a row of negatives, which a row of zeros is too."""
    logits, target = case.logits(), case.targets()
    target[0] = 77
    hot = torch.zeros(case.shape, dtype=torch.float64)
    inside = (target != 77) & (target != IGNORED)
    hot.scatter_(1, torch.where(inside, target, 0).unsqueeze(1), 1.0)
    hot *= inside.unsqueeze(1)
    hot = hot.masked_fill((target == IGNORED).unsqueeze(1), IGNORED)
    for reduction in ("mean", "none"):
        given = loss_of(case, form, reduction=reduction, background_index=77)
        plain = loss_of(case, form, reduction=reduction)
        value, gradient = value_and_gradient(given, logits, target, path)
        expected, expected_gradient = value_and_gradient(plain, logits, hot, path)
        close(value, expected)
        close(gradient, expected_gradient)
    with pytest.raises(ValueError, match="`background_index` must be left out"):
        given(logits, hot)


def check_one_column(case: Case, form: str) -> None:
    """Truths for logits of one column, with that axis or without, on either side."""
    call, shape = resized(case.call, 1), (*case.shape[:1], 1, *case.shape[2:])
    logits = case.logits()[:, :1]
    loss = build(call) if form == "module" else function_of(call)
    truth = torch.arange(math.prod(shape)).reshape(shape).remainder(2).double()
    expected = loss(logits, truth)
    close(loss(logits, truth.squeeze(1)), expected)
    close(loss(logits, truth.squeeze(1).bool()), expected)
    with pytest.raises(ValueError, match=r"target\.unsqueeze\(1\)\.float\(\)"):
        loss(logits, truth.squeeze(1).long())
    alone, flat = logits.reshape(-1), truth.reshape(-1)
    try:
        expected = loss(alone, flat)
    except ValueError:  # a loss that needs an axis of classes
        return
    close(loss(alone, flat.unsqueeze(1)), expected)


def refused(case: Case, target: Tensor, fix: str, logits: Tensor | None = None) -> None:
    with pytest.raises(ValueError, match=fix):
        build(case.call)(case.logits() if logits is None else logits, target)
