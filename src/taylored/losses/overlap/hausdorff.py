"""Hausdorff loss: squared errors, each times the distance to the borders that it moves."""

from __future__ import annotations

import functools
from typing import Annotated, ClassVar, Unpack

from torch import Tensor

from taylored.core.inputs.logits import Logits
from taylored.core.overlap.batch import Batch, ratio, volume_of
from taylored.core.overlap.distance import border_distance
from taylored.core.overlap.options import OverlapOptions
from taylored.core.overlap.reduced import Ratios
from taylored.losses.overlap.boundary import LinkedVolumeCall
from taylored.modules.fields.parameter import About
from taylored.modules.function import function_of
from taylored.modules.overlap.base import VolumeLoss
from taylored.modules.overlap.call import check_axes, overlap_loss
from taylored.modules.spec import Reference, spec_of
from taylored.modules.vocabulary import Link

__all__ = ["HausdorffLoss", "hausdorff_loss"]


def hausdorff_costs(batch: Batch, alpha: float) -> Ratios:
    """The mean of (p - y)^2 (d_p^alpha + d_y^alpha) (Karimi and Salcudean 2020, equation 8)."""
    check_axes(batch, 1)
    found = volume_of(batch)
    p = found.inside(found.p)
    distances = [border_distance(each.detach() > 0.5, p.dtype) for each in (p, found.y)]
    distance = distances[0] ** alpha + distances[1] ** alpha
    counted = batch.counted()
    cost = ratio(batch.summed(found.w * (p - found.y).square() * distance), counted)
    return Ratios(cost, batch.summed(found.w * found.y), counted)


class HausdorffLoss(VolumeLoss):
    r"""Hausdorff loss by distance transforms: mean of :math:`(p - y)^2 (d_p^\alpha + d_y^\alpha)`.

    :math:`d_p` and :math:`d_y` are the distances to the borders of prediction and truth (above
    1/2), computed without a gradient. As alpha grows the loss approaches what the largest error
    costs, as the Hausdorff distance does. Its values are large at first: the paper adds Dice, with
    weights that make both alike.

    Example:
        >>> import torch
        >>> mask = torch.tensor([[[0.0, 0.0, 1.0, 1.0, 0.0]]])
        >>> HausdorffLoss(link="sigmoid")(torch.zeros(1, 1, 5), mask)
        tensor(0.4000)
    """

    least_axes: ClassVar[int] = 1

    link: Link = "softmax"
    alpha: Annotated[
        float,
        About(
            "exponent of the distances; raising it makes far errors dominate",
            within="[0, inf)",
            search=(1.0, 3.0),
        ),
    ] = 2.0

    def costs(self, batch: Batch) -> Ratios:
        """One value per class, in the batch or in each sample."""
        return hausdorff_costs(batch, self.alpha)


@function_of(HausdorffLoss)
def hausdorff_loss(
    input: Logits, target: Tensor, *, alpha: float = 2.0, **shared: Unpack[LinkedVolumeCall]
) -> Tensor:
    r"""Hausdorff loss by distance transforms: mean of :math:`(p - y)^2 (d_p^\alpha + d_y^\alpha)`.

    Example:
        >>> import torch
        >>> mask = torch.tensor([[[0.0, 0.0, 1.0, 1.0, 0.0]]])
        >>> hausdorff_loss(10 * mask - 5, mask, link="sigmoid") < 1e-3
        tensor(True)
    """
    costs = functools.partial(hausdorff_costs, alpha=alpha)
    return overlap_loss(input, target, costs, OverlapOptions(**shared))


SPEC = spec_of(
    "hausdorff",
    HausdorffLoss,
    hausdorff_loss,
    summary="squared errors times powers of their distances to the borders of both regions",
    formula=r"\tfrac{1}{|\Omega|} \sum (p - y)^2 (d_p^\alpha + d_y^\alpha)",
    reference=Reference(
        "Karimi, Salcudean",
        "Reducing the Hausdorff Distance in Medical Image Segmentation with Convolutional Neural "
        "Networks",
        "IEEE TMI 2020",
        "equation 8",
    ),
    differs={
        "MONAI": "HausdorffDTLoss(alpha=alpha, include_background=True, softmax=True, "
        "to_onehot_y=True): equal to hausdorff(average='sample', alpha=alpha)",
    },
    examples=(
        "hausdorff()",
        'hausdorff(link="sigmoid", average="sample", alpha=1)',
    ),
)
