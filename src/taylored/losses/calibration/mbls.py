"""Margin-based label smoothing: logits may lie apart by a margin, and pay for more."""

from __future__ import annotations

import functools
from typing import Annotated, Unpack

import torch
from torch import Tensor

from taylored.core.inputs.logits import Logits
from taylored.core.plan.options import Options
from taylored.core.rows.log_softmax import cross_entropy_of
from taylored.core.rows.row_loss import row_loss
from taylored.modules.fields.parameter import About
from taylored.modules.function import function_of
from taylored.modules.spec import Reference, spec_of
from taylored.modules.vocabulary import WeightedCall, WeightedLoss

__all__ = ["MbLSLoss", "mbls_loss"]


def mbls_values(z: Tensor, y: Tensor, strength: float, margin: float) -> Tensor:
    """CE + a mean_k max(0, max z - z_k - m) (Liu et al. 2022, equation 10)."""
    losses = cross_entropy_of(z, y)
    if strength < torch.finfo(z.dtype).tiny:  # 0 in this dtype, times what may be infinite
        return losses
    excess = (z.amax(1, keepdim=True) - z - margin).clamp_min(0.0)
    return losses + strength * (excess / z.shape[1]).sum(1)


class MbLSLoss(WeightedLoss):
    r"""MbLS, :math:`-\log p_t + \frac{\alpha}{C} \sum_k \max(0, \max_l z_l - z_k - m)`.

    Margin-based label smoothing: plain smoothing pulls all logits together for ever, and the
    better the model is, the more. With a margin they may lie apart as far as confidence needs, and
    only what exceeds it is held back. The penalty is the mean over the classes, as the published
    code has it. A class masked by a logit of -inf would cost infinity: leave it out of the logits.

    Example:
        >>> import torch
        >>> MbLSLoss(margin=1.0)(torch.tensor([[2.0, 0.0, -1.0]]), torch.tensor([0]))
        tensor(0.2698)
    """

    link = "softmax"
    unreadable = "which logits are held back depends on which is the largest"
    strength: Annotated[
        float,
        About(
            "alpha; raising it makes what exceeds the margin costlier, 0 is cross-entropy",
            within="[0, inf)",
            fix="0.1 is the published choice",
            search=(0.01, 0.5, "log"),
        ),
    ] = 0.1
    margin: Annotated[
        float,
        About(
            "how far below the largest logit the others may lie; raising it allows confidence, 0 "
            "is MaxSup",
            within="[0, inf)",
            fix="10 is the published choice for images, 5 for text",
            search=(0.0, 20.0),
        ),
    ] = 10.0

    def evaluate(self, input: Logits, target: Tensor, options: Options) -> Tensor:
        """Cross-entropy and the penalty."""
        values = functools.partial(mbls_values, strength=self.strength, margin=self.margin)
        return row_loss(input, target, values, options)


@function_of(MbLSLoss)
def mbls_loss(
    input: Logits,
    target: Tensor,
    *,
    strength: float = 0.1,
    margin: float = 10.0,
    **shared: Unpack[WeightedCall],
) -> Tensor:
    r"""MbLS, :math:`-\log p_t + \frac{\alpha}{C} \sum_k \max(0, \max_l z_l - z_k - m)`.

    Example:
        >>> import torch
        >>> mbls_loss(torch.tensor([[2.0, 0.0, -1.0]]), torch.tensor([0]), margin=10.0)
        tensor(0.1698)
    """
    values = functools.partial(mbls_values, strength=strength, margin=margin)
    return row_loss(input, target, values, Options(**shared))


SPEC = spec_of(
    "mbls",
    MbLSLoss,
    mbls_loss,
    summary="cross-entropy that lets logits lie apart by a margin, and charges for more (MbLS)",
    formula=r"-\log p_t + \frac{\alpha}{C} \sum_k \max(0, \max_l z_l - z_k - m)",
    reference=Reference(
        "Liu, Ben Ayed, Galdran, Dolz",
        "The Devil is in the Margin: Margin-based Label Smoothing for Network Calibration",
        "CVPR 2022",
        "the relaxed problem with a linear penalty",
    ),
    differs={
        "by-liu/MbLS": "LogitMarginL1(margin=10, alpha=0.1): equal; it averages the penalty over "
        "ignored positions too",
    },
    examples=("mbls()", "mbls(margin=1, strength=0.3)"),
    identities={"mbls(margin=0)": "max_sup()", "mbls(strength=0)": "cross_entropy()"},
)
