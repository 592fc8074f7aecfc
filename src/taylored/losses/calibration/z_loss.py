"""The z-loss: the log-partition is kept near zero."""

from __future__ import annotations

from typing import Unpack

import torch
from torch import Tensor

from taylored.core.inputs.logits import Logits
from taylored.core.plan.options import Options
from taylored.core.rows.row_loss import row_loss
from taylored.core.terms.point import continued, inside
from taylored.modules.function import function_of
from taylored.modules.spec import Reference, spec_of
from taylored.modules.vocabulary import WeightedCall, WeightedLoss

__all__ = ["ZLoss", "z_loss"]


def z_values(z: Tensor, _: Tensor) -> Tensor:
    """(log sum e^z)^2 (de Brebisson and Vincent 2016; PaLM)."""
    log_sum = torch.logsumexp(z, 1)
    return continued(inside(log_sum) ** 2, log_sum, torch.ones_like(log_sum))


class ZLoss(WeightedLoss):
    r"""The z-loss, :math:`\left(\log \sum_k e^{z_k}\right)^2`: a summand that keeps logits small.

    Cross-entropy does not see a common offset of the logits, and so they drift; in half precision
    they lose digits. This summand keeps the log-partition near zero. It says nothing about the
    truth, and is added to a loss: `cross_entropy + 0.0001 * z_loss` in the catalogue,
    `CrossEntropyLoss() + 1e-4 * ZLoss()` in Python.

    Example:
        >>> import torch
        >>> from taylored import CrossEntropyLoss
        >>> loss = CrossEntropyLoss() + 1e-4 * ZLoss()
        >>> loss(torch.tensor([[12.0, 10.0]]), torch.tensor([0]))
        tensor(0.1416)
    """

    link = "softmax"
    unreadable = "it does not look at the truth: add it to a loss that does"

    def evaluate(self, input: Logits, target: Tensor, options: Options) -> Tensor:
        """The squared log-partition."""
        return row_loss(input, target, z_values, options)


@function_of(ZLoss)
def z_loss(input: Logits, target: Tensor, **shared: Unpack[WeightedCall]) -> Tensor:
    r"""The z-loss, :math:`\left(\log \sum_k e^{z_k}\right)^2`; the target says what is ignored.

    Example:
        >>> import torch
        >>> z_loss(torch.tensor([[12.0, 10.0], [0.0, 0.0]]), torch.tensor([0, -100]))
        tensor(147.0624)
    """
    return row_loss(input, target, z_values, Options(**shared))


SPEC = spec_of(
    "z_loss",
    ZLoss,
    z_loss,
    summary="a summand that keeps the log-partition near zero, as for language models",
    formula=r"\left(\log \sum_k e^{z_k}\right)^2",
    reference=Reference(
        "Chowdhery et al.",
        "PaLM: Scaling Language Modeling with Pathways",
        "JMLR 2023",
        "section 5, the auxiliary z-loss with factor 1e-4",
    ),
    differs={
        "Liger": "lse_square_scale: the factor, here that of the summand",
    },
    examples=("z_loss()",),
)
