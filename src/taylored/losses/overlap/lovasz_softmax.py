"""Lovasz softmax: the Jaccard index of each class, by its convex continuation."""

from __future__ import annotations

from typing import ClassVar, Unpack

from torch import Tensor

from taylored.core.inputs.logits import Logits
from taylored.core.overlap.batch import Batch
from taylored.core.overlap.lovasz import lovasz_ratios
from taylored.core.overlap.options import Empty, OverlapOptions, PerClassAverage
from taylored.core.overlap.reduced import Ratios
from taylored.core.plan.options import LinkName
from taylored.modules.function import function_of
from taylored.modules.overlap.base import VolumeLoss
from taylored.modules.overlap.call import overlap_loss
from taylored.modules.overlap.vocabulary import EmptyPolicy, OverlapCall
from taylored.modules.spec import Reference, spec_of

__all__ = ["LovaszSoftmaxLoss", "lovasz_softmax_loss"]


def lovasz_softmax_costs(batch: Batch) -> Ratios:
    """The extension at the errors |y - p| (Berman et al. 2018, equations 8, 9 and 11)."""
    found = batch.elements()
    errors = (found.y - batch.probabilities(found.z)).abs()
    return lovasz_ratios(batch, errors, found.y, found.coefficient.expand(errors.shape))


class LovaszSoftmaxLoss(VolumeLoss):
    r"""Lovasz softmax, :math:`\overline{\Delta_{J_c}}(|y - p|)` of every class.

    For hard predictions it is exactly 1 - Jaccard, and between them the tightest convex function
    of the errors. The errors are sorted, and each counts by how much it lowers the index. Where a
    class has no truth, all of it rests on the one largest error: such classes are left out by
    default, empty="keep" counts them.

    Example:
        >>> import torch
        >>> logits, truth = torch.zeros(1, 2, 4), torch.tensor([[0, 0, 0, 1]])
        >>> LovaszSoftmaxLoss(reduction="none")(logits, truth)
        tensor([0.5000, 0.5000])
    """

    link: ClassVar[LinkName] = "softmax"
    empty: EmptyPolicy = "skip"

    def costs(self, batch: Batch) -> Ratios:
        """One value per class, in the batch or in each sample."""
        return lovasz_softmax_costs(batch)


@function_of(LovaszSoftmaxLoss)
def lovasz_softmax_loss(
    input: Logits,
    target: Tensor,
    *,
    average: PerClassAverage = "class",
    empty: Empty = "skip",
    **shared: Unpack[OverlapCall],
) -> Tensor:
    r"""Lovasz softmax, :math:`\overline{\Delta_{J_c}}(|y - p|)` of every class.

    Example:
        >>> import torch
        >>> logits, truth = torch.zeros(1, 3, 4), torch.tensor([[0, 0, 0, 1]])
        >>> lovasz_softmax_loss(logits, truth, empty="keep", reduction="none")
        tensor([0.6667, 0.6667, 0.3333])
    """
    options = OverlapOptions(link="softmax", average=average, empty=empty, **shared)
    return overlap_loss(input, target, lovasz_softmax_costs, options)


SPEC = spec_of(
    "lovasz_softmax",
    LovaszSoftmaxLoss,
    lovasz_softmax_loss,
    summary="the Jaccard index of every class, continued to soft errors by sorting them",
    formula=r"\overline{\Delta_{J_c}}(|y - p|)",
    value_range="[0, 1]",
    reference=Reference(
        "Berman, Triki, Blaschko",
        "The Lovasz-Softmax loss: A tractable surrogate for the optimization of the "
        "intersection-over-union measure in neural networks",
        "CVPR 2018",
        "equations 8, 9 and 11",
    ),
    differs={
        "LovaszSoftmax": "the authors' code: lovasz_softmax(per_image=False, classes='present') is "
        "lovasz_softmax(); per_image=True averages the present classes of an image first; "
        "classes='all' is empty='keep'",
        "smp": "LovaszLoss('multiclass'): equal; per_image as in the authors' code",
        "kornia": "lovasz_softmax_loss: average='sample', empty='keep'; its weight is not divided "
        "by: reduction='batch_mean' here",
    },
    examples=(
        "lovasz_softmax()",
        'lovasz_softmax(average="sample")',
        'lovasz_softmax(empty="keep")',
    ),
)
