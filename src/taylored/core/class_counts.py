"""How often each class occurs."""

from __future__ import annotations

from collections.abc import Hashable, Iterable, Mapping, Sequence
from typing import Any

import torch
from torch import Tensor

from taylored.core.checks import fail
from taylored.core.labels import Array, in_class_order, labelled, positions_of
from taylored.core.numerics import tensor_of, widest_dtype


def class_counts(
    targets: Tensor | Array | Iterable[Hashable] | Mapping[Any, float],
    *,
    num_classes: int | None = None,
    classes: Sequence[Hashable] | None = None,
    ignore_index: int = -100,
) -> Tensor:
    """How often each class occurs.

    Args:
        targets: class indices of any shape (integer dtype or a sequence of whole numbers), or
            multi-hot / probability targets (N, C, d1, ...) with bool or floating dtype, whose
            columns are summed. Or counts by class (a dict, a `Counter`), to be brought into the
            order of the columns.
        num_classes: length of the result for indices; by default the largest class plus one.
        classes: the name of each column, in order, where targets are names and not indices.
        ignore_index: indices, or elements of floating-point targets, that are not counted.

    Returns:
        (C,) whole numbers (int64), or float sums for floating-point targets.

    Raises:
        ValueError: for indices outside 0..num_classes - 1, for names that are not in `classes`.

    Example:
        >>> class_counts([0, 0, 2, -100])
        tensor([2, 0, 1])
        >>> class_counts(["dog", "cat", "dog"], classes=["cat", "dog", "fox"])
        tensor([1, 2, 0])
        >>> class_counts({"dog": 500, "cat": 30}, classes=["cat", "dog", "fox"])
        tensor([ 30, 500,   0])
    """
    if isinstance(targets, Mapping):
        return _rearranged(targets, num_classes, classes)
    if classes is not None:
        column = positions_of(classes)
        num_classes = len(classes)
        listed = targets.tolist() if isinstance(targets, Tensor) else list(_each(targets))
        targets = torch.tensor(
            [_column(column, name) for name in listed], dtype=torch.int64, device="cpu"
        )
    values = targets if isinstance(targets, Tensor) else _as_indices(targets)
    if values.dtype == torch.bool or (values.is_floating_point() and values.numel() > 0):
        return _column_sums(values, ignore_index)
    whole = values.long()  # compared as bytes, -100 would be 156
    kept = whole[whole != ignore_index]
    size = num_classes or (int(kept.max()) + 1 if kept.numel() else 0)
    if kept.numel() and (int(kept.min()) < 0 or int(kept.max()) >= size):
        wrong = int(kept.min()) if int(kept.min()) < 0 else int(kept.max())
        fail("targets", f"classes in 0..{size - 1}", wrong, "raise `num_classes`, or relabel")
    return torch.bincount(kept, minlength=size)


def _rearranged(
    counts: Mapping[Any, float], num_classes: int | None, classes: Sequence[Hashable] | None
) -> Tensor:
    """Counts by class in the order of the columns; a class that does not occur has none."""
    if classes is not None:
        column = positions_of(classes)
        num_classes = len(classes)
        found = labelled("targets", counts) or {}
        counts = {_column(column, name): amount for name, amount in found.items()}
    listed = in_class_order("counts", counts, gaps=True, classes=num_classes)
    if num_classes is not None and len(listed) > num_classes:
        wrong = len(listed) - 1
        fail("targets", f"classes in 0..{num_classes - 1}", wrong, "raise `num_classes`")
    return tensor_of(listed)


def _column(column: Mapping[Hashable, int], name: Hashable) -> int:
    if name not in column:
        known = ", ".join(map(repr, list(column)[:5])) + (", ..." if len(column) > 5 else "")
        fail("targets", f"names of `classes` ({known})", repr(name), "add it to `classes`")
    return column[name]


def _each(targets: Any) -> Iterable[Any]:
    """The single targets; a series that was counted already has lost which label is which."""
    if getattr(targets, "name", None) in ("count", "proportion"):
        got = "value_counts(), which is in another order"
        fix = "pass it to the loss as it is, or class_counts(series.to_dict(), classes=[...])"
        fail("targets", "the labels themselves", got, fix)
    if isinstance(targets, (str, bytes)):
        fail("targets", "a sequence of labels", repr(targets), "give a list")
    return targets  # type: ignore[no-any-return]


def _as_indices(targets: Any) -> Tensor:
    each = _each(targets)
    try:
        return tensor_of(each.__array__() if isinstance(each, Array) else list(each))
    except (TypeError, ValueError, RuntimeError):  # names, ragged lists, anything
        name = next((item for item in each if not isinstance(item, (int, float))), "no number")
        fix = "class_counts(targets, classes=[...]), the names in the order of the model's columns"
        fail("targets", "class indices, or names with `classes`", repr(name), fix)


def _column_sums(values: Tensor, ignore_index: int) -> Tensor:
    """The sum of every column of multi-hot or probability targets."""
    if values.dim() < 2:
        fail(
            "targets",
            "class indices (integer dtype), or multi-hot with classes on axis 1",
            f"shape {tuple(values.shape)}, dtype {values.dtype}",
            "use targets.long() for class indices",
        )
    columns = values.movedim(1, -1).flatten(0, -2)
    if values.dtype == torch.bool:
        return columns.sum(0)
    kept = torch.where(columns == ignore_index, 0.0, columns)
    if not bool((kept >= 0).all()):  # NaN too
        fix = f"give the value that marks them: ignore_index={float(kept.min()):g}"
        fail("targets", f"numbers >= 0, or {ignore_index} where ignored", float(kept.min()), fix)
    return kept.sum(0, dtype=widest_dtype(values.device))
