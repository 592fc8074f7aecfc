"""Hinge embedding: distances of pairs that belong together, or have to be far enough apart."""

from __future__ import annotations

import functools
from typing import Annotated, ClassVar, Unpack

import torch.nn.functional as F
from torch import Tensor

from taylored.core.checks import check_floats
from taylored.core.inputs.signs import check_signs, signs_of
from taylored.modules.base import Takes
from taylored.modules.fields.parameter import About
from taylored.modules.function import function_of
from taylored.modules.spec import Reference, spec_of
from taylored.modules.values import Domain, ValueCall, ValueLoss, value_loss

__all__ = ["HingeEmbeddingLoss", "hinge_embedding_loss"]


def hinge_embedding_values(input: Tensor, target: Tensor, margin: float) -> Tensor:
    """The distance where t = 1, max(0, margin - distance) where t = -1, by torch."""
    return F.hinge_embedding_loss(input, target, margin=margin, reduction="none")


def check_together(_input: Tensor, target: Tensor) -> None:
    """Refuse what says neither that a pair belongs together nor that it does not."""
    check_signs(target)


def told(input: Tensor, target: Tensor) -> Tensor:
    """The target of distances."""
    check_floats(input=input)
    return signs_of(target, input, tuple(input.shape))


class HingeEmbeddingLoss(ValueLoss):
    r"""Hinge embedding: d where :math:`t = 1`, :math:`\max(0, \mu - d)` where :math:`t = -1`.

    d is a distance of two things, which somebody has measured: 1 says that they belong together.
    The values are those of `torch.nn.HingeEmbeddingLoss`; a target of 0 costs both of them there,
    and is refused here.

    Example:
        >>> import torch
        >>> HingeEmbeddingLoss()(torch.tensor([0.5, 0.2]), torch.tensor([1, -1]))
        tensor(0.6500)
    """

    takes: ClassVar[Takes] = "distances"
    shapes: ClassVar[str] = "input (...), distances; target of the same shape, -1 or 1."
    margin: Annotated[
        float,
        About(
            "how far apart what does not belong together has to be; raising it keeps easier pairs "
            "in play",
            within="(0, inf)",
            search=(0.1, 10.0, "log"),
        ),
    ] = 1.0

    @property
    def domain(self) -> Domain:
        """The target is -1 or 1."""
        return check_together

    def values(self, input: Tensor, target: Tensor) -> Tensor:
        """One value per pair."""
        return hinge_embedding_values(input, target, self.margin)

    def forward(
        self,
        input: Tensor,
        target: Tensor,
        *,
        sample_weight: Tensor | None = None,
        normalizer: float | Tensor | None = None,
    ) -> Tensor:
        """The loss of distances against whether they are those of like things."""
        given = told(input, target)
        return super().forward(input, given, sample_weight=sample_weight, normalizer=normalizer)


@function_of(HingeEmbeddingLoss)
def hinge_embedding_loss(
    input: Tensor, target: Tensor, *, margin: float = 1.0, **shared: Unpack[ValueCall]
) -> Tensor:
    r"""Hinge embedding: d where :math:`t = 1`, :math:`\max(0, \mu - d)` where :math:`t = -1`.

    Example:
        >>> import torch
        >>> distance, together = torch.tensor([0.5, 0.2]), torch.tensor([1, -1])
        >>> hinge_embedding_loss(distance, together, reduction="none")
        tensor([0.5000, 0.8000])
    """
    values = functools.partial(hinge_embedding_values, margin=margin)
    return value_loss(values, input, told(input, target), domain=check_together, **shared)


SPEC = spec_of(
    "hinge_embedding",
    HingeEmbeddingLoss,
    hinge_embedding_loss,
    summary="distances of pairs: small where they belong together, beyond a margin where not",
    formula=r"d\ (t = 1),\ \max(0, \mu - d)\ (t = -1)",
    value_range="[0, inf) for distances >= 0",
    reference=Reference(
        "Hadsell, Chopra, LeCun",
        "Dimensionality Reduction by Learning an Invariant Mapping",
        "CVPR 2006",
        "equation 4, without its squares",
    ),
    differs={"torch": "HingeEmbeddingLoss: equal, and a target of 0 or other shapes pass there"},
    examples=("hinge_embedding()", "hinge_embedding(margin=2)"),
)
