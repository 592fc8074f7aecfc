"""Lovasz hinge: the Jaccard index of a yes / no class, by its continuation at hinge errors."""

from __future__ import annotations

from typing import ClassVar, Unpack

import torch.nn.functional as F
from torch import Tensor

from taylored.core.inputs.logits import Logits
from taylored.core.overlap.batch import Batch
from taylored.core.overlap.lovasz import lovasz_ratios
from taylored.core.overlap.options import OverlapOptions
from taylored.core.overlap.reduced import Ratios
from taylored.core.plan.options import LinkName
from taylored.modules.function import function_of
from taylored.modules.overlap.base import VolumeLoss
from taylored.modules.overlap.call import overlap_loss
from taylored.modules.overlap.vocabulary import VolumeCall
from taylored.modules.spec import Reference, spec_of

__all__ = ["LovaszHingeLoss", "lovasz_hinge_loss"]


def lovasz_hinge_costs(batch: Batch) -> Ratios:
    """The extension at max(0, 1 - s x), s = 2 y - 1 (Berman et al. 2018, equations 8 to 10)."""
    found = batch.elements()
    errors = F.relu(1.0 - found.z * (2.0 * found.y - 1.0))
    return lovasz_ratios(batch, errors, found.y, found.coefficient.expand(errors.shape))


class LovaszHingeLoss(VolumeLoss):
    r"""Lovasz hinge, :math:`\overline{\Delta_J}(\max(0, 1 - s x))` of yes / no classes.

    It works on the logits x with the sign s of the truth, and is 0 only if every position is right
    by a margin of 1. It grows in proportion to the logits: unlike Lovasz softmax it has no bound.

    Example:
        >>> import torch
        >>> logits = torch.tensor([[[2.0, 0.5, -2.0, -2.0]]])
        >>> mask = torch.tensor([[[1.0, 0.0, 0.0, 0.0]]])
        >>> LovaszHingeLoss()(logits, mask)
        tensor(0.7500)
    """

    link: ClassVar[LinkName] = "sigmoid"

    def costs(self, batch: Batch) -> Ratios:
        """One value per class, in the batch or in each sample."""
        return lovasz_hinge_costs(batch)


@function_of(LovaszHingeLoss)
def lovasz_hinge_loss(input: Logits, target: Tensor, **shared: Unpack[VolumeCall]) -> Tensor:
    r"""Lovasz hinge, :math:`\overline{\Delta_J}(\max(0, 1 - s x))` of yes / no classes.

    Example:
        >>> import torch
        >>> lovasz_hinge_loss(torch.tensor([[[-1.0, -2.0]]]), torch.tensor([[[1.0, 0.0]]]))
        tensor(2.)
    """
    return overlap_loss(input, target, lovasz_hinge_costs, OverlapOptions(link="sigmoid", **shared))


SPEC = spec_of(
    "lovasz_hinge",
    LovaszHingeLoss,
    lovasz_hinge_loss,
    summary="the Jaccard index of yes / no classes, continued to hinge errors by sorting them",
    formula=r"\overline{\Delta_J}(\max(0, 1 - s x))",
    reference=Reference(
        "Berman, Triki, Blaschko",
        "The Lovasz-Softmax loss: A tractable surrogate for the optimization of the "
        "intersection-over-union measure in neural networks",
        "CVPR 2018",
        "equations 8 to 10",
    ),
    differs={
        "LovaszSoftmax": "the authors' code: lovasz_hinge(per_image=True) is average='sample', "
        "per_image=False average='class'",
        "smp": "LovaszLoss('binary'): equal, with per_image for average='sample'",
        "kornia": "lovasz_hinge_loss: average='sample'; takes one channel",
    },
    examples=(
        "lovasz_hinge()",
        'lovasz_hinge(average="sample")',
        'lovasz_hinge(empty="skip")',
    ),
)
