"""The base of losses that give one value per position of two tensors: regression, boxes, pairs.

A loss of your own:

>>> import torch
>>> class QuarticLoss(ValueLoss):
...     '''(x - y)^4 / scale.'''
...     scale: Annotated[float, About("divides the loss", within="(0, inf)")] = 1.0
...
...     def values(self, input, target):
...         return (input - target) ** 4 / self.scale
>>> loss = QuarticLoss(scale=2.0)
>>> loss
QuarticLoss(scale=2)
>>> loss(torch.tensor([1.0, 3.0]), torch.tensor([1.0, 1.0]))
tensor(4.)
"""

from __future__ import annotations

from collections.abc import Callable
from typing import Annotated, ClassVar, TypedDict

import torch
from torch import Tensor

from taylored.core.checks import check_floats, fail, seen
from taylored.core.numerics import computing_dtype
from taylored.core.plan.options import Reduction, check_reduction
from taylored.core.plan.reduced import read_positions_weight, reduced, silenced
from taylored.modules.base import Loss, Takes
from taylored.modules.docs import RAISES, Described
from taylored.modules.fields.parameter import About

Values = Callable[..., Tensor]
"""One value per position, of the tensors that a loss takes."""

Domain = Callable[..., None]
"""Refuses tensors that hold what a loss cannot mean; NaN it lets pass."""

ValueReduction = Annotated[
    Reduction,
    About(
        '"mean" divides by the number of positions, "batch_mean" by the number of samples (the '
        "first axis)",
        shared=True,
    ),
]


class ValueCall(TypedDict, total=False):
    """The shared keywords of a call of such a loss's function."""

    reduction: Reduction
    sample_weight: Tensor | None
    normalizer: float | Tensor | None


def value_loss(
    values: Values,
    *tensors: Tensor,
    domain: Domain | None = None,
    inner: int = 0,
    reduction: Reduction = "mean",
    sample_weight: Tensor | None = None,
    normalizer: float | Tensor | None = None,
) -> Tensor:
    """Compute values of tensors in at least single precision, and reduce them.

    `domain` refuses tensors that hold what the loss cannot mean; it sees NaN where nothing counts.
    `inner` is how many of the tensors' last axes lie inside one position: 0 for numbers, 1 for
    boxes and vectors.
    """
    check_reduction(reduction, normalizer)
    wide, weight = prepared(tensors, inner, sample_weight, domain)
    return reduced(values(*wide), reduction, weight, normalizer)


def prepared(
    tensors: tuple[Tensor, ...],
    inner: int,
    sample_weight: Tensor | None,
    domain: Domain | None,
) -> tuple[list[Tensor], Tensor | None]:
    """Tensors to compute values of, and the weights of their positions."""
    first = tensors[0]
    dtype = computing_dtype(torch.empty((), dtype=_common(tensors), device="cpu"))
    wide = [each.to(dtype) if each.is_floating_point() else each for each in tensors]
    weight = None
    if sample_weight is not None:
        positions = first.shape[: first.dim() - inner]
        weight = read_positions_weight(sample_weight, positions).to(first.device)
        wide = [silenced(each, weight, inner) for each in wide]
    if domain is not None and seen(first):
        domain(*(silenced(each.detach(), weight, inner, torch.nan) for each in wide))
    return wide, weight


def _common(tensors: tuple[Tensor, ...]) -> torch.dtype:
    dtype = tensors[0].dtype
    for each in tensors[1:]:
        if each.is_floating_point():
            dtype = torch.promote_types(dtype, each.dtype)
    return dtype


def check_alike(**named: Tensor) -> None:
    """Refuse tensors of different shapes: broadcasting (N,) with (N, 1) compares every pair."""
    check_floats(**named)
    (first, one), *others = named.items()
    for name, other in others:
        if other.shape != one.shape:
            fix = f"bring both to one shape; to broadcast, write {name}.expand_as({first})"
            if other.numel() == one.numel():
                fix = f"use {name}.reshape({first}.shape), or squeeze the longer one"
            fail(name, f"the shape of `{first}`, {tuple(one.shape)}", tuple(other.shape), fix)


class ValueLoss(Loss):
    """A loss with one value per position of `input` and `target`, which have the same shape.

    A subclass declares its parameters as fields and fills `values`; `check_call` where shapes have
    other rules, `domain` where numbers have. Half precision is computed in float32. Positions of
    `sample_weight` 0 contribute exactly 0 to value and gradient, whatever they hold.

    Attributes:
        inner: how many of the last axes lie inside one position.
    """

    takes: ClassVar[Takes] = "values"
    inner: ClassVar[int] = 0
    shapes: ClassVar[str] = "input and target (...), real numbers of the same shape."

    reduction: ValueReduction = "mean"

    @classmethod
    def described(cls) -> Described:
        """The same for all, but for the shapes."""
        return Described(
            f"{cls.shapes} The call also takes `sample_weight`, one number per position or per "
            "sample (in the numerator only), and `normalizer`, which replaces the denominator of "
            '"mean"; 0 counts nothing: the loss is 0.',
            'A scalar, or with reduction="none" one value per position; float32 for half '
            "precision.",
            RAISES,
        )

    @classmethod
    def target_kinds(cls) -> tuple[str, ...]:
        """What it is called on."""
        return (cls.takes,)

    @classmethod
    def mean_divides_by(cls, targets: tuple[str, ...]) -> str:
        """Positions; weights do not count."""
        return "positions"

    def check_call(self, input: Tensor, target: Tensor) -> None:
        """Refuse inputs that the loss cannot mean."""
        check_alike(input=input, target=target)

    @property
    def domain(self) -> Domain | None:
        """What refuses numbers that the loss cannot mean; looked at where that costs no sync."""
        return None

    def values(self, input: Tensor, target: Tensor) -> Tensor:
        """One value per position; the slot of a subclass."""
        raise NotImplementedError

    def beside(self, weight: Tensor | None, input: Tensor, target: Tensor) -> Tensor:
        """One value per position, told the weights: for a state that counts what has any."""
        del weight
        return self.values(input, target)

    def forward(
        self,
        input: Tensor,
        target: Tensor,
        *,
        sample_weight: Tensor | None = None,
        normalizer: float | Tensor | None = None,
    ) -> Tensor:
        """The loss of `input` against `target`."""
        self.check_call(input, target)
        check_reduction(self.reduction, normalizer)
        wide, weight = prepared((input, target), self.inner, sample_weight, self.domain)
        return reduced(self.beside(weight, *wide), self.reduction, weight, normalizer)
