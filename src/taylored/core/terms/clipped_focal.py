"""Focal loss that ignores easy samples: the term of the negatives of the asymmetric loss."""

from __future__ import annotations

from dataclasses import dataclass

import torch
from torch import Tensor

from taylored.core.checks import fail, in_range
from taylored.core.logistic import log1p
from taylored.core.numerics import SignedLog
from taylored.core.terms.point import Point
from taylored.core.terms.power_series import Series
from taylored.core.terms.term import Term
from taylored.core.written import literal

_NOTHING = 1e-12
"""A smaller excess over the margin counts as none, or second derivatives overflow in float32."""

_LEAST_MARGIN = 1e-6
"""A smaller margin discards nothing, and is lost when float32 adds it to p."""


@dataclass(frozen=True, eq=False, repr=False)
class ClippedFocal(Term):
    """-u^gamma log(1 - u) for u = max(q - margin, 0)."""

    gamma: float
    margin: float

    def evaluate(self, at: Point) -> Tensor:
        """0 where q is at most the margin, else the focal value at p + margin."""
        u = at.q - self.margin
        inside = u > _NOTHING
        # Both branches of `where` have to be finite: the derivative of the dropped one is 0 times
        # its own, which is NaN if that is infinite.
        u = torch.where(inside, u, 0.5)
        # 1 - u is p + margin, which keeps the digits of a small sum.
        small = log1p(-u.clamp_max(0.5))
        log_rest = torch.where(u < 0.5, small, torch.log(at.p + self.margin))
        return torch.where(inside, torch.exp(self.gamma * torch.log(u)) * -log_rest, 0.0)

    def evaluate_with_slope(self, at: Point) -> tuple[Tensor, Tensor]:
        """The value, and p q times its derivative in u."""
        excess = at.q - self.margin
        inside = (excess > _NOTHING).to(excess.dtype)
        u = excess * inside + 0.5 * (1.0 - inside)
        rest = at.p + self.margin
        # The logarithm of 1 - u. Near 1 the rounded `rest` differs from that; `lost` corrects it.
        lost = (1.0 - rest).sub_(u).mul_(rest > 0.5)
        log_rest = rest.log().add_(lost.div_(rest))
        power = torch.exp(self.gamma * u.log()).mul_(inside)
        value = power * -log_rest
        return value, at.p * at.q * (self.gamma * value / u + power / rest)

    def logarithms(self, at: Point) -> tuple[SignedLog, SignedLog]:
        """Both are 0 where q is at most the margin."""
        inside = at.q - self.margin > _NOTHING
        u = torch.where(inside, at.q - self.margin, 0.5)
        rest = torch.where(inside, at.p + self.margin, 0.5)
        log_rest = torch.where(u < 0.5, log1p(-u.clamp_max(0.5)), torch.log(rest))
        log_power, sign = self.gamma * torch.log(u), inside.to(u.dtype)
        value = log_power + torch.log(-log_rest)
        pull = torch.log(self.gamma * -log_rest / u + 1.0 / rest)
        slope = at.log_p + at.log_q + log_power + pull
        none = -torch.inf
        return (
            SignedLog(torch.where(inside, value, none), sign),
            SignedLog(torch.where(inside, slope, none), sign),
        )

    def series(self, order: int) -> Series:
        """Refused: around q = 0 the value is 0 up to the margin, which no power series is."""
        fail("loss", "a loss with a power series in q", str(self), "margin=0 has one")

    def __repr__(self) -> str:
        return f"clipped_focal({literal(self.gamma)}, {literal(self.margin)})"

    def __str__(self) -> str:
        u = f"max(1-p-{self.margin:g}, 0)"
        return f"{u}^{self.gamma:g} * -log(1-{u})"


def clipped_focal(gamma: float, margin: float) -> Term:
    """Focal loss that begins where q exceeds a margin; it ignores samples that are easier.

    Args:
        gamma: exponent >= 0; raising it silences easy samples sooner.
        margin: in [1e-6, 1); raising it ignores more samples.

    Example:
        >>> term = clipped_focal(2, 0.2)
        >>> round(term.value(0.5).item(), 4), term.value(0.9).item()
        (0.0321, 0.0)

    Reference:
        Ridnik et al., Asymmetric Loss For Multi-Label Classification, ICCV 2021, equation 5.
    """
    in_range("gamma", gamma, 0.0, float("inf"), "give a number >= 0", interval="[)")
    in_range("margin", margin, _LEAST_MARGIN, 1.0, "0 switches it off", interval="[)")
    return ClippedFocal(float(gamma), float(margin))
