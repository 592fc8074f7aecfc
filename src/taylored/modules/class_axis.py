"""Which axis the classes are on, how many there are, and one number per class along it."""

from __future__ import annotations

from collections.abc import Mapping, Sequence

import torch
from torch import Tensor

from taylored.core.checks import fail
from taylored.core.inputs.logits import Logits
from taylored.core.inputs.targets import check_input
from taylored.core.numerics import computing_dtype
from taylored.modules.field import Field


def class_axis(input: Logits) -> int:
    """Axis 1, or the only one."""
    return min(1, input.dim() - 1)


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


def probabilities(logits: Tensor, link: str) -> Tensor:
    """Softmax over the class axis, or the sigmoid of each; float32 for half precision."""
    wide = logits.to(computing_dtype(logits))
    return torch.softmax(wide, dim=class_axis(logits)) if link == "softmax" else wide.sigmoid()


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
            fix = "classes are axis 1 of `input`; values per sample go into `sample_weight`"
            if name.endswith("counts"):
                fix = f"taylored.class_counts(targets, num_classes={classes})"
            got = f"{length} columns" if name == "num_classes" else length
            fail(name, f"{kind}: {classes} columns for this input", got, fix)
