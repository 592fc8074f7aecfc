"""The base of losses of one output per threshold between ranks: is the rank above it?"""

from __future__ import annotations

import functools
from typing import Annotated, ClassVar

import torch
from torch import Tensor

from taylored.core.checks import check_floats, fail
from taylored.core.numerics import computing_dtype
from taylored.core.posterior.readable import Readable
from taylored.modules.base import Takes
from taylored.modules.fields.parameter import About
from taylored.modules.values import Domain, ValueLoss

NumRanks = Annotated[
    int,
    About(
        "how many ranks there are, K; the model gives K - 1 outputs",
        within="[2, inf)",
        fix="count the ranks",
        needs="num_classes",
    ),
]


def ranks_of(input: Tensor, target: Tensor, num_classes: int) -> Tensor:
    """The ranks as numbers, with an axis in the place of the thresholds."""
    check_thresholds("input", input, num_classes)
    check_ranks_fit(input, target)
    return target.to(computing_dtype(input)).unsqueeze(-1)


def check_thresholds(name: str, outputs: Tensor, num_classes: int) -> None:
    """Refuse another number of outputs than one per threshold; one per rank is the usual slip."""
    check_floats(**{name: outputs})
    if outputs.dim() == 0 or outputs.shape[-1] != num_classes - 1:
        fix = f"num_classes={outputs.shape[-1] + 1}" if outputs.dim() else "add an axis"
        if outputs.dim() and outputs.shape[-1] == num_classes:
            fix = "let the last layer have num_classes - 1 outputs; `emd` takes one per rank"
        fail(name, f"{num_classes - 1} numbers on the last axis, one per threshold between "
             f"{num_classes} ranks", f"shape {tuple(outputs.shape)}", fix)  # fmt: skip


def check_ranks_fit(input: Tensor, target: Tensor) -> None:
    """Refuse what is no whole number per position."""
    kind = getattr(target, "dtype", None)
    if kind is None or kind.is_floating_point or kind.is_complex or kind == torch.bool:
        got = str(kind or type(target).__name__)
        fail("target", "ranks, whole numbers from 0", got, "use target.long()")
    if target.shape != input.shape[:-1]:
        fail("target", f"one rank per position, shape {tuple(input.shape[:-1])}",
             f"shape {tuple(target.shape)}", "outputs are the last axis of `input`: "
             "input.movedim(1, -1) where they are axis 1")  # fmt: skip


def check_ranks(_input: Tensor, target: Tensor, num_classes: int) -> None:
    """Refuse ranks that do not exist."""
    wrong = (target < 0) | (target >= num_classes)
    if bool(wrong.any()):
        fail("target", f"ranks in 0..{num_classes - 1}", f"{float(target[wrong][0]):g}",
             "raise num_classes, or leave positions out by sample_weight=0")  # fmt: skip


def thresholds_of(input: Tensor) -> Tensor:
    """The number of every threshold: a rank is above it if it is larger."""
    return torch.arange(input.shape[-1], device=input.device)


class ThresholdLoss(Readable, ValueLoss):
    """A loss of one output per threshold between ranks; a subclass fills `values`.

    `posterior` gives the probability of every rank, (..., K), and `predict` the median rank.
    """

    takes: ClassVar[Takes] = "ranks"
    inner: ClassVar[int] = 1
    shapes: ClassVar[str] = (
        "input (..., K - 1), one output per threshold between the K ranks, on the last axis; "
        "target (...), ranks 0..K - 1 of an integer dtype."
    )
    num_classes: NumRanks

    @property
    def domain(self) -> Domain:
        """Ranks are those of `num_classes`."""
        return functools.partial(check_ranks, num_classes=self.num_classes)

    def check_call(self, input: Tensor, target: Tensor) -> None:
        """Everything is checked where the ranks are read."""

    def check_outputs(self, outputs: Tensor) -> None:
        """Refuse another number of outputs."""
        check_thresholds("outputs", outputs, self.num_classes)

    def forward(
        self,
        input: Tensor,
        target: Tensor,
        *,
        sample_weight: Tensor | None = None,
        normalizer: float | Tensor | None = None,
    ) -> Tensor:
        """The loss of outputs against ranks."""
        ranks = ranks_of(input, target, self.num_classes)
        return super().forward(input, ranks, sample_weight=sample_weight, normalizer=normalizer)
