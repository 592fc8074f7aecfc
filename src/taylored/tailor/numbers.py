"""The numbers of a tailored loss: where they may lie, and the text of the loss."""

from __future__ import annotations

import math
from collections.abc import Iterable
from dataclasses import dataclass
from statistics import fmean
from typing import Final, Self

_DIGITS: Final = 1e4
MOST_POWERS: Final = 8
"""Powers of q with a coefficient of their own: more of them cannot be told apart by validation."""
_COLDEST, _HOTTEST = 0.1, 10.0


@dataclass(frozen=True)
class Numbers:
    """-log p + sum of e_j q^j, for logits over the temperature plus tau log prior.

    Args:
        epsilon: e_1, e_2, ...; with e_j >= -1/j no coefficient of the series is negative, and the
            loss falls wherever p rises.
        tau: how much of the log prior is added; raising it favours rare classes.
        temperature: divides the logits.

    """

    epsilon: tuple[float, ...]
    tau: float
    temperature: float

    @classmethod
    def mean(cls, several: Iterable[Numbers]) -> Self:
        """The mean of each number; the set where they may lie is convex."""
        rows = [(*each.epsilon, each.tau, each.temperature) for each in several]
        *epsilon, tau, temperature = (fmean(column) for column in zip(*rows, strict=True))
        return cls(tuple(epsilon), tau, temperature)

    def projected(self) -> Numbers:
        """The nearest numbers with which the loss never rises with p.

        >>> Numbers((-2.0, 0.3), -0.1, 1.0).projected()
        Numbers(epsilon=(-1.0, 0.3), tau=0.0, temperature=1.0)
        """
        return Numbers(
            tuple(max(-1 / j, each) for j, each in enumerate(self.epsilon, start=1)),
            max(0.0, self.tau),
            min(max(self.temperature, _COLDEST), _HOTTEST),
        )

    def text(self) -> str:
        """The loss as the catalogue reads it.

        >>> Numbers((-1 / 1, 0.25), 0.91234, 1.0).text()
        'adjusted(poly(epsilon=[-1, 0.25]), tau=0.9124, temperature=1)'
        """
        # Rounded up, because below -1/j the loss would rise.
        *epsilon, tau, temperature = (
            f"{math.ceil(each * _DIGITS - 1e-6) / _DIGITS:g}"
            for each in (*self.epsilon, self.tau, self.temperature)
        )
        listed = ", ".join(epsilon)
        return f"adjusted(poly(epsilon=[{listed}]), tau={tau}, temperature={temperature})"
