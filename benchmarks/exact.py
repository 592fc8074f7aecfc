"""What exhaustive.py holds sigmoid losses to: value and slope in float64, and naively in mpmath.

A loss of one logit with a hard target is phi(p), the probability of the truth being
p = 1 / (1 + exp(-m)), at the margin m: the logit, or minus the logit where the truth is "no". Each
form is written twice, from the paper and not from the package: `phi` as it is printed, for
mpmath's digits, and `fast` from numbers that are exact at both ends, for float64. The first
certifies the second.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass
from typing import NamedTuple

import mpmath
import torch
from mpmath import mpf
from torch import Tensor, nn

NEAR = 2.0**-40
"""Below this margin value and slope are straight lines, to 2^-79."""

FAR = 128.0
"""From this margin on exp(-|m|) is less than a hundred-millionth of the smallest float32."""

DIGITS = 200
"""Of mpmath: 60 are left where 1 - p has lost 45 and a numerical derivative half of the rest."""


class Place(NamedTuple):
    """A margin with p, q = 1 - p and -log p."""

    p: Tensor
    q: Tensor
    nll: Tensor


class Both(NamedTuple):
    """phi, and -dphi/dm."""

    value: Tensor
    slope: Tensor


@dataclass(frozen=True)
class Form:
    """One loss with its parameters."""

    phi: Callable[[mpf], mpf]
    fast: Callable[[Place], Both]


def cross_entropy(_: nn.Module) -> Form:
    """-log p."""
    return Form(lambda p: -mpmath.log(p), lambda at: Both(at.nll, at.q))


def focal(loss: nn.Module) -> Form:
    """-(1 - p)^gamma log p (Lin et al. 2017, equation 4)."""
    gamma = float(loss.gamma)

    def fast(at: Place) -> Both:
        power = _power(at.q, gamma)
        return Both(power * at.nll, power * (at.q + gamma * at.p * at.nll))

    return Form(lambda p: -((1 - p) ** mpf(gamma)) * mpmath.log(p), fast)


def poly(loss: nn.Module) -> Form:
    """-q^gamma log p + sum of epsilon_j q^(gamma + j), q = 1 - p (Leng et al. 2022, eq. 5 to 7)."""
    gamma, given = float(loss.gamma), loss.epsilon
    steps = list(given) if isinstance(given, Sequence) else [float(given)]

    def phi(p: mpf) -> mpf:
        moved = mpmath.fsum(e * (1 - p) ** mpf(gamma + j) for j, e in enumerate(steps, 1))
        return -((1 - p) ** mpf(gamma)) * mpmath.log(p) + moved

    def fast(at: Place) -> Both:
        power = _power(at.q, gamma)
        value, slope = at.nll, at.q + gamma * at.p * at.nll
        factor = torch.ones_like(at.q)
        for j, step in enumerate(steps, 1):
            factor = factor * at.q
            value = value + step * factor
            slope = slope + step * (gamma + j) * factor * at.p
        return Both(power * value, power * slope)

    return Form(phi, fast)


def generalized(loss: nn.Module) -> Form:
    """(1 - p^q) / q (Zhang and Sabuncu 2018, equation 6)."""
    q = float(loss.q)

    def fast(at: Place) -> Both:
        value = torch.expm1(-q * at.nll) / -q
        return Both(value, torch.exp(-q * at.nll) * at.q)

    return Form(lambda p: (1 - p ** mpf(q)) / mpf(q), fast)


def symmetric(loss: nn.Module) -> Form:
    """-a log p + 4 b (1 - p) (Wang et al. 2019, equation 5, with A = -4)."""
    a, b = float(loss.direct), float(loss.reverse)
    return Form(
        lambda p: -a * mpmath.log(p) + 4 * mpf(b) * (1 - p),
        lambda at: Both(a * at.nll + 4 * b * at.q, at.q * (a + 4 * b * at.p)),
    )


FORMS: dict[str, Callable[[nn.Module], Form]] = {
    "binary_cross_entropy": cross_entropy,
    "balanced_cross_entropy": cross_entropy,
    "focal": focal,
    "poly": poly,
    "generalized_cross_entropy": generalized,
    "symmetric_cross_entropy": symmetric,
}


def _power(q: Tensor, gamma: float) -> Tensor:
    if gamma == int(gamma) <= 4:
        power = torch.ones_like(q)
        for _ in range(int(gamma)):
            power = power * q
        return power
    return q**gamma


class Exact:
    """Value and slope of a form at float32 margins, in float64."""

    def __init__(self, form: Form) -> None:
        self.form = form
        self._known: dict[float, tuple[mpf, mpf]] = {}
        with mpmath.workdps(DIGITS):
            value, slope = self.certain(0.0)
            curve = -mpmath.diff(lambda m: mpmath.diff(self._at, m), mpf(0))
        self._line = tuple(float(number) for number in (value, slope, curve))

    def certain(self, margin: float) -> tuple[mpf, mpf]:
        """By mpmath, from the printed formula."""
        if margin not in self._known:
            with mpmath.workdps(DIGITS):
                at = mpf(margin)
                self._known[margin] = (self._at(at), -mpmath.diff(self._at, at))
        return self._known[margin]

    def at(self, margins: Tensor) -> Both:
        """Of margins of one power of two and sign."""
        m = margins.double()
        size = abs(float(m[0]))
        if size < NEAR:
            value, slope, curve = self._line
            return Both(value - slope * m, slope + curve * m)
        return self.form.fast(_far(m) if size >= FAR else _place(m))

    def _at(self, m: mpf) -> mpf:
        return self.form.phi(1 / (1 + mpmath.exp(-m)))


def _place(m: Tensor) -> Place:
    e = torch.exp(-m.abs())
    large = 1.0 / (1.0 + e)
    small, rest = e * large, torch.log1p(e)
    return Place(large, small, rest) if m[0] > 0 else Place(small, large, rest - m)


def _far(m: Tensor) -> Place:
    one, zero = torch.ones_like(m), torch.zeros_like(m)
    return Place(one, zero, zero) if m[0] > 0 else Place(zero, one, -m)
