"""clDice: how far the centre lines of predicted and true regions lie inside of the other."""

from __future__ import annotations

import functools
from typing import Annotated, ClassVar, Unpack

from torch import Tensor

from taylored.core.inputs.logits import Logits
from taylored.core.overlap.batch import Batch, ratio, volume_of
from taylored.core.overlap.options import OverlapOptions
from taylored.core.overlap.reduced import Ratios
from taylored.core.overlap.skeleton import soft_skeleton
from taylored.core.plan.options import LinkName
from taylored.modules.fields.parameter import About
from taylored.modules.function import function_of
from taylored.modules.overlap.base import VolumeLoss
from taylored.modules.overlap.call import check_axes, overlap_loss
from taylored.modules.overlap.vocabulary import SmoothDenominator, SmoothNumerator, VolumeCall
from taylored.modules.spec import Reference, spec_of
from taylored.modules.vocabulary import Link

__all__ = ["CLDiceLoss", "cldice_loss"]


class CLDiceCall(VolumeCall, total=False):
    """The shared keywords of its function."""

    link: LinkName
    smooth_numerator: float
    smooth_denominator: float


def cldice_costs(batch: Batch, options: OverlapOptions, iterations: int) -> Ratios:
    """1 - 2 TP TS / (TP + TS), topology precision and sensitivity (Shit et al. 2021, (2))."""
    check_axes(batch, 1, 3)
    found = volume_of(batch)
    above, below = options.smooth_numerator, options.smooth_denominator
    p, y, w = found.inside(found.p), found.y, found.w
    predicted, true = soft_skeleton(p, iterations), soft_skeleton(y, iterations)

    def inside(skeleton: Tensor, region: Tensor) -> Tensor:
        shared = batch.summed(w * skeleton * region)
        return ratio(shared + above, batch.summed(w * skeleton) + below)

    precision, sensitivity = inside(predicted, y), inside(true, p)
    share = ratio(sensitivity, precision + sensitivity, empty=0.0)
    both = 2.0 * precision * share  # in this order: the product of both may be beyond all numbers
    return Ratios(1.0 - both, batch.summed(w * y), batch.counted())


class CLDiceLoss(VolumeLoss):
    r"""Centreline Dice, :math:`1 - 2 T_p T_s / (T_p + T_s)`, for vessels, roads and strokes.

    :math:`T_p` is the share of the predicted skeleton that lies inside the true region, and
    :math:`T_s` that of the true skeleton inside the prediction. A gap in a thin structure costs as
    much as one in a thick one. It does not see how thick a structure is: add it to Dice,
    `"0.5 * cldice(iterations=3) + 0.5 * dice"`. Background has no centre line; with the softmax
    link give it no weight, `weight=[0, 1]`.

    Example:
        >>> import torch
        >>> line = torch.zeros(1, 1, 5, 7)
        >>> line[..., 2, :] = 1.0
        >>> broken = 20 * line - 10
        >>> broken[..., 3] = -10.0
        >>> loss = CLDiceLoss(link="sigmoid")
        >>> loss(20 * line - 10, line).round(decimals=3), loss(broken, line).round(decimals=3)
        (tensor(0.), tensor(0.0770))
    """

    least_axes: ClassVar[int] = 1

    link: Link = "softmax"
    iterations: Annotated[
        int,
        About(
            "how often a region is eroded; raise it to half the width of the thickest structure: "
            "less leaves thick parts without a centre line, more costs time only",
            within="[0, inf)",
        ),
    ] = 3
    smooth_numerator: SmoothNumerator = 0.0
    smooth_denominator: SmoothDenominator = 0.0

    def costs(self, batch: Batch) -> Ratios:
        """One value per class, in the batch or in each sample."""
        return cldice_costs(batch, self.options(), self.iterations)

    def options(
        self, sample_weight: Tensor | None = None, normalizer: float | Tensor | None = None
    ) -> OverlapOptions:
        """The shared options, and what smooths the ratios."""
        return (
            super()
            .options(sample_weight, normalizer)
            ._replace(
                smooth_numerator=self.smooth_numerator, smooth_denominator=self.smooth_denominator
            )
        )


@function_of(CLDiceLoss)
def cldice_loss(
    input: Logits, target: Tensor, *, iterations: int = 3, **shared: Unpack[CLDiceCall]
) -> Tensor:
    r"""Centreline Dice, :math:`1 - 2 T_p T_s / (T_p + T_s)`, for vessels, roads and strokes.

    Example:
        >>> import torch
        >>> line = torch.zeros(1, 1, 3, 5)
        >>> line[..., 1, :] = 1.0
        >>> cldice_loss(torch.zeros(1, 1, 3, 5), line, link="sigmoid")
        tensor(0.3333)
    """
    options = OverlapOptions(**shared)
    costs = functools.partial(cldice_costs, options=options, iterations=iterations)
    return overlap_loss(input, target, costs, options)


SPEC = spec_of(
    "cldice",
    CLDiceLoss,
    cldice_loss,
    summary="Dice of centre lines: gaps in thin structures cost as much as in thick ones",
    formula=r"1 - 2\,\frac{T_p T_s}{T_p + T_s},"
    r"\quad T_p = \frac{\sum S(p)\, y + s_n}{\sum S(p) + s_d}",
    value_range="[0, 1]",
    reference=Reference(
        "Shit, Paetzold, Sekuboyina, Ezhov, Unger, Zhylka, Pluim, Bauer, Menze",
        "clDice - a Novel Topology-Preserving Loss Function for Tubular Structure Segmentation",
        "CVPR 2021",
        "equation 2 and algorithm 1",
    ),
    differs={
        "MONAI": "SoftclDiceLoss(iter_): the same skeletons; it adds up over all classes of a "
        "sample, smooths with 1 above and below, and adds smooth=1e-4 to the last denominator",
    },
    examples=(
        'cldice(link="sigmoid")',
        "cldice(iterations=2, smooth_numerator=1, smooth_denominator=1)",
        'cldice(link="sigmoid", average="sample", iterations=1)',
    ),
)
