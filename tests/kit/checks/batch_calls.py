"""Checks of losses whose value belongs to a whole batch."""

from __future__ import annotations

import math

import torch
from torch import Tensor, nn

from kit.cases import Case, build
from kit.elements import draw
from kit.executors import PATHS, running
from kit.tolerances import GRADIENT_ATOL, GRADIENT_RTOL, RTOL, close
from references import losses_of
from taylored import catalog

DTYPES = (torch.float64, torch.float32, torch.bfloat16, torch.float16)


def found(loss: nn.Module, logits: Tensor, target: Tensor, **call: object) -> tuple[Tensor, Tensor]:
    z = logits.clone().requires_grad_()
    value = loss(z, target, **call)
    (gradient,) = torch.autograd.grad(value, z)
    return value.detach(), gradient


def check_values(case: Case) -> None:
    """Value and gradient against the naive formula, on every path and in the dtypes promised."""
    target = case.targets()
    for dtype in DTYPES:
        logits = case.logits(dtype)
        expected, slope = found(lambda z, y: losses_of(case.call, z, y), logits.double(), target)
        for path in PATHS:
            with running(path):
                value, gradient = found(build(case.call), logits, target)
            assert value.dtype == (dtype if dtype == torch.float64 else torch.float32)
            assert gradient.dtype == dtype
            close(value, expected, RTOL[dtype])
            # Rounded to the dtype of the logits, and once more when the wrapper scaled it.
            close(gradient, slope, 2 * GRADIENT_RTOL[dtype], 2 * GRADIENT_ATOL[dtype])


def check_samples_without_weight_are_not_there(case: Case) -> None:
    """As if they had been left out of the batch: they count towards no share and no mean."""
    target, logits = case.targets(ignored=False), case.logits()
    weight = torch.ones(len(logits), dtype=torch.float64)
    weight[0] = 0.0
    wild = logits.clone()
    wild[0] = math.nan
    value, gradient = found(build(case.call), wild, target, sample_weight=weight)
    expected, slope = found(build(case.call), logits[1:], target[1:])
    close(value, expected)
    close(gradient[1:], slope)
    assert (gradient[0] == 0).all()


def check_weights_are_numbers_of_samples(text: str) -> None:
    """A sample of weight 2 is two samples; for losses that compare no sample with itself."""
    loss, logits = catalog.get(text), draw(60, 3, seed=1)
    truth = (torch.arange(180).reshape(60, 3) * 7 % 5 == 0).double()
    times = torch.arange(60) % 3
    copies = [each.repeat_interleave(times, 0) for each in (logits, truth)]
    close(loss(logits, truth, sample_weight=times.double()), loss(*copies))
