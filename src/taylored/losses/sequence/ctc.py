"""CTC: the likelihood of a sequence over all of its alignments, where there is one."""

from __future__ import annotations

import functools
import warnings
from typing import Annotated, ClassVar, Literal, Unpack

import torch
import torch.nn.functional as F
from torch import Tensor

from taylored.core.checks import fail, seen
from taylored.core.inputs.sequences import check_sequences, steps_needed
from taylored.core.numerics import computing_dtype
from taylored.core.plan.options import Reduction, check_reduction
from taylored.core.plan.reduced import read_positions_weight, reduced
from taylored.modules.base import Loss, Takes
from taylored.modules.docs import RAISES, Described
from taylored.modules.fields.parameter import About
from taylored.modules.function import function_of
from taylored.modules.spec import Reference, spec_of
from taylored.modules.values import ValueCall

__all__ = ["CTCLoss", "ctc_loss"]

Impossible = Literal["left_out", "refused"]


def sequence_losses(
    input: Tensor,
    target: Tensor,
    input_lengths: Tensor,
    target_lengths: Tensor,
    blank: int,
    impossible: Impossible,
) -> tuple[Tensor, Tensor]:
    """-log of the sum over alignments, per sequence, and which sequences have one."""
    possible = steps_needed(target, target_lengths) <= input_lengths
    if seen(possible) and not bool(possible.all()):
        count = int((~possible).sum())
        first = int((~possible).nonzero()[0, 0])
        needed = int(steps_needed(target, target_lengths)[first])
        got = f"{count} of {len(possible)} longer than theirs; the first, sequence {first}, needs "
        got += f"{needed} steps and has {int(input_lengths[first])}"
        if impossible == "refused":
            fix = 'keep more time steps, or leave such sequences out, impossible="left_out"'
            fail("target", "no longer than an alignment with its input can be", got, fix)
        warnings.warn(
            f"CTC has no alignment for {got}. They count for nothing.", UserWarning, stacklevel=4
        )
    # Of what counts for nothing, torch sees an empty target and finite logits.
    logits = torch.where(possible.reshape(1, -1, 1), input, 0.0)
    lengths = torch.where(possible, target_lengths, 0)
    labels = torch.where(possible.unsqueeze(1), target, 1 if blank == 0 else 0)
    log_p = torch.log_softmax(logits, dim=2)
    losses = F.ctc_loss(log_p, labels, input_lengths, lengths, blank=blank, reduction="none")
    return torch.where(possible, losses, 0.0), possible


def _loss(
    input: Tensor,
    target: Tensor,
    input_lengths: Tensor,
    target_lengths: Tensor,
    *,
    blank: int,
    impossible: Impossible,
    reduction: Reduction = "mean",
    sample_weight: Tensor | None = None,
    normalizer: float | Tensor | None = None,
) -> Tensor:
    check_reduction(reduction, normalizer)
    lengths = check_sequences(input, target, input_lengths, target_lengths, blank)
    weight = None
    if sample_weight is not None:
        weight = read_positions_weight(sample_weight, input.shape[1:2]).to(input.device)
    wide = input.to(computing_dtype(input))
    if wide.shape[1] == 0:
        return reduced(wide.sum(dim=(0, 2)), reduction, weight, normalizer)
    with torch.autocast(input.device.type, enabled=False):
        values, possible = sequence_losses(wide, target.long(), *lengths, blank, impossible)
    return reduced(values, reduction, weight, normalizer, possible)


class CTCLoss(Loss):
    r"""CTC, :math:`-\log \sum_{\pi \to y} \prod_t p_t(\pi_t)`, over all alignments of a sequence.

    It takes logits. A target that is longer than any alignment allows has likelihood 0: torch
    gives it infinity, or 0 with `zero_infinity` and, for some shapes, a gradient that is none. Here
    such sequences cost exactly nothing and have no gradient, are left out of the mean, and are
    reported by a warning; or refused.

    Example:
        >>> import torch
        >>> loss = CTCLoss()
        >>> logits = torch.zeros(4, 1, 3)  # (T, N, C)
        >>> loss(logits, torch.tensor([[1, 2]]), torch.tensor([4]), torch.tensor([2]))
        tensor(1.6864)
    """

    takes: ClassVar[Takes] = "sequences"
    blank: Annotated[
        int,
        About("column of the blank, which stands between labels", within="[0, inf)"),
    ] = 0
    impossible: Annotated[
        Impossible,
        About('what happens to targets without an alignment: "left_out" with a warning, "refused"'),
    ] = "left_out"
    reduction: Annotated[
        Reduction,
        About(
            '"mean" divides by the number of sequences with an alignment, "batch_mean" by that '
            "of all sequences",
            shared=True,
        ),
    ] = "mean"

    @classmethod
    def described(cls) -> Described:
        """Shapes of a call."""
        return Described(
            "input (T, N, C) logits; target (N, S) labels, padded at the end; input_lengths and "
            "target_lengths (N,). The call also takes `sample_weight`, one number per sequence (in "
            'the numerator only), and `normalizer`, which replaces the denominator of "mean".',
            'A scalar, or one value per sequence with reduction="none"; float32 for half inputs.',
            RAISES,
        )

    @classmethod
    def target_kinds(cls) -> tuple[str, ...]:
        """Labels."""
        return ("sequences",)

    @classmethod
    def mean_divides_by(cls, targets: tuple[str, ...]) -> str:
        """Sequences that count."""
        return "sequences that have an alignment"

    def forward(
        self,
        input: Tensor,
        target: Tensor,
        input_lengths: Tensor,
        target_lengths: Tensor,
        *,
        sample_weight: Tensor | None = None,
        normalizer: float | Tensor | None = None,
    ) -> Tensor:
        """The loss of sequences of logits against sequences of labels."""
        return _loss(
            input,
            target,
            input_lengths,
            target_lengths,
            blank=self.blank,
            impossible=self.impossible,
            reduction=self.reduction,
            sample_weight=sample_weight,
            normalizer=normalizer,
        )


@function_of(CTCLoss)
def ctc_loss(
    input: Tensor,
    target: Tensor,
    input_lengths: Tensor,
    target_lengths: Tensor,
    *,
    blank: int = 0,
    impossible: Impossible = "left_out",
    **shared: Unpack[ValueCall],
) -> Tensor:
    r"""CTC, :math:`-\log \sum_{\pi \to y} \prod_t p_t(\pi_t)`, over all alignments of a sequence.

    Example:
        >>> import torch
        >>> logits, labels = torch.zeros(4, 1, 3), torch.tensor([[1, 1]])
        >>> ctc_loss(logits, labels, torch.tensor([4]), torch.tensor([2]))
        tensor(2.7850)
    """
    run = functools.partial(_loss, blank=blank, impossible=impossible)
    return run(input, target, input_lengths, target_lengths, **shared)


SPEC = spec_of(
    "ctc",
    CTCLoss,
    ctc_loss,
    summary="likelihood of a label sequence over all alignments; those without one are reported",
    formula=r"-\log \sum_{\pi \to y} \prod_t p_t(\pi_t)",
    reference=Reference(
        "Graves, Fernandez, Gomez, Schmidhuber",
        "Connectionist Temporal Classification",
        "ICML 2006",
        "equations 3 and 8",
    ),
    differs={
        "torch": "CTCLoss takes log-probabilities, its mean divides every loss by the length of "
        "its "
        "target first, and a target without an alignment costs infinity, or 0 with zero_infinity",
    },
    examples=("ctc()", 'ctc(blank=2, impossible="refused")'),
)
