"""Plans of every kind for the executors to agree on, and the library that the tests need."""

from __future__ import annotations

import dataclasses
import random
from typing import NamedTuple

import pytest
import torch
from torch import Tensor

from kit.executors import HAS_NATIVE
from taylored import terms
from taylored.core.engine.blocked import Blocked
from taylored.core.engine.executor import Executor, Swept
from taylored.core.engine.whole import Whole
from taylored.core.links.class_sums import ClassSums
from taylored.core.plan.options import Options
from taylored.core.plan.plan import Plan
from taylored.core.plan.prepare import prepare
from taylored.core.plan.truth_margin import AngularMargin
from taylored.core.terms.term import Term
from taylored.kernels import NATIVE
from taylored.kernels.executor import Native
from taylored.kernels.library import Library

needs_native = pytest.mark.skipif(not HAS_NATIVE, reason="no C++ compiler and no library")
"""Where there is a compiler these tests run, and fail if there is no library."""

FLOATS = (torch.float32, torch.float64, torch.bfloat16, torch.float16)


def native() -> Native:
    assert isinstance(NATIVE, Library), NATIVE
    return Native(NATIVE)


def torch_executors() -> tuple[Executor, ...]:
    return Whole(), Blocked()


@dataclasses.dataclass(frozen=True)
class Given:
    """What a user passes."""

    logits: Tensor
    target: Tensor
    term: Term
    options: Options

    def prepared(self, dtype: torch.dtype | None = None) -> tuple[Tensor, Plan]:
        logits = self.logits if dtype is None else self.logits.to(dtype)
        return prepare(logits, self.target, self.term, self.options)


def drawn(seed: int, dtype: torch.dtype) -> Given:
    """A call with every slot filled or empty at random."""
    luck = random.Random(seed)  # noqa: S311
    numbers = torch.Generator().manual_seed(seed)
    shape = luck.choice(SHAPES)
    link = luck.choice(["softmax", "sigmoid"])
    link = "sigmoid" if shape[1] == 1 else link  # a softmax over one column is refused
    wide = luck.choice([1.0, 3.0, 12.0])
    logits = (wide * torch.randn(shape, generator=numbers, dtype=torch.float64)).to(dtype)
    classes = shape[1]

    def per_class(chance: float) -> Tensor | None:
        values = torch.rand(classes, generator=numbers, dtype=torch.float64) + 0.1
        return values if luck.random() < chance else None

    target = _target(luck, numbers, shape, link)
    sigmoid = link == "sigmoid"
    index = target.shape != logits.shape
    if luck.random() < 0.5 and (sigmoid or index):
        target = target.clone()
        target.view(-1)[:: luck.choice([2, 7])] = -100 if target.dtype != torch.bool else False
    reduction = luck.choice(["none", "sum", "mean", "batch_mean"])
    positions = shape[:1] + shape[2:]
    weights = torch.rand(positions, generator=numbers, dtype=torch.float64)
    smoothing = luck.choice([0.0, 0.0, 0.1])
    single = index and not sigmoid and smoothing == 0.0
    margin = AngularMargin(luck.choice([0.5, -0.2]), 0.1) if single and chance(luck) else None
    options = Options(
        link=link,
        weight=per_class(0.4),
        alpha=luck.choice([None, 0.25]) if sigmoid else None,
        pos_weight=per_class(0.3) if sigmoid else None,
        neg_weight=per_class(0.2) if sigmoid else None,
        logit_scale=None if sigmoid or margin is not None else per_class(0.3),
        logit_bias=per_class(0.3),
        temperature=luck.choice([1.0, 1.0, 0.7]),
        margin=margin,
        label_smoothing=smoothing,
        reduction=reduction,
        sample_weight=weights if luck.random() < 0.3 else None,
        normalizer=luck.choice([None, 3.0]) if reduction == "mean" else None,
    )
    term = _term(luck, numbers, classes)
    if single and chance(luck):
        term = terms.shifted(term, luck.choice([0.7, per_class(1.0)]))
    return Given(logits, target, term, options)


def chance(luck: random.Random) -> bool:
    return luck.random() < 0.6


SHAPES = ((9, 5), (33, 17), (1, 1), (6, 1), (1, 40), (4, 7, 6), (3, 21, 35), (2, 5, 1), (40, 130))


def _term(luck: random.Random, numbers: torch.Generator, classes: int) -> Term:
    gamma = luck.choice([0.3, 0.5, 1.0, 1.5, 2.0, 3.0])
    each = torch.rand(classes, generator=numbers, dtype=torch.float64) * 2
    return luck.choice(
        [
            terms.nll,
            terms.power(gamma) * terms.nll,
            terms.nll + luck.choice([-1.0, 2.0]) * terms.power(1.0),
            terms.power(gamma) * terms.nll + 1.5 * terms.power(gamma + 1),
            terms.nll + 2.0 * terms.power(1) - 0.3 * terms.power(2) + 0.5 * terms.power(3),
            terms.power(each) * terms.nll,
            terms.truncated(3),
            terms.series([1.0, 0.0, 0.5]),
            terms.power(gamma) * (terms.nll + terms.series([0.5, 0.25])),
        ]
    )


def _target(
    luck: random.Random, numbers: torch.Generator, shape: tuple[int, ...], link: str
) -> Tensor:
    kind = luck.choice(["index", "index", "soft", "hard", "int"])
    kind = "hard" if shape[1] == 1 and kind == "index" else kind  # one column is no class
    if kind == "index":
        return torch.randint(shape[1], shape[:1] + shape[2:], generator=numbers)
    soft = torch.rand(shape, generator=numbers, dtype=torch.float64)
    if link == "softmax":
        soft = soft / soft.sum(dim=1, keepdim=True)
        return soft.to(luck.choice([torch.float32, torch.float64]))
    if kind == "soft":
        return soft.to(luck.choice(FLOATS))
    hard = soft < 0.3
    kinds = (torch.bool, torch.float32) if kind == "hard" else (torch.int64, torch.int32)
    return hard.to(luck.choice(kinds))


class Counted(NamedTuple):
    """What a sweep that counts finds."""

    loss: Tensor
    gradient: Tensor
    sums: Tensor


def counted(
    executor: Executor, logits: Tensor, plan: Plan, *, into: Tensor | None = None
) -> Counted:
    """A sweep with the sums of its gradient per class."""
    sums = ClassSums(logits)
    found = executor.sweep(logits, plan, sums=sums, into=into)
    return Counted(found.loss, found.gradient, sums.total())


def agree(found: Swept | Counted, expected: Swept | Counted, relative: float) -> None:
    """Loss, gradient and sums equal, to a share of the largest number in each."""
    pairs = [(found.loss, expected.loss), (found.gradient, expected.gradient)]
    if isinstance(expected, Counted):
        assert isinstance(found, Counted)
        pairs.append((found.sums, expected.sums))
    for left, right in pairs:
        assert left.shape == right.shape
        wide = right.double()
        bound = relative * max(wide.abs().max().item(), 1e-30)
        worst = (left.double() - wide).abs().max().item()
        assert worst <= bound, f"off by {worst:.3g}, allowed {bound:.3g}"
