"""Gaussian likelihood: a model that says how sure it is."""

from __future__ import annotations

import functools
import math
from typing import Annotated, ClassVar, Unpack

import torch
from torch import Tensor

from taylored.core.checks import check_floats, fail
from taylored.losses.likelihood.constant import Constant
from taylored.modules.fields.parameter import About
from taylored.modules.function import function_of
from taylored.modules.spec import Reference, spec_of
from taylored.modules.values import ValueCall, ValueLoss, value_loss

__all__ = ["GaussianNLLLoss", "gaussian_nll_loss"]


def gaussian_nll_values(
    input: Tensor, target: Tensor, variance: Tensor, smallest: float, constant: Constant
) -> Tensor:
    """(log v + d^2 / v) / 2, the variance v kept from 0; its gradient passes below, too."""
    kept = variance + (variance.clamp_min(smallest) - variance).detach()
    values = 0.5 * (torch.log(kept) + (input - target) ** 2 / kept)
    return values + 0.5 * math.log(2.0 * math.pi) if constant == "included" else values


def spread_variance(input: Tensor, target: Tensor, variance: Tensor) -> Tensor:
    """The variance in the shape of the input; what fits nothing is refused."""
    check_floats(input=input, target=target, variance=variance)
    if target.shape != input.shape:
        fix = "bring both to one shape"
        fail("target", f"the shape of `input`, {tuple(input.shape)}", tuple(target.shape), fix)
    narrow = torch.Size((*input.shape[:-1], 1)) if input.dim() else input.shape
    if variance.shape not in (input.shape, narrow, input.shape[:-1]):
        fail("variance", f"the shape of `input`, {tuple(input.shape)}, or without its last axis",
             tuple(variance.shape), "give one variance per number, or per row")  # fmt: skip
    if variance.dim() < input.dim():
        variance = variance.unsqueeze(-1)
    return variance.expand(input.shape)


def check_variance(_input: Tensor, _target: Tensor, variance: Tensor) -> None:
    """Refuse variances below 0."""
    if bool((variance < 0).any()):
        fail("variance", "numbers >= 0", f"{variance[variance < 0][0]:g}",
             "let the model give log variance, and pass its exp()")  # fmt: skip


class GaussianNLLLoss(ValueLoss):
    r"""Gaussian likelihood, :math:`\tfrac12 (\log \sigma^2 + d^2 / \sigma^2)`.

    The model gives a mean and a variance for every number: `loss(mean, target, variance)`. Errors
    count less where it says that it is unsure, and saying so costs the logarithm.

    Example:
        >>> import torch
        >>> loss = GaussianNLLLoss()
        >>> mean, target = torch.tensor([0.0, 1.0]), torch.tensor([0.0, 3.0])
        >>> loss(mean, target, torch.tensor([1.0, 4.0]))
        tensor(0.5966)
    """

    smallest: Annotated[
        float,
        About(
            "the smallest variance that is divided by; raising it keeps a perfect fit from ruling "
            "the loss",
            within="(0, inf)",
        ),
    ] = 1e-6
    constant: Annotated[
        Constant,
        About(
            'the term log(2 pi) / 2, which no model can change: "included" makes it a likelihood',
        ),
    ] = "left_out"
    shapes: ClassVar[str] = (
        "input and target (...), variance of their shape, or with 1 or nothing in the place of the "
        "last axis: one for each row."
    )

    def forward(  # type: ignore[override]
        self,
        input: Tensor,
        target: Tensor,
        variance: Tensor,
        *,
        sample_weight: Tensor | None = None,
        normalizer: float | Tensor | None = None,
    ) -> Tensor:
        """The loss of means and variances against targets."""
        variance = spread_variance(input, target, variance)
        values = functools.partial(
            gaussian_nll_values, smallest=self.smallest, constant=self.constant
        )
        return value_loss(
            values,
            input,
            target,
            variance,
            domain=check_variance,
            reduction=self.reduction,
            sample_weight=sample_weight,
            normalizer=normalizer,
        )


@function_of(GaussianNLLLoss)
def gaussian_nll_loss(
    input: Tensor,
    target: Tensor,
    variance: Tensor,
    *,
    smallest: float = 1e-6,
    constant: Constant = "left_out",
    **shared: Unpack[ValueCall],
) -> Tensor:
    r"""Gaussian likelihood, :math:`\tfrac12 (\log \sigma^2 + d^2 / \sigma^2)`.

    Example:
        >>> import torch
        >>> gaussian_nll_loss(torch.zeros(2), torch.ones(2), torch.ones(2), reduction="none")
        tensor([0.5000, 0.5000])
    """
    variance = spread_variance(input, target, variance)
    values = functools.partial(gaussian_nll_values, smallest=smallest, constant=constant)
    return value_loss(values, input, target, variance, domain=check_variance, **shared)


SPEC = spec_of(
    "gaussian_nll",
    GaussianNLLLoss,
    gaussian_nll_loss,
    summary="likelihood under a Gaussian whose variance the model gives, too",
    formula=r"\tfrac12 (\log \sigma^2 + d^2 / \sigma^2)",
    value_range="any number",
    reference=Reference(
        "Nix, Weigend",
        "Estimating the Mean and Variance of the Target Probability Distribution",
        "ICNN 1994",
        "equation 6",
    ),
    differs={
        "torch": "GaussianNLLLoss(eps=smallest, full=...): the same values; a variance per row "
        "is told from one per number by its shape in both",
    },
    examples=("gaussian_nll()", 'gaussian_nll(constant="included", smallest=0.01)'),
)
