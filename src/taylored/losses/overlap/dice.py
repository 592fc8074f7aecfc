"""Soft Dice: how far predicted and true regions overlap, as a share of both."""

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

__all__ = ["DiceLoss", "dice_loss"]


def dice_cost(sums: Sums, exponent: int) -> Tensor:
    """1 - 2 sum p y / (sum p^a + sum y^a) (Milletari et al. 2016, section 3, has a = 2)."""
    if exponent == 2:
        return 1.0 - sums.ratio(2.0 * sums.both, sums.predicted_squares + sums.true_squares)
    return 1.0 - sums.ratio(2.0 * sums.both, sums.predicted + sums.true)


class DiceLoss(RegionLoss):
    r"""Soft Dice loss, :math:`1 - (2 \sum p y + s_n) / (\sum p^a + \sum y^a + s_d)`.

    A class counts the same however few positions it has, which cross-entropy does not offer. The
    gradient of a position depends on the whole region: it is small while region and prediction
    hardly meet, so that Dice is mostly added to cross-entropy, `"dice + cross_entropy"`.

    Example:
        >>> import torch
        >>> logits = torch.tensor([[[2.0, 2.0, -2.0, -2.0]]])
        >>> mask = torch.tensor([[[1.0, 0.0, 0.0, 0.0]]])
        >>> DiceLoss(link="sigmoid")(logits, mask)
        tensor(0.4128)
        >>> DiceLoss(link="sigmoid", average="sample", reduction="none")(logits, mask)
        tensor([[0.4128]])
    """

    exponent: Annotated[
        int,
        About(
            "of probabilities and truths below the line: 1, or 2 as in V-Net, which makes "
            "uncertain positions cheaper",
            within="[1, 2]",
        ),
    ] = 1

    @property
    def squares(self) -> bool:
        """Whether the cost reads sums of squares."""
        return self.exponent == 2

    def cost(self, sums: Sums) -> Tensor:
        """One value per ratio."""
        return dice_cost(sums, self.exponent)


@function_of(DiceLoss)
def dice_loss(
    input: Logits, target: Tensor, *, exponent: int = 1, **shared: Unpack[RegionCall]
) -> Tensor:
    r"""Soft Dice loss, :math:`1 - (2 \sum p y + s_n) / (\sum p^a + \sum y^a + s_d)`.

    Example:
        >>> import torch
        >>> logits, truth = torch.zeros(1, 2, 4), torch.tensor([[0, 0, 0, 1]])
        >>> dice_loss(logits, truth, reduction="none")
        tensor([0.4000, 0.6667])
    """
    cost = functools.partial(dice_cost, exponent=exponent)
    return region_loss(input, target, cost, OverlapOptions(**shared), squares=exponent == 2)


SPEC = spec_of(
    "dice",
    DiceLoss,
    dice_loss,
    summary="what prediction and truth do not share, as a share of both; all classes count alike",
    formula=r"1 - \frac{2 \sum p y + s_n}{\sum p^a + \sum y^a + s_d}",
    value_range="[0, 1]",
    reference=Reference(
        "Milletari, Navab, Ahmadi",
        "V-Net: Fully Convolutional Neural Networks for Volumetric Medical Image Segmentation",
        "3DV 2016",
        "section 3",
    ),
    differs={
        "MONAI": "DiceLoss(softmax=True, to_onehot_y=True): equal to dice(average='sample', "
        "smooth_numerator=1e-5, smooth_denominator=1e-5), with batch=True to average='class'; "
        "squared_pred=True is exponent=2; its weight multiplies and does not divide: "
        "reduction='batch_mean' here",
        "smp": "DiceLoss('multiclass'): average='class', empty='perfect'; its smooth is added once "
        "per Dice of T / (T + ...): smooth_numerator = smooth_denominator = 2 smooth here",
        "kornia": "dice_loss(average='micro'): average='sample_micro' here; 'macro' is "
        "average='sample', empty='skip' for one sample, but averages classes before samples; the "
        "eps is smooth_denominator",
    },
    examples=(
        "dice()",
        "dice(exponent=2)",
        'dice(average="sample", smooth_numerator=1, smooth_denominator=1)',
        'dice(link="sigmoid", average="micro")',
        'dice(average="sample_micro", smooth_denominator=0.5)',
        'dice(average="sample", empty="skip")',
        'dice(link="sigmoid", average="sample", empty="perfect", exponent=2)',
    ),
)
