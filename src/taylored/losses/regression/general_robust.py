"""The general robust loss: from squared error to Welsch's by one number."""

from __future__ import annotations

import functools
import math
from typing import Annotated, Unpack

import torch
from torch import Tensor

from taylored.modules.fields.parameter import About
from taylored.modules.function import function_of
from taylored.modules.spec import Reference, spec_of
from taylored.modules.values import ValueCall, ValueLoss, check_alike, value_loss

__all__ = ["GeneralRobustLoss", "general_robust_loss"]


def general_robust_values(input: Tensor, target: Tensor, alpha: float, scale: float) -> Tensor:
    """rho(d, alpha, c) with its limits at 2, 0 and -inf (Barron 2019, equations 8 and 13)."""
    square = ((input - target) / scale) ** 2
    if alpha == 2.0:
        return 0.5 * square
    if alpha == -math.inf:
        return -torch.expm1(-0.5 * square)
    width = abs(alpha - 2.0)
    rise = torch.log1p(square / width)
    if alpha == 0.0:
        return 0.5 * width * rise
    return width / alpha * torch.expm1(0.5 * alpha * rise)


class GeneralRobustLoss(ValueLoss):
    r"""The general robust loss, with u = (d / c)^2 and b = \|alpha - 2\|.

    :math:`\frac{b}{\alpha} \left((u / b + 1)^{\alpha / 2} - 1\right)`.

    The gradient is bounded for alpha <= 1, and falls with the size of the error for alpha < 1.

    Example:
        >>> import torch
        >>> GeneralRobustLoss(alpha=0.0)(torch.tensor([0.5, 3.0]), torch.tensor([0.0, 0.0]))
        tensor(0.9113)
    """

    alpha: Annotated[
        float,
        About(
            "shape: 2 is squared error, 1 a smooth absolute one, 0 Cauchy's, -2 Geman-McClure's, "
            "-inf "
            "Welsch's; lowering it ignores outliers more",
            within="[-inf, 2]",
            search=(-4.0, 2.0),
        ),
    ] = 1.0

    scale: Annotated[
        float,
        About(
            "size of errors up to which it is squared; raising it counts fewer errors as outliers",
            within="(0, inf)",
            search=(0.05, 5.0, "log"),
        ),
    ] = 1.0

    def values(self, input: Tensor, target: Tensor) -> Tensor:
        """One value per number."""
        return general_robust_values(input, target, self.alpha, self.scale)


@function_of(GeneralRobustLoss)
def general_robust_loss(
    input: Tensor,
    target: Tensor,
    *,
    alpha: float = 1.0,
    scale: float = 1.0,
    **shared: Unpack[ValueCall],
) -> Tensor:
    r"""The general robust loss, with u = (d / c)^2 and b = \|alpha - 2\|.

    :math:`\frac{b}{\alpha} \left((u / b + 1)^{\alpha / 2} - 1\right)`.

    Example:
        >>> import torch
        >>> error = torch.tensor([0.5, 3.0])
        >>> general_robust_loss(error, torch.zeros(2), alpha=0.0, reduction="none")
        tensor([0.1178, 1.7047])
    """
    check_alike(input=input, target=target)
    return value_loss(
        functools.partial(general_robust_values, alpha=alpha, scale=scale), input, target, **shared
    )


SPEC = spec_of(
    "general_robust",
    GeneralRobustLoss,
    general_robust_loss,
    summary="squared, Charbonnier, Cauchy, Geman-McClure, Welsch and all between, by one number",
    formula=r"\frac{|\alpha-2|}{\alpha}\Big(\big((d/c)^2/|\alpha-2| + 1\big)^{\alpha/2} - 1\Big)",
    value_range="[0, inf)",
    reference=Reference(
        "Barron", "A General and Adaptive Robust Loss Function", "CVPR 2019", "equations 8 and 13"
    ),
    differs={
        "google-research robust_loss_pytorch": "lossfun(d, alpha, scale): equal; it replaces "
        "alpha near 0 and 2 by a number eps away",
        "kornia": "charbonnier_loss, cauchy_loss, geman_mcclure_loss, welsch_loss: alpha = 1, 0, "
        "-2, -inf with scale 1",
    },
    examples=(
        "general_robust()",
        "general_robust(alpha=0)",
        "general_robust(alpha=-2, scale=0.5)",
        "general_robust(alpha=2)",
    ),
)
