"""ZLPR: every true class above zero, every other below, in one sum of exponentials."""

from __future__ import annotations

from typing import Unpack

import torch
from torch import Tensor

from taylored.core.inputs.logits import Logits
from taylored.core.plan.options import Options
from taylored.core.rows.row_loss import set_loss
from taylored.modules.function import function_of
from taylored.modules.spec import Reference, spec_of
from taylored.modules.vocabulary import BackgroundCall, BackgroundLoss

__all__ = ["ZLPRLoss", "zlpr_loss"]


def zlpr_values(z: Tensor, y: Tensor, counted: Tensor) -> Tensor:
    """log(1 + sum_no e^z) + log(1 + sum_yes e^-z) (Su et al. 2022, equation 9)."""
    # What has no share on a side is left out of it: infinite logits may stand there.
    no = torch.where(counted & (y < 1), z + torch.log1p(-y), -torch.inf)
    yes = torch.where(counted & (y > 0), torch.log(y) - z, -torch.inf)
    return _log_one_plus_sum(no) + _log_one_plus_sum(yes)


def _log_one_plus_sum(exponents: Tensor) -> Tensor:
    return torch.logsumexp(torch.cat([torch.zeros_like(exponents[:, :1]), exponents], 1), 1)


class ZLPRLoss(BackgroundLoss):
    r"""ZLPR, :math:`\log(1 + \sum_{no} e^{z}) + \log(1 + \sum_{yes} e^{-z})`.

    Zero is the bound between the classes that are true and those that are not, and the hardest of
    each side take most of the gradient, so that thousands of easy negatives do not drown a few
    positives. It has no parameter. A truth between 0 and 1 stands on both sides, by its share.

    Example:
        >>> import torch
        >>> ZLPRLoss()(torch.tensor([[2.0, -1.0, -3.0]]), torch.tensor([[1.0, 0.0, 0.0]]))
        tensor(0.4759)
    """

    link = "sigmoid"

    def evaluate(self, input: Logits, target: Tensor, options: Options) -> Tensor:
        """One value per position."""
        return set_loss(input, target, zlpr_values, options)

    unreadable = "its classes depend on each other in a sum that has no closed minimum"


@function_of(ZLPRLoss)
def zlpr_loss(input: Logits, target: Tensor, **shared: Unpack[BackgroundCall]) -> Tensor:
    r"""ZLPR, :math:`\log(1 + \sum_{no} e^{z}) + \log(1 + \sum_{yes} e^{-z})`.

    Example:
        >>> import torch
        >>> zlpr_loss(torch.tensor([[2.0, -1.0]]), torch.tensor([[1.0, 0.0]]), reduction="none")
        tensor([0.4402])
    """
    return set_loss(input, target, zlpr_values, Options(link="sigmoid", **shared))


SPEC = spec_of(
    "zlpr",
    ZLPRLoss,
    zlpr_loss,
    summary="true classes above zero, the others below, the hardest first; no parameter",
    formula=r"\log(1 + \sum_{no} e^{z}) + \log(1 + \sum_{yes} e^{-z})",
    reference=Reference(
        "Su, Zhu, Murtadha, Pan, Wen, Liu",
        "ZLPR: A Novel Loss for Multi-label Classification",
        "arXiv 2208.02955",
        "equation 9",
    ),
    differs={
        "timm": "ZLPR: equal for hard targets",
    },
    examples=("zlpr()",),
    denominator="positions of which a class counts",
    call="sets",
)
