"""Which axis the classes are on, how many there are, and one number per class along it."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from dataclasses import replace
from typing import Any

from torch import Tensor

from taylored.core.checks import fail
from taylored.core.inputs.donated_logits import Donated
from taylored.core.inputs.linear_logits import LinearLogits
from taylored.core.inputs.logits import Logits
from taylored.core.inputs.sharded_logits import ShardedLogits
from taylored.core.inputs.targets import check_input
from taylored.core.numerics import computing_dtype
from taylored.modules.fields.field import Field


def class_axis(input: Logits) -> int:
    """Axis 1, or the only one."""
    return min(1, input.dim() - 1)


def at_home(
    run: Callable[..., Tensor], class_dim: int, home: int, input: Logits, *beside: Any
) -> Tensor:
    """The loss of a caller who has the classes on `class_dim`, found where `home` has them.

    Everything with a class axis is handed on as a view, and so is the result, if it has one. What
    is `beside` the input, target and weights, lacks the axes that `home` has before the samples.
    `LinearLogits` stand for logits with the classes where the caller has them.
    """
    if not isinstance(input, Logits) or input.dim() < 2:
        _check_only_axis(input, class_dim, home)
        return run(input, *beside)
    dims, ahead = input.dim(), home - 1
    axis = class_dim + dims if class_dim < 0 else class_dim
    if not ahead <= axis < dims:
        shape = tuple(input.shape)
        fail("class_dim", f"the axis of the classes in input of shape {shape}", class_dim,
             "-1 is the last axis")  # fmt: skip
    moved = [
        each.movedim(axis - ahead, 1)
        if isinstance(each, Tensor) and each.dim() == dims - ahead
        else each
        for each in beside
    ]
    try:
        loss = run(_input_at(input, axis, home), *moved)
    except ValueError as error:
        note = f"(these shapes have the classes, class_dim={class_dim} of yours, on axis {home})"
        raise type(error)(f"{error} {note}") from None
    return loss.movedim(home, axis) if loss.dim() == dims else loss


def _check_only_axis(input: Logits, class_dim: int, home: int) -> None:
    if isinstance(input, Tensor) and class_dim not in (-1, 0, home):
        fail("class_dim", f"0 or -1 for input of shape {tuple(input.shape)}", class_dim,
             "leave it out")  # fmt: skip


def _input_at(input: Logits, axis: int, home: int) -> Logits:
    if isinstance(input, LinearLogits):  # their classes are on axis 1 already
        return input
    if isinstance(input, ShardedLogits):
        if input.class_dim != axis:
            fail("class_dim", f"that of `input`, {input.class_dim}", axis,
                 f"pass ShardedLogits(..., class_dim={axis})")  # fmt: skip
        return input
    return (
        replace(input, class_dim=axis) if isinstance(input, Donated) else input.movedim(axis, home)
    )


def class_count(input: Logits, link: str, axis: int) -> int:
    """Number of classes of logits: the length of the class axis, 1 where there is none."""
    if not isinstance(input, Logits):
        check_input(input)  # which refuses it
    if input.dim() > axis:
        return input.shape[axis]
    if axis > 1:
        shape = tuple(input.shape)
        fail("input", "several predictions, stacked on axis 0", f"shape {shape}", "use torch.stack")
    return input.shape[0] if link == "softmax" and input.dim() == 1 else 1


def along(per_class: Tensor, input: Tensor) -> Tensor:
    """One number per class, to broadcast along the class axis, in the dtype to compute in."""
    values = per_class.to(device=input.device, dtype=computing_dtype(input))
    return values.reshape(-1, *[1] * max(0, input.dim() - 2))


def lengths(
    fields: Mapping[str, Field], values: Mapping[str, object], columns: int = 0
) -> dict[str, int]:
    """How many columns of the logits each value speaks of: lists, counts, a number of classes.

    A single number stands for every class, but for counts. `columns` are those that no number of
    classes counts.
    """
    found = {}
    for name, value in values.items():
        field = fields[name]
        if field.about.needs == "num_classes" and isinstance(value, int):
            found[name] = value + columns
        elif field.per_class and isinstance(value, (Tensor, Sequence)):
            size = value.numel() if isinstance(value, Tensor) else len(value)
            if size != 1 or field.about.needs == "counts":
                found[name] = size
    return found


def check_lengths(found: Mapping[str, int], classes: int) -> None:
    """Refuse per-class values that speak of another number of classes than the input has."""
    for name, length in found.items():
        if length != classes:
            kind = "a number of classes" if name == "num_classes" else "one number per class"
            fix = "classes are axis 1 of `input`, or class_dim=-1; values per sample go into "
            fix += "`sample_weight`"
            if name.endswith("counts"):
                fix = f"taylored.class_counts(targets, num_classes={classes})"
            got = f"{length} columns" if name == "num_classes" else length
            fail(name, f"{kind}: {classes} columns for this input", got, fix)
