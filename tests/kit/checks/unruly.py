"""Checks with NaN, infinities and huge logits: harmless, or seen, never plausible."""

from __future__ import annotations

import math

import torch
import torch.nn.functional as F
from torch import Tensor

from kit.cases import IGNORED, Case, build
from kit.checks.every_loss import value_and_gradient
from kit.executors import PATHS
from kit.tolerances import close
from references import Call, reference_loss
from references.registry import CLASS_WEIGHTS

WILD = (math.nan, math.inf, -math.inf, 3e38)
FAR = 1e4
"""A margin that leaves a probability of exactly 0, and a loss of 10 000 if that is unbounded."""


def is_softmax(case: Case) -> bool:
    return case.call.link() == "softmax"


def _along_axis(where: Tensor, logits: Tensor) -> Tensor:
    """A mask of positions, or of elements, as one of elements."""
    return (where if where.shape == logits.shape else where.unsqueeze(1)).expand(logits.shape)


def _leaves_no_trace(
    case: Case, call: Call, target: Tensor, gone: Tensor, path: str, **arguments: Tensor
) -> None:
    """What the logits are where nothing counts changes neither value nor gradient."""
    logits = case.logits()
    gone = _along_axis(gone, logits)
    assert gone.any()
    assert not gone.all()
    for reduction in ("none", "mean"):
        loss = build(call.having(reduction=reduction))
        expected, slope = value_and_gradient(loss, logits, target, path, **arguments)
        for wild in WILD:
            strange = logits.masked_fill(gone, wild)
            value, gradient = value_and_gradient(loss, strange, target, path, **arguments)
            close(value, expected)
            close(gradient, slope)
            assert (gradient[gone] == 0).all(), (wild, path)
        if "sample_weight" in arguments and target.is_floating_point():
            unknown = target.masked_fill(gone, math.nan)
            value, gradient = value_and_gradient(loss, logits, unknown, path, **arguments)
            close(value, expected)
            close(gradient, slope)


def check_ignored(case: Case, path: str) -> None:
    """Ignored positions and elements."""
    target = case.targets()
    _leaves_no_trace(case, case.call, target, target == IGNORED, path)


def check_sample_weight(case: Case, path: str) -> None:
    """Positions, and single elements of the sigmoid link, with a sample weight of 0."""
    target = case.targets(ignored=False)
    shapes = [case.shape[:1] + case.shape[2:]] + [case.shape] * (not is_softmax(case))
    for shape in shapes:
        weight = torch.linspace(0.5, 2, math.prod(shape)).double().reshape(shape)
        weight.view(-1)[1::3] = 0.0
        _leaves_no_trace(case, case.call, target, weight == 0, path, sample_weight=weight)


def check_class_weight(case: Case, path: str) -> None:
    """Positions, and for the sigmoid link columns, of a class without weight."""
    if case.call.name in CLASS_WEIGHTS or case.target == "probabilities":
        return
    weight = [1.0, 0.0, 2.0, 0.5, 3.0]
    target = case.targets(ignored=False)
    if is_softmax(case):
        gone = target == 1
        each = build(case.call.having(weight=weight, reduction="none"))(case.logits(), target)
        if each[gone].any():  # smoothing gives mass to classes that have weight
            return
    else:
        gone = torch.zeros(case.shape, dtype=torch.bool)
        gone[:, 1] = True
    _leaves_no_trace(case, case.call.having(weight=weight), target, gone, path)


def _hard_placements(case: Case) -> list[tuple[Tensor, Tensor]]:
    """Targets, and where their logits are to be infinite: with a sign for each element."""
    target, logits = case.targets(ignored=False), case.logits()
    if not is_softmax(case):
        truth = _hot(target, logits) if case.target == "index" else (target > 0.5)
        target = target if case.target == "index" else truth.to(target.dtype)
        right = 2.0 * truth - 1.0
        some = torch.arange(logits.numel()).reshape(logits.shape) % 3 == 0
        return [(target, right * some), (target, -right * some)]
    if case.target == "probabilities":
        masked = torch.zeros_like(logits)
        masked[:, 1] = -1.0
        without = target.masked_fill(masked != 0, 0.0)
        alone = torch.zeros_like(target)
        alone[:, 2] = 1.0
        return [
            (without / without.sum(dim=1, keepdim=True), masked),
            (target, masked),
            (alone, alone - 1.0),
        ]
    truth, next_one = _hot(target, logits), _hot((target + 1) % case.shape[1], logits)
    return [(target, -1.0 * next_one), (target, -1.0 * truth), (target, -1.0 * ~truth)]


def _hot(target: Tensor, logits: Tensor) -> Tensor:
    return F.one_hot(target, logits.shape[1]).movedim(-1, 1).bool()


def check_infinite(case: Case, path: str) -> None:
    """A logit of -inf (or +inf, sigmoid) is the limit: of the value, and of the gradient.

    A class masked by -inf that has no mass costs nothing. A masked truth costs what is left of the
    loss at p = 0: infinity where that grows with the margin.
    """
    loss = build(case.call.having(reduction="none"))
    if scale_free(case):  # an infinite logit has no direction: such a loss leaves its class out
        return
    for target, signs in _hard_placements(case):
        logits = case.logits()
        there = signs != 0
        near, slope = value_and_gradient(
            loss, torch.where(there, FAR * signs, logits), target, path
        )
        far, steeper = value_and_gradient(
            loss, torch.where(there, 2 * FAR * signs, logits), target, path
        )
        infinite = torch.where(there, signs * math.inf, logits)
        value, gradient = value_and_gradient(loss, infinite, target, path)
        moves = (far - near).abs() > 1e-9 * FAR
        grows = moves & (far > 1.5 * near)
        assert (value[grows] == math.inf).all(), path
        assert not value.isnan().any()  # also where a limit is still far off
        close(value[~moves], near[~moves])
        steady = (steeper - slope).abs() <= 1e-9 * slope.abs().clamp_min(1e-3)  # it has a limit
        close(gradient[steady], slope[steady], rtol=1e-9, atol=1e-12)
        assert gradient.isfinite().all()
        if is_softmax(case):
            assert (gradient[there & (slope == 0)] == 0).all()


def check_spoiled(case: Case, path: str) -> None:
    """NaN, and +inf in a softmax, are seen where they count; other positions do not notice."""
    target = case.targets(ignored=False)
    loss = build(case.call.having(reduction="none"))
    logits = case.logits()
    expected, _ = value_and_gradient(loss, logits, target, path)
    limited = case.call.name == "softcap"  # of which +inf is the cap
    for wild in (math.nan, math.inf) if is_softmax(case) and not limited else (math.nan,):
        for column in range(case.shape[1]):
            strange = logits.clone()
            strange[(0, column, *[0] * (logits.dim() - 2))] = wild
            value, _ = value_and_gradient(loss, strange, target, path)
            if is_softmax(case):
                assert not value.flatten()[0].isfinite(), (wild, column)
                close(value.flatten()[1:], expected.flatten()[1:])
                continue
            place = (0, column, *[0] * (logits.dim() - 2))
            spared = expected[place] == 0  # by its own weight of 0
            assert spared or not value[place].isfinite(), (wild, column)


def invariant(case: Case) -> bool:
    """Whether a common offset of the logits changes nothing, by the formula."""
    target, logits = case.targets(), case.logits()
    moved, still = (reference_loss(case.call, z, target) for z in (logits + 3.0, logits))
    return is_softmax(case) and torch.allclose(moved, still, rtol=1e-9)


def scale_free(case: Case) -> bool:
    """Whether only the direction of the logits counts."""
    target, logits = case.targets(), case.logits()
    longer, still = (reference_loss(case.call, z, target) for z in (3.0 * logits, logits))
    return torch.allclose(longer, still, rtol=1e-9)


def check_offset(case: Case, path: str) -> None:
    """Float32 logits at an offset have the loss of their differences, to the digits of float32."""
    target = case.targets()
    steps = case.logits().round()
    for offset, size in ((1e8, 8.0), (-1e8, 8.0), (1e6, 0.25)):
        logits = (offset + size * steps).float()
        loss = build(case.call)
        value, gradient = value_and_gradient(loss, logits, target, path)
        exact = logits.double() - offset
        expected, slope = value_and_gradient(loss, exact, target, "composed")
        close(value, expected, 3e-5, 1e-6)
        close(gradient, slope, 3e-5, 1e-6)


def check_huge(case: Case, path: str) -> None:
    """At the ends of each dtype: no NaN, and gradients that are finite."""
    target = case.targets()
    for dtype in (torch.float32, torch.bfloat16, torch.float16):
        largest = min(3e38, torch.finfo(dtype).max)
        for signs in (case.logits().sign(), torch.ones(case.shape), -torch.ones(case.shape)):
            logits = (largest * signs).to(dtype)
            loss = build(case.call)
            value, gradient = value_and_gradient(loss, logits, target, path)
            assert not value.isnan(), (dtype, path)
            assert gradient.isfinite().all(), (dtype, path)


def check_everywhere(check: object, case: Case) -> None:
    """One of the checks above along every path."""
    for path in PATHS:
        check(case, path)
