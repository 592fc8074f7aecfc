"""Plain calls done in one go, by executors that need no plan for them.

For a small batch, making a plan takes several times as long as running it. A shortcut looks at the
caller's own arguments and either does the whole loss or declines; whatever is unusual or wrong it
leaves to `prepare`, which knows all of the vocabulary and every error message.
"""

from __future__ import annotations

from typing import NamedTuple, Protocol

from torch import Tensor

from taylored.core.plan.options import Options
from taylored.core.terms.term import Term


class Direct(NamedTuple):
    """What a shortcut found for class indices without weights per outcome.

    Attributes:
        loss: in the shape that the caller asked for.
        gradient: of its sum, in the shape of the input; None where nobody can ask for it.
        target: the indices, 0 where ignored.
        rows: coefficient of each position: mask, weight and denominator in one.
    """

    loss: Tensor
    gradient: Tensor | None
    target: Tensor
    rows: Tensor


class Shortcut(Protocol):
    """The shortcut of an executor. Never called while compiling."""

    def __call__(
        self, input: Tensor, target: Tensor, term: Term, options: Options
    ) -> Direct | None:
        """The loss, and the gradient if it can be asked for; None for anything unusual."""
