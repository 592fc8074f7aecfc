"""MaxSup: cross-entropy that holds the largest logit down, whichever class has it."""

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

__all__ = ["MaxSupLoss", "max_sup_loss"]


def max_sup_values(z: Tensor, y: Tensor, strength: float) -> Tensor:
    """CE + a (max z - mean z) (Zhou et al. 2025)."""
    losses = cross_entropy_of(z, y)
    if strength < torch.finfo(z.dtype).tiny:  # 0 in this dtype, times what may be infinite
        return losses
    # Divided first: a sum of huge logits would overflow, and their mean does not.
    return losses + strength * ((z.amax(1, keepdim=True) - z) / z.shape[1]).sum(1)


class MaxSupLoss(WeightedLoss):
    r"""MaxSup, :math:`-\log p_t + \alpha\,(\max_k z_k - \bar z)`.

    Label smoothing is :math:`\alpha\,(z_t - \bar z)` added to cross-entropy: it holds the true
    class down, also where the model is wrong, which makes errors more confident. MaxSup holds down
    the class that has won. A class masked by a logit of -inf would make the mean infinite: leave
    it out of the logits instead.

    Example:
        >>> import torch
        >>> MaxSupLoss(strength=0.1)(torch.tensor([[2.0, 0.0, -1.0]]), torch.tensor([0]))
        tensor(0.3365)
    """

    link = "softmax"
    unreadable = "which logit is held down depends on which is the largest"
    strength: Annotated[
        float,
        About(
            "alpha; raising it makes confident predictions costlier, 0 is cross-entropy",
            within="[0, inf)",
            fix="0.1 is usual, as for label smoothing",
            search=(0.01, 0.5, "log"),
        ),
    ] = 0.1

    def evaluate(self, input: Logits, target: Tensor, options: Options) -> Tensor:
        """Cross-entropy and the penalty."""
        values = functools.partial(max_sup_values, strength=self.strength)
        return row_loss(input, target, values, options)


@function_of(MaxSupLoss)
def max_sup_loss(
    input: Logits, target: Tensor, *, strength: float = 0.1, **shared: Unpack[WeightedCall]
) -> Tensor:
    r"""MaxSup, :math:`-\log p_t + \alpha\,(\max_k z_k - \bar z)`.

    Example:
        >>> import torch
        >>> max_sup_loss(torch.tensor([[2.0, 0.0, -1.0]]), torch.tensor([1]), strength=0.1)
        tensor(2.3365)
    """
    values = functools.partial(max_sup_values, strength=strength)
    return row_loss(input, target, values, Options(**shared))


SPEC = spec_of(
    "max_sup",
    MaxSupLoss,
    max_sup_loss,
    summary="cross-entropy that holds the largest logit down, in place of label smoothing",
    formula=r"-\log p_t + \alpha\,(\max_k z_k - \tfrac{1}{C} \sum_k z_k)",
    reference=Reference(
        "Zhou, Li, Fu, Yang, Zhu, Wang, Luo, Shao",
        "MaxSup: Overcoming Representation Collapse in Label Smoothing",
        "NeurIPS 2025",
        "the MaxSup loss",
    ),
    differs={
        "torch-uncertainty": "CrossEntropyMaxSupLoss: its cross-entropy is averaged over the batch "
        "even for reduction='none', its class weight spreads the penalty over (N, C), and ignored "
        "positions are counted; equal for the plain mean",
    },
    examples=("max_sup()", "max_sup(strength=0.5)"),
    identities={"max_sup(strength=0)": "cross_entropy()"},
)
