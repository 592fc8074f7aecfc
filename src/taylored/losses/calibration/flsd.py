"""Focal loss with a sample-dependent gamma: larger where the truth has little probability."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Annotated, Unpack

import torch
from torch import Tensor

from taylored.core.checks import fail
from taylored.core.engine.one_pass import p_t_loss
from taylored.core.inputs.logits import Logits
from taylored.core.plan.options import Options
from taylored.core.terms.elementary import Power
from taylored.core.terms.point import Point
from taylored.core.terms.power_series import Series
from taylored.core.terms.term import Term
from taylored.modules.fields.parameter import About
from taylored.modules.function import function_of
from taylored.modules.spec import Reference, spec_of
from taylored.modules.vocabulary import EitherLinkCall, EitherLinkLoss

__all__ = ["FLSDLoss", "flsd_loss"]


@dataclass(frozen=True, eq=False, repr=False)
class SwitchedFocal(Term):
    """(1 - p)^gamma -log p with another gamma below a threshold of p (Mukhoti et al. 2020)."""

    hard_gamma: float
    gamma: float
    threshold: float

    def evaluate(self, at: Point) -> Tensor:
        """The value, with the exponent of each sample."""
        return at.q_power(self._exponent(at)) * at.nll

    def evaluate_with_slope(self, at: Point) -> tuple[Tensor, Tensor]:
        """Value and slope on either side; the jump between them has none."""
        return Power(self._exponent(at)).multiply(at, at.nll, at.q)

    def _exponent(self, at: Point) -> Tensor:
        hard = at.p.detach() < self.threshold
        # Of the dtype of p: a bare choice between two numbers has the default one.
        exponent = torch.full_like(at.p, self.gamma)
        return torch.where(hard, self.hard_gamma, exponent)

    def series(self, order: int) -> Series:
        """None: it would be that of the easy side."""
        fail("term", "one with a power series in 1 - p_t", str(self), "take that of focal loss")

    def __str__(self) -> str:
        gammas = f"{{{self.hard_gamma:g} if p < {self.threshold:g} else {self.gamma:g}}}"
        return f"(1-p)^{gammas} * -log(p)"


class FLSDLoss(EitherLinkLoss):
    r"""FLSD-53, :math:`-(1 - p_t)^{\gamma(p_t)} \log p_t`, gamma 5 below :math:`p_t = 0.2`, else 3.

    Focal loss makes what it has learned less certain and with it better calibrated, but it also
    attends to easy samples longer than cross-entropy where p_t is in the middle. The smaller p_t
    is, the larger may gamma be before that happens, and so hard samples get a larger one. The loss
    jumps where gamma changes: its value goes up there with p_t, its gradient points down on both
    sides. With equal gammas it is `FocalLoss`.

    Example:
        >>> import torch
        >>> loss = FLSDLoss()
        >>> loss(torch.tensor([[2.0, 0.0], [0.0, 2.0]]), torch.tensor([0, 0]))
        tensor(0.5639)
    """

    unreadable = "the loss jumps where gamma changes, and outputs near that are no single answer"
    hard_gamma: Annotated[
        float,
        About(
            "focusing of samples with p_t below the threshold; raising it takes more weight off "
            "the easiest of them",
            within="[0, inf)",
            fix="5 is the published choice",
            search=(3.0, 6.0),
        ),
    ] = 5.0
    gamma: Annotated[
        float,
        About(
            "focusing of all others; raising it silences easy samples sooner",
            within="[0, inf)",
            fix="3 is the published choice",
            search=(1.0, 4.0),
        ),
    ] = 3.0
    threshold: Annotated[
        float,
        About(
            "p_t below which a sample is hard; raising it takes more samples for hard, 0 is focal "
            "loss",
            within="[0, 1]",
            fix="0.2 is the published choice",
            search=(0.05, 0.5),
        ),
    ] = 0.2

    def evaluate(self, input: Logits, target: Tensor, options: Options) -> Tensor:
        """The focused cross-entropy."""
        term = SwitchedFocal(self.hard_gamma, self.gamma, self.threshold)
        return p_t_loss(input, target, term, options)


@function_of(FLSDLoss)
def flsd_loss(
    input: Logits,
    target: Tensor,
    *,
    hard_gamma: float = 5.0,
    gamma: float = 3.0,
    threshold: float = 0.2,
    **shared: Unpack[EitherLinkCall],
) -> Tensor:
    r"""FLSD-53, :math:`-(1 - p_t)^{\gamma(p_t)} \log p_t`, gamma 5 below :math:`p_t = 0.2`, else 3.

    Example:
        >>> import torch
        >>> flsd_loss(torch.tensor([[2.0, 0.0]]), torch.tensor([1]))
        tensor(1.1275)
    """
    return p_t_loss(input, target, SwitchedFocal(hard_gamma, gamma, threshold), Options(**shared))


SPEC = spec_of(
    "flsd",
    FLSDLoss,
    flsd_loss,
    summary="focal loss with a larger gamma for hard samples; better calibrated (FLSD-53)",
    formula=r"-(1 - p_t)^{\gamma(p_t)} \log p_t,\quad "
    r"\gamma(p) = \gamma_h \;(p < \theta),\; \gamma \;(p \ge \theta)",
    reference=Reference(
        "Mukhoti, Kulharia, Sanyal, Golodetz, Torr, Dokania",
        "Calibrating Deep Neural Networks using Focal Loss",
        "NeurIPS 2020",
        "FLSD-53",
    ),
    differs={
        "torrvision/focal_calibration": "FocalLossAdaptive(gamma=3): equal; it sums by default, "
        "and finds the exponents in a loop over the samples",
    },
    examples=("flsd()", 'flsd(hard_gamma=1.5, gamma=0.5, threshold=0.4, link="sigmoid")'),
    identities={
        "flsd(hard_gamma=1.3, gamma=1.3)": "focal(gamma=1.3)",
        "flsd(threshold=0)": "focal(gamma=3)",
    },
)
