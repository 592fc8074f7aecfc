"""What an executor is: one way to run the single sweep over logits and a plan."""

from __future__ import annotations

from typing import NamedTuple, Protocol

import torch
from torch import Tensor

from taylored.core.inputs.logits import Logits
from taylored.core.links.class_sums import ClassSums
from taylored.core.plan.options import Options
from taylored.core.plan.plan import Plan
from taylored.core.terms.term import Term


class Swept(NamedTuple):
    """What one sweep finds.

    Attributes:
        loss: the sum, or each value, as the plan asks.
        gradient: of the sum on the logits, in the dtype of `gradient_dtype`.
    """

    loss: Tensor
    gradient: Tensor


class Executor(Protocol):
    """One way to run a plan."""

    @property
    def name(self) -> str:
        """What it is called in settings, benchmarks and error messages."""

    def accepts(self, logits: Tensor, plan: Plan) -> bool:
        """Whether this executor is right, and fast, here. Never called while compiling."""

    def value(self, logits: Tensor, plan: Plan) -> Tensor:
        """The loss alone; no gradient is recorded."""

    def sweep(
        self,
        logits: Tensor,
        plan: Plan,
        *,
        sums: ClassSums | None = None,
        into: Tensor | None = None,
    ) -> Swept:
        """The loss, and the gradient of its sum.

        Args:
            logits: (N, C) or (N, C, S).
            plan: everything else.
            sums: if given, receives the sums of the absolute gradient on the logits per class.
            into: if given, receives the gradient; it may be the logits themselves.
        """


class Direct(NamedTuple):
    """What a shortcut finds, or an operator without a plan.

    Attributes:
        loss: in the shape that the caller expects.
        gradient: of its sum, in the shape of the input; None where nobody can ask for it, and
            where the loss has a backward of its own.
        target: class indices, 0 where ignored, or the caller's dense target.
        rows: coefficient of each position: mask, weight and denominator in one; a number where it
            is the same for all.
        sums: (2, C) of the absolute gradient on the logits per class, where the options count.
        denominator: what the loss was divided by; None for nothing, or where nobody counts.
    """

    loss: Tensor
    gradient: Tensor | None
    target: Tensor
    rows: Tensor | float
    sums: Tensor | None
    denominator: Tensor | float | None


class Shortcut(Protocol):
    """How an executor runs a plain call without a plan. Never called while compiling.

    For a small batch, making a plan takes several times as long as running it. A shortcut looks at
    the caller's own arguments, and either finds the whole loss or declines. It leaves whatever is
    unusual or wrong to `prepare`, which knows all options and every error message.
    """

    def __call__(
        self, input: Logits, target: Tensor, term: Term, options: Options
    ) -> Direct | None:
        """The loss, and the gradient if it can be asked for; None for anything unusual."""


class Operators(Protocol):
    """How an executor runs in a program that a compiler records: as operators that it calls.

    Only the first derivative on the logits can be asked of them.
    """

    def at_once(self, input: Logits, target: Tensor, term: Term, options: Options) -> Direct | None:
        """The loss of a plain call; None for anything unusual."""

    def accepts(self, logits: Tensor, plan: Plan) -> bool:
        """Whether there is an operator for this plan; values are not known."""

    def loss(self, logits: Tensor, plan: Plan) -> Tensor:
        """The loss, which backward can be called on."""

    def counting_loss(self, logits: Tensor, plan: Plan) -> tuple[Tensor, Tensor]:
        """The same, and the (2, C) sums of the absolute gradient per class, which are constants."""


def gradient_dtype(logits: Tensor) -> torch.dtype:
    """The dtype in which a gradient is stored: that of the logits, but float32 for float16.

    Mixed precision multiplies by the loss scale after this gradient is stored. Entries divided by
    the batch size would already have underflowed in float16.
    """
    return torch.float32 if logits.dtype == torch.float16 else logits.dtype
