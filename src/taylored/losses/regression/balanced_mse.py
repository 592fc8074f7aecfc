"""Balanced MSE: squared error as if all labels were alike frequent, by the labels of the batch."""

from __future__ import annotations

from typing import Annotated, Unpack

import torch
from torch import Tensor

from taylored.core.checks import fail
from taylored.core.labels import PerClass
from taylored.core.numerics import tensor_of
from taylored.core.plan.reduced import reduced
from taylored.modules.fields.parameter import About
from taylored.modules.function import function_of
from taylored.modules.spec import Reference, spec_of
from taylored.modules.values import ValueCall, ValueLoss, check_alike, prepared

__all__ = ["BalancedMSELoss", "balanced_mse_loss"]


def balanced_mse_values(
    input: Tensor, target: Tensor, sigma: Tensor, weight: Tensor | None
) -> Tensor:
    """-2 s^2 log of the share that the own label has among those of the batch."""
    x, y = input.reshape(-1), target.reshape(-1)
    if x.numel() == 0:  # there is no label to be told from
        return (input - target) ** 2
    double = 2.0 * sigma.to(x) ** 2
    fits = -((x.unsqueeze(1) - y.unsqueeze(0)) ** 2) / double
    own = fits.diagonal()
    if weight is not None:  # what counts for nothing is no rival, either
        left_out = (weight == 0).expand(input.shape).reshape(1, -1)
        itself = torch.eye(x.numel(), dtype=torch.bool, device=x.device)
        fits = torch.where(left_out & ~itself, -torch.inf, fits)
    # The paper's factor keeps the scale of a squared error; it does not train the noise.
    return (double.detach() * (torch.logsumexp(fits, 1) - own)).reshape(input.shape)


def one_sigma(sigma: float | PerClass) -> Tensor:
    """The noise as a tensor without axes."""
    number = tensor_of(sigma)
    if number.numel() != 1:
        fail("sigma", "one number", f"shape {tuple(number.shape)}", "give a float or a Parameter")
    return number.reshape(())


class BalancedMSELoss(ValueLoss):
    r"""Balanced MSE: which of the batch's labels does a prediction belong to?

    :math:`-2 \sigma^2 \log \left(e^{-(x_i - y_i)^2 / 2 \sigma^2} / \sum_j e^{-(x_i - y_j)^2 / 2
    \sigma^2}\right)`. Squared error makes predictions of rare labels lean towards the frequent
    ones; here frequent labels are many rivals, and the lean is taken back. The sum over the labels
    of the batch stands for their distribution (the paper's batch-based Monte Carlo): larger batches
    are better, micro-batches are not, and memory grows with the square of the number of labels.

    Give `sigma=torch.nn.Parameter(torch.tensor(1.0))` and the optimizer `loss.parameters()` to
    learn the noise.

    Example:
        >>> import torch
        >>> prediction, label = torch.tensor([0.1, 0.0, 2.0]), torch.tensor([0.0, 0.0, 3.0])
        >>> BalancedMSELoss()(prediction, label)
        tensor(1.1789)
    """

    sigma: Annotated[
        float | PerClass,
        About(
            "standard deviation of the prediction's noise; raising it lets labels farther away be "
            "rivals. A Parameter is trained with the model",
            within="(0, inf)",
            domain="a number > 0, or a tensor or Parameter of one",
            search=(0.1, 10.0, "log"),
        ),
    ] = 1.0

    def check(self) -> None:
        """Refuse several numbers."""
        super().check()
        one_sigma(self.sigma)

    def beside(self, weight: Tensor | None, input: Tensor, target: Tensor) -> Tensor:
        """One value per label, among those that count."""
        return balanced_mse_values(input, target, one_sigma(self.sigma), weight)


@function_of(BalancedMSELoss)
def balanced_mse_loss(
    input: Tensor,
    target: Tensor,
    *,
    sigma: float | PerClass = 1.0,
    **shared: Unpack[ValueCall],
) -> Tensor:
    r"""Balanced MSE: which of the batch's labels does a prediction belong to?

    Example:
        >>> import torch
        >>> prediction, label = torch.tensor([0.1, 0.0, 2.0]), torch.tensor([0.0, 0.0, 3.0])
        >>> balanced_mse_loss(prediction, label, reduction="none")
        tensor([1.4012, 1.3974, 0.7380])
    """
    check_alike(input=input, target=target)
    wide, weight = prepared((input, target), 0, shared.get("sample_weight"), None)
    values = balanced_mse_values(wide[0], wide[1], one_sigma(sigma), weight)
    return reduced(values, shared.get("reduction", "mean"), weight, shared.get("normalizer"))


SPEC = spec_of(
    "balanced_mse",
    BalancedMSELoss,
    balanced_mse_loss,
    summary="squared error for long-tailed labels: the lean towards frequent ones is taken back",
    formula=r"-2 \sigma^2 \log \frac{e^{-(x_i - y_i)^2 / 2 \sigma^2}}"
    r"{\sum_j e^{-(x_i - y_j)^2 / 2 \sigma^2}}",
    reference=Reference(
        "Ren, Zhang, Yu, Liu",
        "Balanced MSE for Imbalanced Visual Regression",
        "CVPR 2022",
        "equation 10 (batch-based Monte Carlo)",
    ),
    differs={
        "BalancedMSE (the authors' code)": "BMCLoss: equal, of labels (N, 1); labels of weight 0 "
        "are no rivals here",
    },
    examples=("balanced_mse()", "balanced_mse(sigma=0.5)"),
    call="batch",
)
