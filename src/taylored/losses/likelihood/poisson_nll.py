"""Poisson likelihood: for counts."""

from __future__ import annotations

import functools
from typing import Annotated, Literal, Unpack

import torch
from torch import Tensor

from taylored.core.checks import fail
from taylored.losses.likelihood.constant import Constant
from taylored.modules.fields.parameter import About
from taylored.modules.function import function_of
from taylored.modules.spec import Reference, spec_of
from taylored.modules.values import Domain, ValueCall, ValueLoss, check_alike, value_loss

__all__ = ["PoissonNLLLoss", "poisson_nll_loss"]

Predicts = Literal["log_rate", "rate"]


def poisson_nll_values(
    input: Tensor, target: Tensor, predicts: Predicts, constant: Constant
) -> Tensor:
    """-log Poisson(target; rate), with log target! or without."""
    if predicts == "log_rate":
        values = torch.exp(input) - target * input
    else:
        values = input - torch.xlogy(target, input)
    return values + torch.lgamma(target + 1.0) if constant == "included" else values


def check_counts(input: Tensor, target: Tensor, predicts: Predicts) -> None:
    """Refuse counts and rates below 0."""
    if bool((target < 0).any()):
        fail("target", "counts >= 0", f"{target[target < 0][0]:g}", "leave those positions out by "
             "sample_weight=0 and target 0")  # fmt: skip
    if predicts == "rate" and bool((input < 0).any()):
        fail("input", "rates >= 0", f"{input[input < 0][0]:g}", 'let the model give the logarithm '
             'of the rate, predicts="log_rate"')  # fmt: skip


class PoissonNLLLoss(ValueLoss):
    r"""Poisson likelihood of counts, :math:`\lambda - y \log \lambda + \log y!`.

    Example:
        >>> import torch
        >>> loss = PoissonNLLLoss(predicts="rate")
        >>> loss(torch.tensor([1.0, 3.0]), torch.tensor([0.0, 3.0]))
        tensor(0.3521)
    """

    predicts: Annotated[
        Predicts,
        About(
            'what the model gives: "log_rate", any number, or "rate", a number >= 0',
        ),
    ] = "log_rate"
    constant: Annotated[
        Constant,
        About(
            'the term log y!, which no model can change: "included" makes it a likelihood, to be '
            "compared between kinds of models",
        ),
    ] = "left_out"

    @property
    def domain(self) -> Domain:
        """Counts and rates are not below 0."""
        return functools.partial(check_counts, predicts=self.predicts)

    def values(self, input: Tensor, target: Tensor) -> Tensor:
        """One value per count."""
        return poisson_nll_values(input, target, self.predicts, self.constant)


@function_of(PoissonNLLLoss)
def poisson_nll_loss(
    input: Tensor,
    target: Tensor,
    *,
    predicts: Predicts = "log_rate",
    constant: Constant = "left_out",
    **shared: Unpack[ValueCall],
) -> Tensor:
    r"""Poisson likelihood of counts, :math:`\lambda - y \log \lambda + \log y!`.

    Example:
        >>> import torch
        >>> poisson_nll_loss(torch.zeros(2), torch.tensor([0.0, 3.0]), reduction="none")
        tensor([1., 1.])
    """
    check_alike(input=input, target=target)
    domain = functools.partial(check_counts, predicts=predicts)
    values = functools.partial(poisson_nll_values, predicts=predicts, constant=constant)
    return value_loss(values, input, target, domain=domain, **shared)


SPEC = spec_of(
    "poisson_nll",
    PoissonNLLLoss,
    poisson_nll_loss,
    summary="likelihood of counts under a Poisson distribution",
    formula=r"\lambda - y \log \lambda + \log y!",
    value_range="any number; [0, inf) with the constant",
    reference=Reference(
        "Poisson",
        "Recherches sur la probabilite des jugements en matiere criminelle et en matiere civile",
        "1837",
        "section 81",
    ),
    differs={
        "torch": "PoissonNLLLoss: log_input=True is predicts='log_rate'; with rates it adds eps "
        "inside the logarithm; full=True adds Stirling's approximation for y > 1 and nothing "
        "below, this one log y! itself",
    },
    examples=(
        "poisson_nll()",
        'poisson_nll(constant="included")',
        'poisson_nll(predicts="rate", constant="included")',
    ),
)
