"""Generalised Dice: one ratio of all classes, in which each has the weight of its rarity."""

from __future__ import annotations

import functools
from typing import Annotated, Literal, Unpack

import torch
from torch import Tensor

from taylored.core.inputs.logits import Logits
from taylored.core.overlap.batch import Batch
from taylored.core.overlap.options import Empty, OverlapOptions
from taylored.core.overlap.reduced import Ratios
from taylored.core.overlap.sums import class_weights, sums_of
from taylored.core.plan.options import LinkName
from taylored.losses.overlap.dice import dice_cost
from taylored.modules.fields.parameter import About
from taylored.modules.function import function_of
from taylored.modules.overlap.base import RegionLoss
from taylored.modules.overlap.call import overlap_loss
from taylored.modules.overlap.vocabulary import OverlapCall
from taylored.modules.spec import Reference, spec_of

__all__ = ["GeneralizedDiceLoss", "generalized_dice_loss"]

Pooled = Literal["micro", "sample_micro"]


class PooledCall(OverlapCall, total=False):
    """The shared keywords of a loss with one ratio for all classes."""

    link: LinkName
    empty: Empty
    smooth_numerator: float
    smooth_denominator: float


def generalized_dice_costs(batch: Batch, options: OverlapOptions, rarity: float) -> Ratios:
    """1 - 2 sum_c w_c T_c / sum_c w_c (P_c + Y_c), w_c = Y_c^-rarity (Sudre et al. 2017, (4))."""
    smooth = (options.smooth_numerator, options.smooth_denominator)
    sums = sums_of(batch, squares=False, smooth=smooth)
    own = class_weights(options.weight, sums.true)
    weight = volume_weights(sums.true, rarity, own, largest=options.empty == "keep")
    pooled = sums.pooled(weight if own is None else weight * own)
    return Ratios(dice_cost(pooled.settled(), 1), pooled.true, pooled.counted)


def volume_weights(volume: Tensor, rarity: float, own: Tensor | None, *, largest: bool) -> Tensor:
    """Weights of the classes by their volume.

    A class without any has the `largest` weight of those that count, or else 0.
    """
    absent = volume == 0
    weight = torch.where(absent, 0.0, torch.where(absent, 1.0, volume) ** -rarity)
    if not largest or volume.shape[1] == 0:
        return weight
    counting = weight if own is None else torch.where(own == 0, 0.0, weight)
    most = counting.amax(dim=1, keepdim=True)
    return torch.where(absent, torch.where(most > 0, most, 1.0), weight)


class GeneralizedDiceLoss(RegionLoss):
    r"""Generalised Dice, :math:`1 - (2 \sum_c w_c T_c + s_n) / (\sum_c w_c (P_c + Y_c) + s_d)`.

    T, P and Y are the sums of p y, p and y; the weight w_c is Y_c to the power of minus `rarity`. A
    class without truth has the largest weight of the others with empty="keep", and is left out
    otherwise.

    Example:
        >>> import torch
        >>> logits, truth = torch.zeros(1, 2, 4), torch.tensor([[0, 0, 0, 1]])
        >>> GeneralizedDiceLoss()(logits, truth)
        tensor(0.6250)
    """

    average: Annotated[
        Pooled,
        About(
            'what one ratio of all classes is formed over: "micro" the whole batch, '
            '"sample_micro" one sample'
        ),
    ] = "micro"
    rarity: Annotated[
        float,
        About(
            "exponent of a class's volume in its weight; raising it favours small classes: 2 in "
            'the paper, 0 is dice(average="micro")',
            within="[0, inf)",
            search=(0.0, 2.0),
        ),
    ] = 2.0

    def costs(self, batch: Batch) -> Ratios:
        """One value per batch or sample."""
        return generalized_dice_costs(batch, self.options(), self.rarity)


@function_of(GeneralizedDiceLoss)
def generalized_dice_loss(
    input: Logits,
    target: Tensor,
    *,
    average: Pooled = "micro",
    rarity: float = 2.0,
    **shared: Unpack[PooledCall],
) -> Tensor:
    r"""Generalised Dice, :math:`1 - (2 \sum_c w_c T_c + s_n) / (\sum_c w_c (P_c + Y_c) + s_d)`.

    Example:
        >>> import torch
        >>> logits, truth = torch.zeros(1, 2, 4), torch.tensor([[0, 0, 0, 1]])
        >>> generalized_dice_loss(logits, truth, rarity=0.0)
        tensor(0.5000)
    """
    options = OverlapOptions(average=average, **shared)
    costs = functools.partial(generalized_dice_costs, options=options, rarity=rarity)
    return overlap_loss(input, target, costs, options)


SPEC = spec_of(
    "generalized_dice",
    GeneralizedDiceLoss,
    generalized_dice_loss,
    summary="one Dice of all classes, each with the weight of its rarity, 1 / volume^2",
    formula=r"1 - \frac{2 \sum_c w_c T_c + s_n}{\sum_c w_c (P_c + Y_c) + s_d},"
    r"\quad w_c = Y_c^{-\rho}",
    value_range="[0, 1]",
    reference=Reference(
        "Sudre, Li, Vercauteren, Ourselin, Cardoso",
        "Generalised Dice overlap as a deep learning loss function for highly unbalanced "
        "segmentations",
        "DLMIA 2017",
        "equation 4",
    ),
    differs={
        "MONAI": "GeneralizedDiceLoss(softmax=True, to_onehot_y=True): equal to "
        "generalized_dice(average='sample_micro', smooth_numerator=1e-5, "
        "smooth_denominator=1e-5), with batch=True to average='micro'; w_type is rarity 2, 1 or 0",
    },
    examples=(
        "generalized_dice()",
        'generalized_dice(rarity=1, average="sample_micro")',
        'generalized_dice(link="sigmoid", empty="skip", smooth_denominator=0.1)',
    ),
    identities={"generalized_dice(rarity=0)": 'dice(average="micro")'},
)
