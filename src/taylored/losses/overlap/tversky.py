"""Tversky: Dice with separate prices for what was predicted wrongly and for what was missed."""

from __future__ import annotations

import functools
from typing import Annotated, Unpack

from torch import Tensor

from taylored.core.inputs.logits import Logits
from taylored.core.overlap.options import OverlapOptions
from taylored.core.overlap.sums import Sums
from taylored.modules.fields.parameter import About
from taylored.modules.function import function_of
from taylored.modules.overlap.base import RegionLoss
from taylored.modules.overlap.call import region_loss
from taylored.modules.overlap.vocabulary import RegionCall
from taylored.modules.spec import Reference, spec_of

__all__ = ["TverskyLoss", "tversky_loss"]

FalsePositives = Annotated[
    float,
    About(
        "price of false positives, of what is predicted and not true; raising it raises precision",
        within="[0, inf)",
        search=(0.1, 1.0),
    ),
]
FalseNegatives = Annotated[
    float,
    About(
        "price of false negatives, of what is true and was missed; raising it raises recall",
        within="[0, inf)",
        search=(0.1, 1.0),
    ),
]


def tversky_cost(sums: Sums, alpha: float, beta: float) -> Tensor:
    """1 - TP / (TP + alpha FP + beta FN) (Salehi et al. 2017, equation 2)."""
    wrong, missed = sums.predicted - sums.both, sums.true - sums.both
    return 1.0 - sums.ratio(sums.both, sums.both + alpha * wrong + beta * missed)


class TverskyLoss(RegionLoss):
    r"""Tversky loss, :math:`1 - (TP + s_n) / (TP + \alpha FP + \beta FN + s_d)`.

    TP, FP and FN are the sums of p y, p (1 - y) and (1 - p) y. alpha = beta = 1/2 is Dice,
    alpha = beta = 1 Jaccard; beta > alpha favours recall, which small regions need.

    Example:
        >>> import torch
        >>> logits = torch.tensor([[[2.0, 2.0, -2.0, -2.0]]])
        >>> mask = torch.tensor([[[1.0, 0.0, 0.0, 0.0]]])
        >>> TverskyLoss(alpha=0.3, beta=0.7, link="sigmoid")(logits, mask)
        tensor(0.3225)
    """

    alpha: FalsePositives = 0.3
    beta: FalseNegatives = 0.7

    def cost(self, sums: Sums) -> Tensor:
        """One value per ratio."""
        return tversky_cost(sums, self.alpha, self.beta)


@function_of(TverskyLoss)
def tversky_loss(
    input: Logits,
    target: Tensor,
    *,
    alpha: float = 0.3,
    beta: float = 0.7,
    **shared: Unpack[RegionCall],
) -> Tensor:
    r"""Tversky loss, :math:`1 - (TP + s_n) / (TP + \alpha FP + \beta FN + s_d)`.

    Example:
        >>> import torch
        >>> logits, truth = torch.zeros(1, 2, 4), torch.tensor([[0, 0, 0, 1]])
        >>> tversky_loss(logits, truth, alpha=1.0, beta=1.0, reduction="none")
        tensor([0.5714, 0.8000])
    """
    cost = functools.partial(tversky_cost, alpha=alpha, beta=beta)
    return region_loss(input, target, cost, OverlapOptions(**shared))


SPEC = spec_of(
    "tversky",
    TverskyLoss,
    tversky_loss,
    summary="Dice with separate prices for false positives (alpha) and false negatives (beta)",
    formula=r"1 - \frac{TP + s_n}{TP + \alpha FP + \beta FN + s_d}",
    value_range="[0, 1]",
    reference=Reference(
        "Salehi, Erdogmus, Gholipour",
        "Tversky loss function for image segmentation using 3D fully convolutional deep networks",
        "MLMI 2017",
        "equation 2",
    ),
    differs={
        "MONAI": "TverskyLoss(alpha, beta): the same alpha and beta; average='sample' and a "
        "smoothing of 1e-5 here",
        "smp": "TverskyLoss(alpha, beta): the same alpha and beta; average='class', "
        "empty='perfect'; its gamma is a power of the mean, not of each class",
        "kornia": "tversky_loss(alpha, beta): the same alpha and beta; average='sample', "
        "empty='skip' for one sample, but averages classes before samples",
        "Keras": "Tversky(alpha, beta): its alpha weighs false negatives and its beta false "
        "positives, although its documentation says the reverse: swap them",
    },
    examples=(
        "tversky()",
        'tversky(alpha=0.7, beta=0.3, link="sigmoid", average="sample")',
        'tversky(alpha=0, beta=2, average="sample_micro", smooth_denominator=1)',
    ),
    identities={
        "tversky(alpha=0.5, beta=0.5)": "dice()",
        "tversky(alpha=1, beta=1)": "jaccard()",
    },
)
