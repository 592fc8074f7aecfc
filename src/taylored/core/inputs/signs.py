"""Targets of -1 and 1, in which the losses of pairs say whether two things belong together."""

from __future__ import annotations

from torch import Tensor

from taylored.core.checks import fail


def signs_of(target: Tensor, input: Tensor, positions: tuple[int, ...]) -> Tensor:
    """The target in the floating dtype of the input; another shape than `positions` is refused."""
    if not isinstance(target, Tensor) or target.is_complex():
        got = str(getattr(target, "dtype", type(target).__name__))
        fail("target", "a tensor of -1 and 1, of any dtype", got, "use torch.as_tensor(target)")
    if tuple(target.shape) != positions:
        fail("target", f"-1 or 1 per position, shape {positions}", tuple(target.shape),
             f"use target.reshape({positions}) where it has as many numbers")  # fmt: skip
    return target if target.is_floating_point() else target.to(input.dtype)


def check_signs(target: Tensor) -> None:
    """Refuse other numbers than -1 and 1; of 0 torch makes a loss that belongs to neither."""
    wrong = (target != -1) & (target != 1) & ~target.isnan()
    if bool(wrong.any()):
        got = float(target[wrong][0])
        fix = "leave positions out by sample_weight=0"
        if got == 0:
            fix = f"use 2 * target - 1 for answers of 0 and 1; where 0 is no answer, {fix}"
        fail("target", "-1 or 1", f"{got:g}", fix)
