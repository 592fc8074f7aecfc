"""LogitNorm: cross-entropy of logits whose length is taken off."""

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
from taylored.modules.vocabulary import SmoothedCall, SmoothedLoss

__all__ = ["LogitNormLoss", "logit_norm_loss"]

_SHORTEST = 1e-3
"""Logits shorter than this are not lengthened: their gradient would be 1 / (tau length)."""


def logit_norm_values(z: Tensor, y: Tensor, tau: float) -> Tensor:
    """Cross-entropy of z / (tau |z|) (Wei et al. 2022, equation 5)."""
    masked = z == -torch.inf  # has no length
    kept = torch.where(masked, 0.0, z)
    size = kept.detach().abs().amax(1, keepdim=True).clamp_min(1.0)  # squares do not overflow
    scaled = kept / size
    length = (scaled**2).sum(1, keepdim=True).clamp_min((_SHORTEST / size) ** 2).sqrt()
    return cross_entropy_of(torch.where(masked, -torch.inf, scaled / (tau * length)), y)


class LogitNormLoss(SmoothedLoss):
    r"""LogitNorm, cross-entropy of :math:`z / (\tau \|z\|)`.

    Even when all samples are right, cross-entropy goes down as logits grow, and so they do, for
    inputs of an unknown kind as well. Without their length only the direction is learned: maximum
    probabilities tell known from unknown inputs better. The model is read by the largest logit;
    for probabilities fit a temperature. A logit of -inf leaves a class out.

    Example:
        >>> import torch
        >>> LogitNormLoss(tau=1.0)(torch.tensor([[3.0, 4.0]]), torch.tensor([1]))
        tensor(0.5981)
    """

    link = "softmax"
    unreadable = "only the direction of the logits is trained, and no direction is certain enough"
    tau: Annotated[
        float,
        About(
            "temperature; lowering it lets the loss come closer to 0, raising it keeps a pull on "
            "samples that are right",
            within="(0, inf)",
            fix="0.04 is the published choice for ten classes",
            search=(0.01, 1.0, "log"),
        ),
    ] = 0.04

    def evaluate(self, input: Logits, target: Tensor, options: Options) -> Tensor:
        """Cross-entropy of the directions."""
        return row_loss(input, target, functools.partial(logit_norm_values, tau=self.tau), options)


@function_of(LogitNormLoss)
def logit_norm_loss(
    input: Logits, target: Tensor, *, tau: float = 0.04, **shared: Unpack[SmoothedCall]
) -> Tensor:
    r"""LogitNorm, cross-entropy of :math:`z / (\tau \|z\|)`.

    Example:
        >>> import torch
        >>> logit_norm_loss(torch.tensor([[30.0, 40.0]]), torch.tensor([1]), tau=1.0)
        tensor(0.5981)
    """
    values = functools.partial(logit_norm_values, tau=tau)
    return row_loss(input, target, values, Options(**shared))


SPEC = spec_of(
    "logit_norm",
    LogitNormLoss,
    logit_norm_loss,
    summary="cross-entropy of the direction of the logits, for telling unknown inputs",
    formula=r"-\log \mathrm{softmax}(z / (\tau \|z\|))_t",
    reference=Reference(
        "Wei, Xie, Cheng, Feng, An, Li",
        "Mitigating Neural Network Overconfidence with Logit Normalization",
        "ICML 2022",
        "the LogitNorm loss",
    ),
    differs={
        "hongxin001/logitnorm_ood": "adds 1e-7 to the length, and gives logits shorter than 0.001 "
        "gradients of up to 10^8; equal for all others",
    },
    examples=("logit_norm()", "logit_norm(tau=0.5, label_smoothing=0.1)"),
)
