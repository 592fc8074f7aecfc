"""The arguments of an overlap loss in canonical form."""

from __future__ import annotations

import math
from dataclasses import dataclass, replace

import torch
from torch import Tensor

from taylored.core.checks import debugging, seen
from taylored.core.context import compiling
from taylored.core.engine.elementwise import ElementBatch, Elements, elements
from taylored.core.inputs.given import is_whole, read_target, read_weight
from taylored.core.inputs.logits import Logits
from taylored.core.inputs.targets import check_input, check_truths
from taylored.core.numerics import computing_dtype, harmless, one_if_zero, widest_dtype
from taylored.core.overlap.options import OverlapOptions
from taylored.core.plan.options import Options, check_options
from taylored.core.plan.plan import Plan
from taylored.core.plan.prepare import prepare, prepared
from taylored.core.terms.elementary import nll


@dataclass(frozen=True, eq=False)
class Batch:
    """Logits and truths, and what each position counts.

    Attributes:
        logits: (N, C) or (N, C, S), as given.
        plan: link, target, and the coefficient of each position or element (`rows`).
        by_sample: whether every sample has sums of its own.
        samples: what the ratios of each sample are multiplied by, (N, 1), or None. Its logits may
            be anything where that is 0.
        spatial: the axes that S stands for.
    """

    logits: Tensor
    plan: Plan
    by_sample: bool
    samples: Tensor | None
    spatial: torch.Size

    @property
    def classes(self) -> int:
        """How many classes the logits have."""
        return self.logits.shape[1]

    @property
    def groups(self) -> int:
        """How many ratios each class has."""
        return self.logits.shape[0] if self.by_sample else 1

    def elements(self) -> Elements:
        """Logits, truth and coefficient of every class, by plain differentiable operations."""
        found = elements(ElementBatch(self.logits, self.plan, ()))
        if self.samples is None:
            return found
        return replace(found, z=harmless(found.z, self._along_samples() == 0))

    def of_counted_samples(self) -> Batch:
        """The same with coefficients of 0 for samples that count for nothing."""
        if self.samples is None:
            return self
        rows = torch.where(self._along_samples() == 0, 0.0, self.plan.rows)
        return replace(self, plan=replace(self.plan, rows=rows))

    def _along_samples(self) -> Tensor:
        assert self.samples is not None  # noqa: S101 - for type checkers
        return self.samples.reshape(-1, *[1] * (self.logits.dim() - 1))

    def probabilities(self, z: Tensor) -> Tensor:
        """What the link makes of logits."""
        return torch.softmax(z, dim=1) if self.plan.link == "softmax" else torch.sigmoid(z)

    def summed(self, values: Tensor) -> Tensor:
        """Sums over the positions of each ratio, (G, C) in float64, of (N, C[, d1, ...])."""
        wide = values.to(widest_dtype(values.device))
        wide = wide.flatten(2).sum(dim=2) if wide.dim() > 2 else wide
        return wide if self.by_sample else wide.sum(dim=0, keepdim=True)

    def counted(self) -> Tensor:
        """The coefficients of each ratio's positions, added up, (G, C) in float64."""
        rows, plan = self.plan.rows, self.plan
        if plan.ignore is not None and plan.target.dtype != torch.bool:
            rows = torch.where(plan.target != plan.ignore, rows, 0.0)
        if rows.numel() > 0 and not any(rows.stride()):  # one number, the same everywhere
            positions = math.prod(rows.shape[2:]) * (1 if self.by_sample else rows.shape[0])
            found = rows.flatten()[0].to(widest_dtype(rows.device)) * positions
        else:
            found = self.summed(rows)
        return found.expand(self.groups, self.classes)


@dataclass(frozen=True, eq=False)
class Volume:
    """Every probability in its place, for losses that are no function of sums.

    Attributes:
        z: logits, finite where they count for nothing.
        p: probabilities, (N, C, d1, ...).
        y: truths; 0 where they count for nothing.
        w: coefficients; 0 where a position counts for nothing.
    """

    z: Tensor
    p: Tensor
    y: Tensor
    w: Tensor

    def inside(self, values: Tensor) -> Tensor:
        """The values, with 0 where they count for nothing."""
        return torch.where(self.w == 0, 0.0, values)


def volume_of(batch: Batch) -> Volume:
    """The probabilities and truths of a batch, with the axes that the caller has."""
    found = batch.elements()
    shape = (*batch.logits.shape[:2], *batch.spatial)
    w = found.coefficient.expand(found.z.shape).reshape(shape)
    z, y = found.z.reshape(shape), found.y.reshape(shape)
    return Volume(z, batch.probabilities(found.z).reshape(shape), torch.where(w == 0, 0.0, y), w)


def read_batch(input: Logits, target: Tensor, options: OverlapOptions) -> Batch:
    """Logits with the classes on axis 1 and targets of any form, checked.

    Weights of positions stand in the sums; weights of whole samples multiply the ratios, where
    every sample has its own.
    """
    input = check_input(input)
    target = read_target(target, input.shape, options.link)
    weight, samples = options.sample_weight, None
    if weight is not None:
        weight = read_weight(weight, input.shape)
    whole = isinstance(weight, Tensor) and weight.shape == input.shape[:1] and input.dim() > 1
    if weight is not None and whole and options.by_sample:
        samples, weight = weight.to(widest_dtype(input.device)).unsqueeze(1), None
    all_count = _all_count(input, target, options.ignore_index)
    given = Options(
        link=options.link,
        ignore_index=None if all_count else options.ignore_index,
        reduction="sum",
        sample_weight=weight,
    )
    if all_count and weight is None:
        check_options(given)
        one = torch.ones((), dtype=computing_dtype(input), device=input.device)
        logits, plan = prepared(input, target, one.expand(target.shape), nll, given)
    else:
        logits, plan = prepare(input, target, nll, given)
    if plan.link == "sigmoid" and plan.target_kind == "dense" and not compiling():
        check_truths(plan.target, plan.ignore, plan.rows)
    return Batch(logits, plan, options.by_sample, samples, input.shape[2:])


def _all_count(input: Tensor, target: Tensor, ignore: int | None) -> bool:
    """Whether all targets are class indices with a column, none ignored, where looking is free.

    Then they are right as they are: without a copy, and without a mask of their size.
    """
    positions = input.shape[:1] + input.shape[2:]
    if input.dim() < 2 or input.shape[1] < 2 or debugging():
        return False
    if not isinstance(target, Tensor) or target.shape != positions or not is_whole(target):
        return False
    if target.numel() == 0 or not seen(target):
        return False
    low, high = (int(bound) for bound in target.aminmax())
    inside = low >= 0 and high < input.shape[1]  # or the error message names the wrong class
    return inside and (ignore is None or not low <= ignore <= high)


def ratio(over: Tensor, under: Tensor, *, empty: float = 1.0) -> Tensor:
    """A quotient that is `empty` where there is nothing to divide by."""
    return torch.where(under == 0, empty, over / one_if_zero(under))
