"""Hinge loss of several classes, in both published forms."""

from __future__ import annotations

import functools
from typing import Annotated, ClassVar, Literal, Unpack

import torch
from torch import Tensor

from taylored.core.inputs.logits import Logits
from taylored.core.plan.options import Options
from taylored.core.rows.row_loss import truth_loss
from taylored.core.terms.point import continued, inside
from taylored.modules.fields.parameter import About
from taylored.modules.function import function_of
from taylored.modules.spec import Reference, spec_of
from taylored.modules.vocabulary import WeightedCall, WeightedLoss

__all__ = ["MulticlassHingeLoss", "multiclass_hinge_loss"]

Rivals = Literal["strongest", "mean"]


def multiclass_hinge_values(
    z: Tensor, y: Tensor, rivals: Rivals, margin: float, power: float
) -> Tensor:
    """max(0, m - z_t + z_j)^power of the strongest rival j, or its sum over rivals over C."""
    truth = y.detach() > 0.5
    own = torch.where(truth, z, 0.0).sum(1, keepdim=True)
    others = torch.where(truth, -torch.inf, z)
    if rivals == "strongest":
        others = others.amax(1, keepdim=True)
    # Differences first: at an offset of 1e8 a margin of 1 would be rounded away. A class at -inf is
    # no rival, not even of a truth at -inf.
    excess = torch.where(others == -torch.inf, 0.0, others - own + margin).clamp_min(0.0)
    # NaN is to be seen, and +inf, which a softmax has no meaning for either.
    excess = torch.where(own.isnan() | (own == torch.inf), torch.nan, excess)
    if power != 1.0:
        excess = continued(inside(excess) ** power, excess, torch.ones_like(excess))
    return excess.sum(1) / (1 if rivals == "strongest" else z.shape[1])


class MulticlassHingeLoss(WeightedLoss):
    r"""Hinge loss of several classes, :math:`\max(0, m - z_t + \max_{j \ne t} z_j)`.

    It asks for the true class's score to lead by the margin, and is content then: scores, and no
    probabilities. `rivals="strongest"` is Crammer and Singer's form, `rivals="mean"` Weston and
    Watkins's, which sums over all rivals and divides by the number of classes.

    Example:
        >>> import torch
        >>> z, truth = torch.tensor([[1.0, 0.5, -1.0]]), torch.tensor([0])
        >>> MulticlassHingeLoss()(z, truth), MulticlassHingeLoss(rivals="mean")(z, truth)
        (tensor(0.5000), tensor(0.1667))
    """

    link = "softmax"
    unreadable: ClassVar[str] = "its minimum is a score per class, and no probability"
    rivals: Annotated[
        Rivals,
        About('which classes have to be led: the "strongest" rival, or all of them in the "mean"'),
    ] = "strongest"
    margin: Annotated[
        float,
        About(
            "by how much; raising it keeps easier samples in play",
            within="[0, inf)",
            search=(0.1, 10.0, "log"),
        ),
    ] = 1.0
    power: Annotated[
        float,
        About(
            "of the shortfall; 2 makes the loss smooth and large shortfalls costlier",
            within="[1, 2]",
            search=(1.0, 2.0),
        ),
    ] = 1.0

    def evaluate(self, input: Logits, target: Tensor, options: Options) -> Tensor:
        """The shortfall of the margin."""
        values = functools.partial(
            multiclass_hinge_values, rivals=self.rivals, margin=self.margin, power=self.power
        )
        return truth_loss(input, target, values, options)


@function_of(MulticlassHingeLoss)
def multiclass_hinge_loss(
    input: Logits,
    target: Tensor,
    *,
    rivals: Rivals = "strongest",
    margin: float = 1.0,
    power: float = 1.0,
    **shared: Unpack[WeightedCall],
) -> Tensor:
    r"""Hinge loss of several classes, :math:`\max(0, m - z_t + \max_{j \ne t} z_j)`.

    Example:
        >>> import torch
        >>> multiclass_hinge_loss(torch.tensor([[1.0, 0.5, -1.0]]), torch.tensor([0]), power=2)
        tensor(0.2500)
    """
    values = functools.partial(multiclass_hinge_values, rivals=rivals, margin=margin, power=power)
    return truth_loss(input, target, values, Options(**shared))


SPEC = spec_of(
    "multiclass_hinge",
    MulticlassHingeLoss,
    multiclass_hinge_loss,
    summary="the true class has to lead the others by a margin",
    formula=r"\max(0, m - z_t + \max_{j \ne t} z_j)",
    reference=Reference(
        "Crammer, Singer",
        "On the Algorithmic Implementation of Multiclass Kernel-based Vector Machines",
        "JMLR 2001",
        "equation 4; mean: Weston, Watkins, ESANN 1999",
    ),
    differs={
        "torch": "MultiMarginLoss(p, margin): rivals='mean' with power=p; its weight is raised to "
        "no power there either, and its mean divides by N, as reduction='batch_mean'",
        "scikit-learn": "hinge_loss with several classes: rivals='strongest'",
    },
    examples=(
        "multiclass_hinge()",
        'multiclass_hinge(rivals="mean", margin=0.5)',
        "multiclass_hinge(power=2)",
    ),
    targets=("index",),
)
