"""Multi-label margin: every true label ahead of every other by a margin, pair by pair."""

from __future__ import annotations

import functools
from typing import Annotated, Unpack

import torch
from torch import Tensor

from taylored.core.inputs.logits import Logits
from taylored.core.numerics import one_if_zero
from taylored.core.plan.options import Options
from taylored.core.rows.row_loss import set_loss
from taylored.modules.fields.parameter import About
from taylored.modules.function import function_of
from taylored.modules.spec import Reference, spec_of
from taylored.modules.vocabulary import BackgroundCall, BackgroundLoss

__all__ = ["MultiLabelMarginLoss", "multi_label_margin_loss"]


def multi_label_margin_values(z: Tensor, y: Tensor, counted: Tensor, margin: float) -> Tensor:
    """Sum over true i and other j of max(0, margin - z_i + z_j), over the number of classes."""
    # A class at -inf is no rival, not even of a truth at -inf.
    yes, no = counted & (y > 0.5), counted & ~(y > 0.5) & (z != -torch.inf)
    both = yes.unsqueeze(2) & no.unsqueeze(1)
    above, below = (torch.where(side, z, 0.0) for side in (yes, no))
    # Differences first: at an offset of 1e8 a margin of 1 would be rounded away.
    lead = torch.where(both, below.unsqueeze(1) - above.unsqueeze(2), -margin)
    return (lead + margin).clamp_min(0.0).sum((1, 2)) / one_if_zero(counted.sum(1))


class MultiLabelMarginLoss(BackgroundLoss):
    r"""Multi-label margin, :math:`\frac1C \sum_{i \in Y, j \notin Y} \max(0, \mu - z_i + z_j)`.

    Every label that is true has to lead every one that is not by the margin. Rows in which all
    labels are true, or none, cost 0. Truths above 0.5 are true. It takes memory for the square of
    the number of classes, a piece of the batch at a time.

    Example:
        >>> import torch
        >>> z, truth = torch.tensor([[0.1, 0.2, 0.4, 0.8]]), torch.tensor([[1, 0, 0, 1]])
        >>> MultiLabelMarginLoss()(z, truth)
        tensor(0.8500)
    """

    link = "sigmoid"
    unreadable = "it orders labels, and no threshold is trained"
    margin: Annotated[
        float,
        About(
            "by how much a true label has to lead; raising it keeps easier pairs in play",
            within="[0, inf)",
            search=(0.1, 10.0, "log"),
        ),
    ] = 1.0

    def evaluate(self, input: Logits, target: Tensor, options: Options) -> Tensor:
        """One value per position."""
        values = functools.partial(multi_label_margin_values, margin=self.margin)
        return set_loss(input, target, values, options)


@function_of(MultiLabelMarginLoss)
def multi_label_margin_loss(
    input: Logits,
    target: Tensor,
    *,
    margin: float = 1.0,
    **shared: Unpack[BackgroundCall],
) -> Tensor:
    r"""Multi-label margin, :math:`\frac1C \sum_{i \in Y, j \notin Y} \max(0, \mu - z_i + z_j)`.

    Example:
        >>> import torch
        >>> multi_label_margin_loss(torch.tensor([[0.5, -1.0]]), torch.tensor([[1, 0]]), margin=2)
        tensor(0.2500)
    """
    values = functools.partial(multi_label_margin_values, margin=margin)
    return set_loss(input, target, values, Options(link="sigmoid", **shared))


SPEC = spec_of(
    "multi_label_margin",
    MultiLabelMarginLoss,
    multi_label_margin_loss,
    summary="every true label has to lead every other by a margin",
    formula=r"\frac1C \sum_{i \in Y, j \notin Y} \max(0, \mu - z_i + z_j)",
    reference=Reference(
        "Elisseeff, Weston",
        "A Kernel Method for Multi-labelled Classification",
        "NeurIPS 2001",
        "section 3, per class instead of per pair",
    ),
    differs={
        "torch": "MultiLabelMarginLoss: the same values; its target lists the true classes, ended "
        "by -1, and it has no second derivative",
    },
    denominator="positions of which a class counts",
    examples=("multi_label_margin()", "multi_label_margin(margin=0.3)"),
    call="sets",
)
