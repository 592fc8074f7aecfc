"""Hinge loss of one score: the right side, by a margin."""

from __future__ import annotations

import functools
from typing import Annotated, ClassVar, Unpack

import torch
from torch import Tensor

from taylored.losses.scores.score_loss import ScoreLoss, score_loss
from taylored.modules.fields.parameter import About
from taylored.modules.function import function_of
from taylored.modules.spec import Reference, spec_of
from taylored.modules.values import ValueCall

__all__ = ["HingeLoss", "hinge_loss"]


def hinge_costs(margin: Tensor, wanted: float) -> Tensor:
    """max(0, wanted - m); at the kink the slope is that of the wrong side, as scikit-learn's is."""
    short = wanted - margin
    return torch.where(short < 0.0, 0.0, short)


class HingeLoss(ScoreLoss):
    r"""Hinge loss, :math:`\max(0, \mu - m)`, m the score of the answer and :math:`\mu` the margin.

    m is the score where the answer is yes, and minus the score where it is no. The loss of support
    vector machines: samples beyond the margin do not pull. For several classes there is
    `MulticlassHingeLoss`.

    Example:
        >>> import torch
        >>> HingeLoss()(torch.tensor([2.0, 0.5]), torch.tensor([1, 0]))
        tensor(0.7500)
    """

    unreadable: ClassVar[str] = "its minimum is the likelier answer, and not how likely it is"
    margin: Annotated[
        float,
        About(
            "how far on the right side a score has to be; raising it keeps easier samples in play, "
            "0 is the perceptron's loss",
            within="[0, inf)",
            search=(0.1, 10.0, "log"),
        ),
    ] = 1.0

    def costs(self, margin: Tensor) -> Tensor:
        """One value per score."""
        return hinge_costs(margin, self.margin)


@function_of(HingeLoss)
def hinge_loss(
    input: Tensor, target: Tensor, *, margin: float = 1.0, **shared: Unpack[ValueCall]
) -> Tensor:
    r"""Hinge loss, :math:`\max(0, \mu - m)`, m the score of the answer and :math:`\mu` the margin.

    Example:
        >>> import torch
        >>> hinge_loss(torch.tensor([2.0, 0.5]), torch.tensor([1, 0]), reduction="none")
        tensor([0.0000, 1.5000])
    """
    return score_loss(functools.partial(hinge_costs, wanted=margin), input, target, **shared)


SPEC = spec_of(
    "hinge",
    HingeLoss,
    hinge_loss,
    summary="a score has to be on the right side by a margin; support vector machines",
    formula=r"\max(0, \mu - m)",
    reference=Reference("Cortes, Vapnik", "Support-Vector Networks", "ML 1995", "section 3"),
    differs={
        "scikit-learn": "hinge_loss(labels, scores) and SGDClassifier(loss='hinge'): equal, of any "
        "two labels",
        "Keras": "Hinge: labels -1 and 1, or 0 and 1; its mean is over the last axis first",
    },
    examples=("hinge()", "hinge(margin=0.3)"),
    identities={"hinge(margin=0)": "perceptron()"},
)
