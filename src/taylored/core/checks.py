"""Argument checks: every failure names the argument, what was expected, what came and the fix."""

from __future__ import annotations

import contextlib
import math
from collections.abc import Iterator, Sequence
from contextvars import ContextVar
from typing import NoReturn

from torch import Tensor

from taylored.core.context import compiling, has_numbers, values_are_known

_debug: ContextVar[bool] = ContextVar("taylored_debug", default=False)


def fail(name: str, expected: str, got: object, fix: str) -> NoReturn:
    """Raise the error that every bad argument gets."""
    raise ValueError(f"`{name}` must be {expected}, got {got}. Fix: {fix}")


@contextlib.contextmanager
def debug() -> Iterator[None]:
    """Check target *values* too, which costs a pass over the data and a device sync.

    Inside the context every loss verifies that class indices are in range, that probability targets
    are in [0, 1] and, for the softmax link, that they sum to one, and that the logits are not
    probabilities already, which modules look for in their first batch on the CPU, too.

    Example:
        >>> import torch, taylored
        >>> with taylored.debug():
        ...     loss = taylored.binary_cross_entropy_loss(torch.zeros(2), torch.ones(2))
        >>> round(loss.item(), 4)
        0.6931
    """
    token = _debug.set(True)
    try:
        yield
    finally:
        _debug.reset(token)


def debugging() -> bool:
    """Whether a `debug()` context is active."""
    return not compiling() and _debug.get()


def seen(values: Tensor) -> bool:
    """Whether checks may look at values: on the CPU that is free, elsewhere it is a device sync."""
    return values_are_known() and has_numbers(values) and (values.is_cpu or debugging())


def check_floats(**named: Tensor) -> None:
    """Refuse what is no tensor of real numbers, by the name that the caller knows it by."""
    for name, value in named.items():
        if not isinstance(value, Tensor):
            fail(name, "a tensor", type(value).__name__, f"use torch.as_tensor({name})")
        if not value.is_floating_point():
            fail(name, "real numbers", f"dtype {value.dtype}", f"use {name}.float()")


def one_of(name: str, value: str, choices: Sequence[str]) -> None:
    """Refuse a string outside `choices`."""
    if value not in choices:
        listed = ", ".join(repr(choice) for choice in choices)
        fail(name, f"one of {listed}", repr(value), "pick one of these")


def in_range(
    name: str, value: float, low: float, high: float, fix: str, *, interval: str = "[]"
) -> None:
    """Refuse a number outside an interval; `interval` is written "[]", "[)", "(]" or "()"."""
    above = value >= low if interval[0] == "[" else value > low
    below = value <= high if interval[1] == "]" else value < high
    if not (above and below):  # NaN fails both
        left = f"{interval[0]}{low:g}" if math.isfinite(low) else "(-inf"
        right = f"{high:g}{interval[1]}" if math.isfinite(high) else "inf)"
        fail(name, f"in {left}, {right}", value, fix)


def check_num_classes(num_classes: object) -> None:
    """Refuse anything but a whole number of classes, at least one."""
    if isinstance(num_classes, bool) or not isinstance(num_classes, int) or num_classes < 1:
        fail("num_classes", "a whole number >= 1", repr(num_classes), "count your classes")


def per_class(name: str, value: Tensor, num_classes: int) -> None:
    """Refuse a per-class vector whose length is not the number of classes."""
    if value.dim() > 1 or (value.dim() == 1 and value.shape[0] not in (1, num_classes)):
        fail(
            name,
            f"one number per class: shape ({num_classes},) for this input",
            f"shape {tuple(value.shape)}",
            "give one value per column of axis 1 of `input`"
            " (values per sample or position go into `sample_weight`)",
        )
