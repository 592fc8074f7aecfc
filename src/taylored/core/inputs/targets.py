"""Kinds of targets, recognised by shape and dtype, and the checks that they fit the input."""

from __future__ import annotations

from typing import Literal

import torch
from torch import Tensor

from taylored.core.checks import debugging, fail, seen
from taylored.core.context import eager, has_numbers, in_its_storage, values_are_known
from taylored.core.inputs.given import is_whole
from taylored.core.inputs.logits import SUBSTITUTES, Logits

TargetKind = Literal["index", "dense"]


def one_hot(index: Tensor, logits: Tensor) -> Tensor:
    """Class indices as a mask over the class axis. An index without a column marks no class."""
    axis = min(1, logits.dim() - 1)
    classes = torch.arange(logits.shape[axis], device=logits.device)
    return classes.reshape(-1, *[1] * (logits.dim() - 2)) == index.unsqueeze(axis)


def check_input(input: Logits) -> Tensor:
    """Return the input if it is a tensor of floating-point logits, and refuse everything else."""
    if isinstance(input, SUBSTITUTES):
        fail("input", "a tensor: this loss computes with all logits at once", repr(input),
             input.REMEDY)  # fmt: skip
    if not isinstance(input, Tensor) or not input.is_floating_point():
        got = str(input.dtype) if isinstance(input, Tensor) else type(input).__name__
        fail("input", "a floating-point tensor of logits", got, "pass the model's raw scores")
    _check_memory("input", input)
    return input


def softmax_kind(input: Tensor, target: Tensor) -> TargetKind:
    """The kind of a softmax target: class indices, or one probability per class."""
    _check_tensor(target)
    shape = input.shape
    positions = shape[:1] + shape[2:] if len(shape) > 1 else shape[:0]
    if shape[min(1, len(shape) - 1)] == 1:
        fail(
            "input",
            "logits with a column for each of at least two classes: the softmax over one is"
            " certain, and learns nothing",
            f"shape {tuple(shape)}",
            'use link="sigmoid", or BinaryCrossEntropyLoss where a loss has no `link`, with'
            " target.float() of the input's shape",
        )
    if target.shape == shape and target.is_floating_point():
        return "dense"
    if target.shape == positions and is_whole(target):
        return "index"
    fail(
        "target",
        f"class indices of shape {tuple(positions)} (integer dtype), or probabilities of shape "
        f"{tuple(shape)} (floating point), for input of shape {tuple(shape)}",
        f"shape {tuple(target.shape)}, dtype {target.dtype}",
        _remedy(shape, target) or "classes are axis 1 of `input`; class_dim=... names another",
    )


def sigmoid_kind(input: Logits, target: Tensor, background: int | None = None) -> TargetKind:
    """The kind of a sigmoid target: one truth per element, or one class index per position."""
    _check_tensor(target)
    shape = input.shape
    if target.shape == shape and not target.is_complex():
        if background is not None:
            fail("background_index", "left out for one truth per element, where a row of zeros"
                 " says the same", background, "use background_index=None")  # fmt: skip
        return "dense"
    positions = shape[:1] + shape[2:]
    if len(shape) > 1 and is_whole(target) and target.shape == positions:
        if shape[1] == 1 and background is None:
            fail(
                "target",
                "0 or 1 per element for one column, not a class: class 0 would be its only one",
                f"class indices, shape {tuple(target.shape)}, for input of shape {tuple(shape)}",
                "target.unsqueeze(1).float(), or background_index=... for one class and none",
            )
        return "index"
    fail(
        "target",
        f"one truth per element, shape {tuple(shape)}, or class indices of shape "
        f"{tuple(positions)} (integer dtype)",
        f"shape {tuple(target.shape)}, dtype {target.dtype}",
        _remedy(shape, target)
        or "give `target` the shape of `input`; for one class per row use target.long()",
    )


def _remedy(shape: torch.Size, target: Tensor) -> str:
    """The call that makes a target fit which has another form; empty if none is known."""
    positions, classes = shape[:1] + shape[2:], shape[1:2]
    if len(shape) < 2 or target.is_complex():
        return ""
    if target.shape == positions:
        return "for class indices use an integer dtype: target.long()"
    if target.dim() == len(shape) and target.shape[:1] + target.shape[2:] == positions:
        return "for class indices: target.squeeze(1).long()" if target.shape[1] == 1 else ""
    if len(shape) > 2 and target.shape == shape[:-1]:
        return "class_dim=-1, if the last axis of `input` has the classes"
    if target.shape == positions + classes:
        return "target.movedim(-1, 1)"
    if target.dim() == 2 and target.shape[1] == 1 and target.shape[:1] == positions:
        return "target.squeeze(1)"
    return ""


def _check_tensor(target: Tensor) -> None:
    if not isinstance(target, Tensor):
        fail("target", "a tensor", type(target).__name__, "use torch.as_tensor(target)")
    _check_memory("target", target)


def _check_memory(name: str, values: Tensor) -> None:
    """Refuse tensors whose memory was given back, where torch itself would read past its end."""
    known = eager() and values.layout is torch.strided and not values.is_nested
    if known and values.is_cpu and has_numbers(values) and not in_its_storage(values):
        raise RuntimeError(
            f"`{name}` must be a tensor with memory, got one whose storage was freed or cut after "
            "it was made (untyped_storage().resize_). Fix: use it before, or compute it again"
        )


def check_indices(kept: Tensor, num_classes: int, ignore_index: int | None) -> None:
    """Refuse classes without a column in the input, where looking costs no device sync."""
    if not seen(kept) or kept.numel() == 0:
        return
    low, high = (int(bound) for bound in kept.aminmax())
    if low < 0 or high >= num_classes:
        wrong = low if low < 0 else high
        fail(
            "target",
            f"class indices in 0..{num_classes - 1} (axis 1 of `input` has {num_classes} entries)"
            f" or ignore_index={ignore_index}",
            f"the class {wrong}",
            f"widen the model's output, relabel, or say what it means: ignore_index={wrong}, or"
            f" with the sigmoid link background_index={wrong} for none of the classes",
        )


def check_truths(target: Tensor, ignore: int | None, rows: Tensor) -> None:
    """Refuse truths of the sigmoid link outside [0, 1] where they count, if looking is cheap.

    Args:
        target: one truth per element, (N, C[, S]).
        ignore: the value of elements that count for nothing.
        rows: coefficients, (N, 1[, S]) or (N, C[, S]); 0 for what counts for nothing.
    """
    if (
        target.dtype == torch.bool
        or not target.is_cpu
        or not (values_are_known() and has_numbers(target))
    ):
        return
    if target.numel() == 0:
        return
    kept = target.detach() if ignore is None else torch.where(target == ignore, 0, target.detach())
    low, high = kept.aminmax()
    if low >= 0 and high <= 1:
        return
    inside = in_unit_interval(target) | (rows == 0)
    if ignore is not None:
        inside |= target == ignore
    _refuse_outside(target, inside)


_ROUNDING = 1e-3
"""How far a truth may be outside [0, 1]: mixed targets add up to 1 but for their last digits."""


def in_unit_interval(target: Tensor) -> Tensor:
    """Whether a truth is one, but for rounding."""
    return (target >= -_ROUNDING) & (target <= 1 + _ROUNDING)


def _refuse_outside(target: Tensor, inside: Tensor) -> None:
    if not inside.all():
        wrong = target[~inside][0].item()
        fail("target", "probabilities in [0, 1]", wrong, "rescale the target")


def out_of_range(index: Tensor, num_classes: int) -> Tensor | None:
    """Where class indices have no column; None where `check_indices` has looked."""
    if seen(index):
        return None
    return (index < 0) | (index >= num_classes)


def check_probabilities(
    target: Tensor, ignore_index: int | None, axis: int | None, kept: Tensor | None = None
) -> None:
    """Inside `debug()`, refuse targets outside [0, 1], and sums along `axis` other than one.

    Only positions that are `kept` are looked at, if it is given.
    """
    if not debugging() or target.dtype == torch.bool:
        return
    if kept is not None:
        target, axis = target.movedim(1, -1)[kept], None if axis is None else -1
    inside = in_unit_interval(target)
    if ignore_index is not None:
        inside |= target == ignore_index
    _refuse_outside(target, inside)
    if axis is not None and not torch.allclose(
        target.sum(axis), torch.ones((), dtype=target.dtype, device=target.device), atol=1e-3
    ):
        fail(
            "target",
            f"probabilities that sum to one along axis {axis}",
            f"sums from {target.sum(axis).min():g} to {target.sum(axis).max():g}",
            'normalise it, or use link="sigmoid" for several true classes at once',
        )
