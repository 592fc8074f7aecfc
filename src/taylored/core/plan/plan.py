"""The plan of one evaluation: everything that the engine needs besides the logits."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Literal

from torch import Tensor

from taylored.core.inputs.targets import TargetKind
from taylored.core.numerics import computing_dtype, harmless, scaled_without_offset, without_offset
from taylored.core.plan.options import LinkName
from taylored.core.plan.truth_margin import TruthMargin
from taylored.core.terms.term import Term


@dataclass(frozen=True, eq=False)
class Plan:
    """Every slot of one evaluation, filled for canonical logits of shape (N, C) or (N, C, S).

    Attributes:
        link: how logits become probabilities.
        term: phi(p_t).
        rejection: phi of the outcome "no" where it has one of its own (sigmoid), else None.
        target: class indices (N[, S]) or one number per element (N, C[, S]).
        target_kind: which of the two the target is.
        rows: coefficient of each position, (N, 1[, S]), or of each element, (N, C[, S]). Mask,
            weights and denominator are multiplied into it.
        denominator: what the rows were divided by; None for nothing.
        ignore: target value of single elements that count for nothing (sigmoid, dense targets).
        positive: coefficient per class of the outcome "this class is the truth", or None for 1.
        negative: coefficient per class of "this class is not the truth" (sigmoid only).
        smoothing: mass moved from the target to all outcomes alike.
        scale: multiplies the logits, per class (softmax only).
        bias: added to the logits after that, per class.
        temperature: divides the logits after the bias.
        margin: added to the logit of the one true class before it is divided, or None.
        output: "sum" for one number, "each" for the unreduced values.
    """

    link: LinkName
    term: Term
    rejection: Term | None
    target: Tensor
    target_kind: TargetKind
    rows: Tensor
    denominator: Tensor | float | None
    ignore: int | None
    positive: Tensor | None
    negative: Tensor | None
    smoothing: float
    scale: Tensor | None
    bias: Tensor | None
    temperature: float
    margin: TruthMargin | None
    output: Literal["sum", "each"]

    def tensors(self) -> tuple[Tensor, ...]:
        """All tensors for which a caller could want a gradient."""
        optional = (self.positive, self.negative, self.scale, self.bias)
        present = tuple(t for t in optional if t is not None)
        rejection = () if self.rejection is None else self.rejection.parameters()
        return (self.target, self.rows, *present, *self.term.parameters(), *rejection)


@dataclass(frozen=True, eq=False)
class Block:
    """Some positions of the batch: their logits, target, rows, and the margin of their truths."""

    logits: Tensor
    target: Tensor
    rows: Tensor
    margin: TruthMargin | None


def along_classes(values: Tensor, logits: Tensor) -> Tensor:
    """One value per class, in the computing dtype and shaped to broadcast along axis 1."""
    values = values.to(device=logits.device, dtype=computing_dtype(logits)).reshape(-1)
    return values if logits.dim() == 2 else values.unsqueeze(1)


def adjusted(block: Block, plan: Plan) -> Tensor:
    """The logits in the computing dtype, after scale, bias and temperature: what the link is given.

    For the softmax link they are finite where a position counts for nothing, and a common offset is
    taken off before anything is added to them or divides them.
    """
    z = block.logits.to(computing_dtype(block.logits))
    if plan.link == "softmax":
        z = harmless(z, block.rows == 0)
        if plan.scale is not None:
            z = scaled_without_offset(z, along_classes(plan.scale, block.logits), 1)
        if plan.bias is not None or plan.temperature != 1.0:
            z = without_offset(z, 1)
    if plan.bias is not None:
        z = z + along_classes(plan.bias, block.logits)
    return z if plan.temperature == 1.0 else z / plan.temperature


def by_logits(gradient: Tensor, plan: Plan, logits: Tensor) -> Tensor:
    """The gradient by the logits, of that by the adjusted ones."""
    if plan.scale is not None:
        gradient = gradient * along_classes(plan.scale, logits)
    return gradient if plan.temperature == 1.0 else gradient / plan.temperature


def sums_by_logits(sums: Tensor, plan: Plan) -> Tensor:
    """The same for (2, C) sums per class."""
    scaled = sums if plan.scale is None else sums * plan.scale.detach().to(sums).reshape(-1)
    return scaled / plan.temperature
