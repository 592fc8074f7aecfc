"""Jaccard: intersection over union of predicted and true regions."""

from __future__ import annotations

from typing import Unpack

from torch import Tensor

from taylored.core.inputs.logits import Logits
from taylored.core.overlap.options import OverlapOptions
from taylored.core.overlap.sums import Sums
from taylored.modules.function import function_of
from taylored.modules.overlap.base import RegionLoss
from taylored.modules.overlap.call import region_loss
from taylored.modules.overlap.vocabulary import RegionCall
from taylored.modules.spec import Reference, spec_of

__all__ = ["JaccardLoss", "jaccard_loss"]


def jaccard_cost(sums: Sums) -> Tensor:
    """1 - sum p y / (sum p + sum y - sum p y) (Rahman and Wang 2016, equation 3)."""
    return 1.0 - sums.ratio(sums.both, sums.predicted + sums.true - sums.both)


class JaccardLoss(RegionLoss):
    r"""Soft Jaccard or IoU loss, :math:`1 - (\sum p y + s_n) / (\sum (p + y - p y) + s_d)`.

    Without smoothing it is D / (1 + D) * 2 of the Dice loss D: it orders predictions alike, and has
    a larger gradient where they are nearly right.

    Example:
        >>> import torch
        >>> logits = torch.tensor([[[2.0, 2.0, -2.0, -2.0]]])
        >>> mask = torch.tensor([[[1.0, 0.0, 0.0, 0.0]]])
        >>> JaccardLoss(link="sigmoid")(logits, mask)
        tensor(0.5844)
    """

    def cost(self, sums: Sums) -> Tensor:
        """One value per ratio."""
        return jaccard_cost(sums)


@function_of(JaccardLoss)
def jaccard_loss(input: Logits, target: Tensor, **shared: Unpack[RegionCall]) -> Tensor:
    r"""Soft Jaccard or IoU loss, :math:`1 - (\sum p y + s_n) / (\sum (p + y - p y) + s_d)`.

    Example:
        >>> import torch
        >>> logits, truth = torch.zeros(1, 2, 4), torch.tensor([[0, 0, 0, 1]])
        >>> jaccard_loss(logits, truth, reduction="none")
        tensor([0.5714, 0.8000])
    """
    return region_loss(input, target, jaccard_cost, OverlapOptions(**shared))


SPEC = spec_of(
    "jaccard",
    JaccardLoss,
    jaccard_loss,
    summary="1 - intersection over union of predicted and true regions",
    formula=r"1 - \frac{\sum p y + s_n}{\sum (p + y - p y) + s_d}",
    value_range="[0, 1]",
    reference=Reference(
        "Rahman, Wang",
        "Optimizing Intersection-Over-Union in Deep Neural Networks for Image Segmentation",
        "ISVC 2016",
        "equation 3",
    ),
    differs={
        "MONAI": "DiceLoss(jaccard=True): equal to jaccard(average='sample') with half of its "
        "smooth_nr and smooth_dr",
        "smp": "JaccardLoss('multiclass'): average='class', empty='perfect'",
    },
    examples=(
        "jaccard()",
        'jaccard(link="sigmoid", average="sample", smooth_numerator=1, smooth_denominator=1)',
        'jaccard(average="micro", empty="skip")',
    ),
)
