"""Two-way multi-label loss: over the classes of a sample, and over the samples of a class."""

from __future__ import annotations

from typing import Annotated, Literal, Unpack

import torch
import torch.nn.functional as F
from torch import Tensor

from taylored.core.checks import fail
from taylored.core.engine.elementwise import element_batch, elements
from taylored.core.inputs.logits import Logits
from taylored.core.numerics import one_if_zero
from taylored.core.plan.options import Options
from taylored.modules.fields.parameter import About
from taylored.modules.function import function_of
from taylored.modules.spec import Reference, spec_of
from taylored.modules.vocabulary import BackgroundCall, BackgroundLoss

__all__ = ["TwoWayLoss", "two_way_loss"]

Temperature = Annotated[
    float,
    About(
        "of the truths; raising it takes all of them into account instead of the weakest alone",
        within="(0, inf)",
        fix="4 is the published choice",
        search=(0.5, 8.0, "log"),
    ),
]


def one_way(
    z: Tensor,
    yes: Tensor,
    no: Tensor,
    log_weight: Tensor,
    axis: int,
    positive: float,
    negative: float,
) -> tuple[Tensor, Tensor]:
    """Softplus of the strongest no above the weakest yes, and where there is a yes at all."""
    # Infinite logits that do not belong to a side must not reach its derivative.
    high = torch.where(yes, log_weight - torch.where(yes, z, 0.0) / positive, -torch.inf)
    low = torch.where(no, log_weight + torch.where(no, z, 0.0) / negative, -torch.inf)
    has_yes, both = yes.any(axis), yes.any(axis) & no.any(axis)
    # A side without anybody has no log-sum-exp, and no derivative: nothing is asked of it.
    nobody = ~both.unsqueeze(axis)
    weakest = positive * torch.logsumexp(torch.where(nobody, 0.0, high), axis)
    strongest = negative * torch.logsumexp(torch.where(nobody, 0.0, low), axis)
    return torch.where(both, F.softplus(weakest + strongest), 0.0), has_yes


def _loss(
    input: Logits, target: Tensor, positive: float, negative: float, options: Options
) -> Tensor:
    given = element_batch(input, target, options._replace(reduction="none", normalizer=None))
    found, plan = elements(given), given.plan
    if plan.rows.shape[1] != 1:
        fail("sample_weight", "one number per position, or per sample",
             "one per element", "leave classes out by ignore_index in a float target")  # fmt: skip
    z, y, counted, rows = (
        each.movedim(1, -1).reshape(-1, each.shape[1])
        for each in (found.z, found.y, found.counted(), plan.rows)
    )
    yes, no = counted & (y > 0.5), counted & ~(y > 0.5)
    log_weight = torch.log(torch.where(rows == 0, 1.0, rows))
    parts, amounts = [], []
    for axis in (0, 1):  # samples of a class, classes of a sample
        among = log_weight if axis == 0 else torch.zeros_like(log_weight)
        values, has_yes = one_way(z, yes, no, among, axis, positive, negative)
        weight = rows.squeeze(1) if axis == 1 else torch.ones_like(values)
        parts.append((torch.where(has_yes, values, 0.0) * weight).sum())
        amounts.append(has_yes.sum())
    if options.normalizer is not None:
        amount = torch.as_tensor(options.normalizer, device=z.device).to(z)
        return torch.where(amount == 0, 0.0, (parts[0] + parts[1]) / one_if_zero(amount))
    if options.reduction == "sum":
        return parts[0] + parts[1]
    return parts[0] / one_if_zero(amounts[0]) + parts[1] / one_if_zero(amounts[1])


class TwoWayLoss(BackgroundLoss):
    r"""Two-way loss, :math:`\log (1 + e^{T_n\,lse_{no}(z / T_n) + T_p\,lse_{yes}(-z / T_p)})`.

    The strongest logit of the classes that are not true is to stay below the weakest of those that
    are. This is asked of the classes of every sample, and of the samples of every class, and the
    two means are added: the first over samples with a truth, the second over classes that occur in
    the batch. The outputs rank; zero is no threshold. Truths above 0.5 are yes.

    `sample_weight` multiplies what a position asks of its classes, and says how often it is among
    the samples of a class.

    Example:
        >>> import torch
        >>> logits = torch.tensor([[2.0, -1.0, -3.0], [0.0, 1.0, -2.0]])
        >>> TwoWayLoss()(logits, torch.tensor([[1, 0, 0], [0, 1, 0]]))
        tensor(0.3289)
    """

    link = "sigmoid"
    unreadable = "it orders classes and samples, and no threshold is trained"
    positive_temperature: Temperature = 4.0
    negative_temperature: Annotated[
        float,
        About(
            "of the others; raising it takes all of them into account instead of the strongest",
            within="(0, inf)",
            fix="1 is the published choice",
            search=(0.25, 4.0, "log"),
        ),
    ] = 1.0
    reduction: Annotated[
        Literal["mean", "sum"],
        About(
            '"mean" or "sum" over samples and over classes; half of it belongs to classes, so '
            "that positions have no values of their own",
            shared=True,
            slot=True,
        ),
    ] = "mean"

    def evaluate(self, input: Logits, target: Tensor, options: Options) -> Tensor:
        """Both ways."""
        return _loss(input, target, self.positive_temperature, self.negative_temperature, options)


@function_of(TwoWayLoss)
def two_way_loss(
    input: Logits,
    target: Tensor,
    *,
    positive_temperature: float = 4.0,
    negative_temperature: float = 1.0,
    **shared: Unpack[BackgroundCall],
) -> Tensor:
    r"""Two-way loss, :math:`\log (1 + e^{T_n\,lse_{no}(z / T_n) + T_p\,lse_{yes}(-z / T_p)})`.

    Example:
        >>> import torch
        >>> two_way_loss(torch.tensor([[2.0, -1.0]]), torch.tensor([[1.0, 0.0]]))
        tensor(0.0486)
    """
    options = Options(link="sigmoid", **shared)
    return _loss(input, target, positive_temperature, negative_temperature, options)


SPEC = spec_of(
    "two_way",
    TwoWayLoss,
    two_way_loss,
    summary="the weakest truth above the strongest other, over classes and over samples",
    formula=r"\mathrm{sp}\left(T_n \log \sum_{no} e^{z / T_n} + T_p \log \sum_{yes} e^{-z / T_p}"
    r"\right) \text{ over classes, and over samples}",
    reference=Reference(
        "Kobayashi",
        "Two-way Multi-Label Loss",
        "CVPR 2023",
        "equation 10",
    ),
    differs={
        "timm": "TwoWayLoss(tp, tn): equal but for logits beyond 10 000, where its masks are",
    },
    denominator="samples with a truth, and classes that occur, each for its half",
    examples=("two_way()", "two_way(positive_temperature=1, negative_temperature=2)"),
    call="batch",
)
