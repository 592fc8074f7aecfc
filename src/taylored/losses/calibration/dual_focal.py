"""Dual focal loss: focusing by the lead over the next class, for calibrated probabilities."""

from __future__ import annotations

import functools
from typing import Annotated, Unpack

import torch
from torch import Tensor

from taylored.core.inputs.logits import Logits
from taylored.core.links.margins import margin_of
from taylored.core.plan.options import Options
from taylored.core.rows.row_loss import truth_loss
from taylored.core.terms.point import Point, continued, inside
from taylored.modules.fields.parameter import About
from taylored.modules.function import function_of
from taylored.modules.spec import Reference, spec_of
from taylored.modules.vocabulary import WeightedCall, WeightedLoss

__all__ = ["DualFocalLoss", "dual_focal_loss"]


def dual_focal_values(z: Tensor, y: Tensor, gamma: float) -> Tensor:
    """-(1 - p_t + p_j)^gamma log p_t, p_j the largest below p_t (Tao et al. 2023, equation 6)."""
    hot = y.detach().argmax(1, keepdim=True)
    margin, own = margin_of(z, hot), z.gather(1, hot)
    at = Point(inside(margin))
    below = torch.where(z < own, z, -torch.inf).amax(1, keepdim=True)
    none = below == -torch.inf
    # p_j / (1 - p_t), in [0, 1]: 1 - p_t itself would have lost its digits.
    share = torch.exp(torch.where(none, 0.0, at.margin - (own - below)).clamp_max(0.0))
    log_base = at.log_q + torch.log1p(torch.where(none, 0.0, share))
    losses = torch.exp(gamma * log_base) * at.nll
    return continued(losses, margin, torch.ones_like(margin)).squeeze(1)


class DualFocalLoss(WeightedLoss):
    r"""Dual focal loss, :math:`-(1 - p_t + p_j)^\gamma \log p_t`.

    p_j is the largest probability below that of the truth. Focal loss looks at p_t alone and ends
    up underconfident; here a sample is easy only when the truth leads the next class, and what
    the model says stays closer to how often it is right.

    Example:
        >>> import torch
        >>> DualFocalLoss(gamma=2)(torch.tensor([[2.0, 0.0, -1.0]]), torch.tensor([0]))
        tensor(0.0124)
    """

    link = "softmax"
    unreadable = "its focus jumps where the order of the classes changes"
    gamma: Annotated[
        float,
        About(
            "focusing; raising it silences samples whose truth leads by far, 0 is cross-entropy",
            within="[0, inf)",
            fix="5 is the published choice",
            search=(0.0, 8.0),
        ),
    ] = 5.0

    def evaluate(self, input: Logits, target: Tensor, options: Options) -> Tensor:
        """The focused cross-entropy."""
        values = functools.partial(dual_focal_values, gamma=self.gamma)
        return truth_loss(input, target, values, options)


@function_of(DualFocalLoss)
def dual_focal_loss(
    input: Logits, target: Tensor, *, gamma: float = 5.0, **shared: Unpack[WeightedCall]
) -> Tensor:
    r"""Dual focal loss, :math:`-(1 - p_t + p_j)^\gamma \log p_t`.

    Example:
        >>> import torch
        >>> dual_focal_loss(torch.tensor([[2.0, 0.0, -1.0]]), torch.tensor([1]), gamma=2)
        tensor(1.8679)
    """
    values = functools.partial(dual_focal_values, gamma=gamma)
    return truth_loss(input, target, values, Options(**shared))


SPEC = spec_of(
    "dual_focal",
    DualFocalLoss,
    dual_focal_loss,
    summary="focal loss whose focus is the lead over the next class; better calibrated",
    formula=r"-(1 - p_t + p_j)^{\gamma} \log p_t,\quad p_j = \max_k \{p_k : p_k < p_t\}",
    reference=Reference(
        "Tao, Dong, Xu",
        "Dual Focal Loss for Calibration",
        "ICML 2023",
        "the dual focal loss",
    ),
    differs={
        "Linwei94/DualFocalLoss": "equal; there it sums by default (size_average=False). Three "
        "other losses share the name",
    },
    examples=("dual_focal()", "dual_focal(gamma=0.5)"),
    identities={"dual_focal(gamma=0)": "cross_entropy()"},
    targets=("index",),
)
