"""Boundary loss: probability times the signed distance to the true border."""

from __future__ import annotations

from typing import ClassVar, Unpack

from torch import Tensor

from taylored.core.inputs.logits import Logits
from taylored.core.overlap.batch import Batch, ratio, volume_of
from taylored.core.overlap.distance import signed_distance
from taylored.core.overlap.options import OverlapOptions
from taylored.core.overlap.reduced import Ratios
from taylored.core.plan.options import LinkName
from taylored.modules.function import function_of
from taylored.modules.overlap.base import VolumeLoss
from taylored.modules.overlap.call import check_axes, overlap_loss
from taylored.modules.overlap.vocabulary import VolumeCall
from taylored.modules.spec import Reference, spec_of
from taylored.modules.vocabulary import Link

__all__ = ["BoundaryLoss", "boundary_loss"]


class LinkedVolumeCall(VolumeCall, total=False):
    """The shared keywords of its function."""

    link: LinkName


def boundary_costs(batch: Batch) -> Ratios:
    """The mean of p phi, phi the signed distance to the border (Kervadec et al. 2019, (5))."""
    check_axes(batch, 1)
    found = volume_of(batch)
    distance = signed_distance(found.y.detach() > 0.5, found.p.dtype)
    counted = batch.counted()
    cost = ratio(batch.summed(found.w * found.p * distance), counted)
    return Ratios(cost, batch.summed(found.w * found.y), counted)


class BoundaryLoss(VolumeLoss):
    r"""Boundary loss, the mean of :math:`p\,\varphi` over the positions.

    :math:`\varphi` is the distance to the border of the true region (truth above 1/2), positive
    outside of it and negative inside, in positions; it is computed from the target without a
    gradient, exactly, in time proportional to the lengths of the axes. A false positive costs the
    more the farther away it is. The loss is least, and negative, where prediction and truth are
    equal; alone it tends to empty predictions, and the paper adds it to generalised Dice:
    `"generalized_dice + 0.01 * boundary"`.

    Example:
        >>> import torch
        >>> mask = torch.tensor([[[0.0, 0.0, 1.0, 1.0, 0.0]]])
        >>> BoundaryLoss(link="sigmoid")(torch.zeros(1, 1, 5), mask)
        tensor(0.4000)
    """

    least_axes: ClassVar[int] = 1

    link: Link = "softmax"

    def costs(self, batch: Batch) -> Ratios:
        """One value per class, in the batch or in each sample."""
        return boundary_costs(batch)


@function_of(BoundaryLoss)
def boundary_loss(input: Logits, target: Tensor, **shared: Unpack[LinkedVolumeCall]) -> Tensor:
    r"""Boundary loss, the mean of :math:`p\,\varphi` over the positions.

    Example:
        >>> import torch
        >>> boundary_loss(torch.zeros(1, 2, 5), torch.tensor([[0, 0, 1, 1, 0]]), reduction="none")
        tensor([0.1000, 0.4000])
    """
    return overlap_loss(input, target, boundary_costs, OverlapOptions(**shared))


SPEC = spec_of(
    "boundary",
    BoundaryLoss,
    boundary_loss,
    summary="probability times the signed distance to the true border: far errors cost more",
    formula=r"\tfrac{1}{|\Omega|} \sum p\, \varphi",
    value_range="(-inf, inf)",
    reference=Reference(
        "Kervadec, Bouchtiba, Desrosiers, Granger, Dolz, Ben Ayed",
        "Boundary loss for highly unbalanced segmentation",
        "MIDL 2019",
        "equation 5",
    ),
    differs={
        "boundary-loss": "the authors' code: the same distances, which its data loader computes; "
        "its idc chooses classes, weight here",
        "MONAI": "BoundaryLoss(softmax=True, to_onehot_y=True): equal to "
        "boundary(average='sample')",
    },
    examples=(
        "boundary()",
        'boundary(link="sigmoid", average="sample")',
        'boundary(empty="skip")',
    ),
)
