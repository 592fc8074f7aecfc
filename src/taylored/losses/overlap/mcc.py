"""MCC: the correlation of predicted and true regions, which counts what is rightly left out."""

from __future__ import annotations

from typing import Unpack

import torch
from torch import Tensor

from taylored.core.inputs.logits import Logits
from taylored.core.overlap.options import OverlapOptions
from taylored.core.overlap.sums import Sums
from taylored.modules.function import function_of
from taylored.modules.overlap.base import RegionLoss
from taylored.modules.overlap.call import region_loss
from taylored.modules.overlap.vocabulary import RegionCall
from taylored.modules.spec import Reference, spec_of

__all__ = ["MCCLoss", "mcc_loss"]


def mcc_cost(sums: Sums) -> Tensor:
    """1 - (TP TN - FP FN) / sqrt((TP+FP)(TP+FN)(TN+FP)(TN+FN)) (Abhishek and Hamarneh 2021, (4)).

    With the sums P of predictions, Y of truths and W of all positions, TP TN - FP FN is
    W TP - P Y, and the four factors are P, Y, W - Y and W - P.
    """
    both, predicted, true, whole = sums.both, sums.predicted, sums.true, sums.counted
    above = whole * both - predicted * true + sums.smooth[0]
    product = predicted * true * (whole - true) * (whole - predicted) + sums.smooth[1]
    none = product <= 0
    found = torch.where(none, 0.0, above / torch.sqrt(torch.where(none, 1.0, product)))
    # Everywhere right, where there is only one kind of position to be right about.
    right = (predicted == both) & (true == both)
    return torch.where(right, 0.0, 1.0 - found)


class MCCLoss(RegionLoss):
    r"""1 - Matthews correlation coefficient of predicted and true regions, in [0, 2].

    It counts rightly rejected positions too, so that it is the same for a region and its
    complement. Where a class is everywhere or nowhere, no correlation is defined: the loss is then
    0 for a prediction that is exactly right, and 1 without a gradient for any other.

    Example:
        >>> import torch
        >>> logits = torch.tensor([[[2.0, 2.0, -2.0, -2.0]]])
        >>> mask = torch.tensor([[[1.0, 0.0, 0.0, 0.0]]])
        >>> MCCLoss(link="sigmoid")(logits, mask)
        tensor(0.5603)
    """

    def cost(self, sums: Sums) -> Tensor:
        """One value per ratio."""
        return mcc_cost(sums)


@function_of(MCCLoss)
def mcc_loss(input: Logits, target: Tensor, **shared: Unpack[RegionCall]) -> Tensor:
    r"""1 - Matthews correlation coefficient of predicted and true regions, in [0, 2].

    Example:
        >>> import torch
        >>> logits, truth = torch.zeros(1, 2, 4), torch.tensor([[0, 0, 0, 1]])
        >>> mcc_loss(logits, truth)
        tensor(1.)
    """
    return region_loss(input, target, mcc_cost, OverlapOptions(**shared))


SPEC = spec_of(
    "mcc",
    MCCLoss,
    mcc_loss,
    summary="1 - Matthews correlation of prediction and truth, which counts true negatives too",
    formula=r"1 - \frac{TP \cdot TN - FP \cdot FN + s_n}"
    r"{\sqrt{(TP+FP)(TP+FN)(TN+FP)(TN+FN) + s_d}}",
    value_range="[0, 2]",
    reference=Reference(
        "Abhishek, Hamarneh",
        "Matthews Correlation Coefficient Loss for Deep Convolutional Networks: Application to "
        "Skin Lesion Segmentation",
        "ISBI 2021",
        "equation 4",
    ),
    differs={
        "MONAI": "MCCLoss(smooth_dr=1e-5): equal to mcc(average='sample', smooth_denominator=1e-5)",
        "smp": "MCCLoss: one ratio of everything (average='micro', link='sigmoid'), takes "
        "probabilities, and adds eps to each of TP, TN, FP and FN",
    },
    examples=(
        "mcc()",
        'mcc(link="sigmoid", average="sample", smooth_denominator=0.01)',
        'mcc(average="micro")',
    ),
)
