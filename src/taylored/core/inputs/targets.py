"""Kinds of targets, recognised by shape and dtype, and the checks that they fit the input."""

from __future__ import annotations

from typing import Literal

import torch
from torch import Tensor

from taylored.core.checks import debugging, fail
from taylored.core.context import eager, has_numbers, in_its_storage, values_are_known
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
    positions = input.shape[:1] + input.shape[2:] if input.dim() > 1 else input.shape[:0]
    if target.is_floating_point():
        if target.shape != input.shape:
            fail(
                "target",
                f"of the input's shape {tuple(input.shape)} (probabilities: floating point)",
                f"shape {tuple(target.shape)}, dtype {target.dtype}",
                "for class indices use an integer dtype: target.long()",
            )
        return "dense"
    if target.dtype == torch.bool or target.is_complex() or target.shape != positions:
        fail(
            "target",
            f"class indices of shape {tuple(positions)} (integer dtype), or probabilities of shape "
            f"{tuple(input.shape)} (floating point), for input of shape {tuple(input.shape)}",
            f"shape {tuple(target.shape)}, dtype {target.dtype}",
            "classes are axis 1 of `input`; one-hot targets need target.float()",
        )
    return "index"


def sigmoid_kind(input: Logits, target: Tensor) -> TargetKind:
    """The kind of a sigmoid target: one truth per element, or one class index per position."""
    _check_tensor(target)
    if target.shape == input.shape and not target.is_complex():
        return "dense"
    positions = input.shape[:1] + input.shape[2:]
    whole = not (target.is_floating_point() or target.is_complex() or target.dtype == torch.bool)
    if input.dim() > 1 and whole and target.shape == positions:
        return "index"
    fail(
        "target",
        f"one truth per element, shape {tuple(input.shape)}, or class indices of shape "
        f"{tuple(positions)} (integer dtype)",
        f"shape {tuple(target.shape)}, dtype {target.dtype}",
        "give `target` the shape of `input`; for one class per row use target.long()",
    )


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
    if not (eager() and has_numbers(kept)):
        return
    if kept.numel() == 0 or (kept.device.type != "cpu" and not debugging()):
        return
    low, high = (int(bound) for bound in kept.aminmax())
    if low < 0 or high >= num_classes:
        fail(
            "target",
            f"class indices in 0..{num_classes - 1} (axis 1 of `input` has {num_classes} entries)"
            f" or ignore_index={ignore_index}",
            f"the class {low if low < 0 else high}",
            "widen the model's output, or relabel, or set `ignore_index`",
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
    inside = ((target >= 0) & (target <= 1)) | (rows == 0)
    if ignore is not None:
        inside |= target == ignore
    _refuse_outside(target, inside)


def _refuse_outside(target: Tensor, inside: Tensor) -> None:
    if not inside.all():
        wrong = target[~inside][0].item()
        fail("target", "probabilities in [0, 1]", wrong, "rescale the target")


def check_probabilities(target: Tensor, ignore_index: int | None, axis: int | None) -> None:
    """Inside `debug()`, refuse targets outside [0, 1], and sums along `axis` other than one."""
    if not debugging() or target.dtype == torch.bool:
        return
    inside = (target >= 0) & (target <= 1)
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
