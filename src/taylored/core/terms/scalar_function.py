"""A function of the probability of the truth, and what is known about it.

Besides its value every such function phi(p_t) knows its **slope** h = q * gain, where the gain is
g = -p_t * phi'(p_t). Cross-entropy has gain 1 everywhere, and -h is the derivative of phi in the
margin log(p/q). It carries the slope and not the gain, because for exponents below one the gain is
infinite at q = 0 and the slope is not.
"""

from __future__ import annotations

import abc

from torch import Tensor

from taylored.core.numerics import SignedLog
from taylored.core.terms.point import Point
from taylored.core.terms.power_series import Powers, Series


class ScalarFunction(abc.ABC):
    """What the engine, the posterior and the certificates ask of phi."""

    @abc.abstractmethod
    def evaluate(self, at: Point) -> Tensor:
        """The value. It can be differentiated in the margin, to any order and in any mode."""

    @abc.abstractmethod
    def evaluate_with_slope(self, at: Point) -> tuple[Tensor, Tensor]:
        """Value and slope together. Neither needs to be differentiable."""

    def multiply(self, at: Point, value: Tensor, slope: Tensor) -> tuple[Tensor, Tensor]:
        """Value and slope of the product with another term, whose value and slope are given."""
        mine, my_slope = self.evaluate_with_slope(at)
        return mine * value, mine * slope + value * my_slope

    def logarithms(self, at: Point) -> tuple[SignedLog, SignedLog]:
        """Value and slope as logarithms, differentiable, where the numbers would underflow too."""
        value, slope = self.evaluate_with_slope(at)
        return SignedLog.of(value), SignedLog.of(slope)

    def slope_in_powers(self) -> Powers | None:
        """The slope as a sum of few powers of q; None if it is none."""
        return None

    def parameters(self) -> tuple[Tensor, ...]:
        """The per-class parameters, as tensors."""
        return ()

    @abc.abstractmethod
    def series(self, order: int) -> Series:
        """The `order` lowest powers of q."""

    def value(self, p: Tensor | float) -> Tensor:
        """phi(p) in float64."""
        return self.evaluate(Point.of_probability(p))

    def gain(self, p: Tensor | float) -> Tensor:
        """-p * phi'(p) in float64: the gradient relative to cross-entropy's."""
        at = Point.of_probability(p)
        return self.evaluate_with_slope(at)[1] / at.q
