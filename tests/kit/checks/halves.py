"""Every float16 and every bfloat16 as a logit, with both targets."""

from __future__ import annotations

import torch
from torch import Tensor

from kit.cases import build, call_of, resized, target_kinds
from kit.exact_logits import Logit, plain
from references import reference_loss

ROUNDED = 0.51
"""Units in the last place: half of one is rounding, and float32 is off by less than a hundredth."""

CANCELLED = 2.0**-19
"""What a gradient may be off by where it is a difference of numbers as large as sigmoid(-|x|)."""

FEW = 1 / 500
"""How many of the gradients may need that: those about a change of sign."""

LEAST, MOST = 2.0**-123, 2.0**120
"""Results below the one may be 0, and above the other infinite: numbers on the way are float32."""

OVERFLOWS = 700.0
"""The text of some losses is NaN for larger logits, whose limits `test_extremes.py` has."""

COARSE = {"jensen_shannon": 1e-14, "softcap": 1e-7}
"""Absolute errors, of what is a difference of large numbers whatever the logit.

The text of the one is a difference of logarithms, in float64; the other multiplies with the
derivative of a hyperbolic tangent, 1 minus its square.
"""


def every(dtype: torch.dtype) -> Tensor:
    """All 65 536 numbers, NaN and infinity among them."""
    return torch.arange(-(2**15), 2**15).to(torch.int16).view(dtype)


def check_every_half(text: str, dtype: torch.dtype) -> None:
    """Value and gradient are the exact ones, rounded to the dtype of the logits."""
    given = call_of(text)
    call = resized(given, 2).having(reduction="none")
    logits = every(dtype)
    z = torch.stack([logits, logits], dim=1).requires_grad_()
    if "multi-hot" in target_kinds(given):
        target = torch.tensor([[1, 0]]).expand(len(z), 2)
    else:
        target = torch.zeros(len(z), dtype=torch.long)
    value = build(call)(z, target)
    (gradient,) = torch.autograd.grad(value.sum(), z)
    # Infinite logits have the limits, which are reached long before.
    wide = z.detach().double().clamp(-1e300, 1e300).requires_grad_()
    exact = plain(reference_loss(call, Logit.of(wide.clone(), wide), target))
    (slope,) = torch.autograd.grad(exact.sum(), wide)
    size = torch.sigmoid(-wide.detach().abs())
    coarse = LEAST + COARSE.get(call.name, 0.0)
    logits = wide.detach()
    _check(value.detach().to(dtype), exact.detach(), logits, coarse, 0.0 * size)
    _check(gradient, slope, logits, coarse, CANCELLED * size)


def _check(got: Tensor, exact: Tensor, logits: Tensor, coarse: float, parts: Tensor) -> None:
    info = torch.finfo(got.dtype)
    power = (exact.abs().view(torch.int64) & 0x7FF0000000000000).view(torch.float64)
    unit = power.clamp_min(info.tiny) * info.eps
    right = (got == exact.to(got.dtype)) | (got.isnan() & exact.isnan())
    right |= (exact.abs() > MOST) & got.isinf()
    right |= ~exact.isfinite() & (logits.abs() > OVERFLOWS)
    error = (got.double() - exact).abs() - coarse
    near = right | (error <= ROUNDED * unit)
    wrong = ~(near | (error <= ROUNDED * unit + parts))
    assert not wrong.any(), _first(wrong, got, exact, logits)
    assert (~near).sum() <= FEW * got.numel(), _first(~near, got, exact, logits)


def _first(wrong: Tensor, got: Tensor, exact: Tensor, logits: Tensor) -> str:
    row, column = wrong.nonzero()[0].tolist()
    place = f"logit {float(logits[row, column])!r}, target {1 - column}"
    numbers = f"{float(got[row, column])!r} for {float(exact[row, column])!r}"
    return f"{int(wrong.sum())} of {wrong.numel()}; at {place}: {numbers}"
