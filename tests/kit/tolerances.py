"""How near a number has to be to the reference, by the dtype of the logits."""

from __future__ import annotations

import torch
from torch import Tensor

RTOL = {torch.float64: 1e-10, torch.float32: 3e-5, torch.bfloat16: 3e-5, torch.float16: 3e-5}
ATOL = {torch.float64: 1e-12, torch.float32: 1e-6, torch.bfloat16: 1e-6, torch.float16: 1e-6}
# The gradient is stored in the logits' dtype: half an ulp more.
GRADIENT_RTOL = {**RTOL, torch.bfloat16: 2**-8, torch.float16: 2**-10}
GRADIENT_ATOL = {**ATOL, torch.float32: 1e-6, torch.bfloat16: 1e-6, torch.float16: 1e-6}


def close(
    got: Tensor,
    expected: Tensor,
    rtol: float = 1e-10,
    atol: float = 1e-12,
    *,
    check_dtype: bool = False,
) -> None:
    """Equal but for rounding; in whatever dtypes, if those are not to be checked."""
    if not check_dtype:
        got, expected = got.double(), expected.double()
    torch.testing.assert_close(got, expected, rtol=rtol, atol=atol)


def within(got: Tensor, expected: Tensor, tolerance: float = 1e-9) -> None:
    """Equal to a share or to an amount of the same size: for states, which start at zero."""
    close(got, expected, tolerance, tolerance)
