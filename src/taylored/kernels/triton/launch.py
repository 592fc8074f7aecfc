"""From a plan to the arguments of a kernel."""

from __future__ import annotations

import contextlib
from collections.abc import Mapping
from functools import lru_cache

import torch
import triton
import triton.language as tl
from torch import Tensor

from taylored.core.numerics import computing_dtype
from taylored.kernels.abi import element_strides, layout_of, position_strides, spread_per_class
from taylored.kernels.sweep import Batch, Formula
from taylored.kernels.triton.sigmoid import sigmoid
from taylored.kernels.triton.softmax_hard import softmax_hard
from taylored.kernels.triton.softmax_soft import softmax_soft

_TILE = 2048
"""Numbers of a tile, which live in registers."""

_WHOLE_POWERS = (0.0, 1.0, 2.0, 3.0, 4.0)


def launched(
    batch: Batch, formula: Formula, gradient: Tensor | None, sums: Tensor | None
) -> Tensor:
    """The loss; the gradient is written, and the (2, C) sums are added to, where they are given."""
    logits, target = batch.logits, batch.target
    layout = layout_of(logits)
    assert layout is not None  # noqa: S101 - accepted
    n, classes, inner, z_n, z_c, z_s = layout
    dtype, device = computing_dtype(logits), logits.device
    softmax = formula.link == "softmax"
    each = None
    if formula.by_value:
        shape = logits.shape[:1] + logits.shape[2:] if softmax else logits.shape
        each = torch.empty(shape, dtype=dtype, device=device)
    block, positions = _tile(classes, along_classes=z_c == 1 or inner == 1)
    grid = (triton.cdiv(n * inner, positions), 1 if softmax else triton.cdiv(classes, block))
    partial = torch.empty(grid, dtype=torch.float64, device=device)
    numbers = _numbers(formula, classes, dtype, device)

    def per_class(values: Tensor | None) -> Tensor:
        """One number per class; something that the kernel does not read if they are absent."""
        return numbers if values is None else spread_per_class(values, logits)

    def given(values: Tensor | None) -> Tensor:
        return numbers if values is None else values

    term = {
        "GRADIENT": gradient is not None,
        "EACH": each is not None,
        "COUNTED": sums is not None,
        "BIASED": batch.bias is not None,
        "BY_CLASS": batch.gammas is not None,
        "WHOLE": _whole_power(batch, formula),
        "NA": len(formula.log_factor),
        "NB": len(formula.rest),
        "SKIPPED": formula.skipped,
        "R": tl.float64 if dtype is torch.float64 else tl.float32,
        "POSITIONS": positions,
        "BLOCK": block,
    }
    read = (logits, given(gradient), target, batch.rows, given(each), partial, given(sums))
    sizes = (n * inner, classes, inner, z_n, z_c, z_s)
    bias, gammas, positive = map(per_class, (batch.bias, batch.gammas, batch.positive))
    with _on(device):
        if not softmax:
            negative = per_class(batch.negative)
            sigmoid[grid](
                *read, bias, gammas, positive, negative, numbers,
                *sizes, *_target_strides(batch, formula), *element_strides(batch.rows),
                0 if formula.ignore is None else formula.ignore,
                INDEX=formula.by_index,
                IGNORES=formula.ignore is not None and not formula.by_index,
                YES_WEIGHTED=batch.positive is not None,
                NO_WEIGHTED=batch.negative is not None,
                **term,
            )  # fmt: skip
            return _found(partial, each, dtype)
        scale = per_class(batch.scale)
        t_n, t_c, t_s = _target_strides(batch, formula)
        r_n, _, r_s = element_strides(batch.rows)
        moves: Mapping[str, bool] = {
            "SCALES": batch.scale is not None,
            "SHIFTS": batch.bias is not None or formula.temperature != 1.0,
        }
        largest = scale.max() if batch.scale is not None else numbers
        if formula.by_index and formula.smoothing == 0.0 and batch.positive is None:
            softmax_hard[grid](
                *read, scale, bias, gammas, given(batch.added), given(batch.growth), largest,
                numbers, *sizes, t_n, t_s, r_n, r_s,
                ADDED=batch.added is not None, GROWN=batch.growth is not None,
                **moves, **term,
            )  # fmt: skip
        else:
            softmax_soft[grid](
                *read, scale, bias, gammas, positive, largest, numbers,
                *sizes, t_n, t_c, t_s, r_n, r_s,
                INDEX=formula.by_index, WEIGHTED=batch.positive is not None,
                **moves, **term,
            )  # fmt: skip
    return _found(partial, each, dtype)


def _found(partial: Tensor, each: Tensor | None, dtype: torch.dtype) -> Tensor:
    return partial.sum().to(dtype) if each is None else each


def _target_strides(batch: Batch, formula: Formula) -> tuple[int, int, int]:
    return position_strides(batch.target) if formula.by_index else element_strides(batch.target)


def _tile(classes: int, *, along_classes: bool) -> tuple[int, int]:
    """Classes and positions of a tile; the axis that lies together in memory gets the most."""
    if along_classes:
        block = min(triton.next_power_of_2(classes), _TILE)
        return block, max(1, min(32, _TILE // block))
    block = min(triton.next_power_of_2(classes), _TILE // 128)
    return block, 128


def _whole_power(batch: Batch, formula: Formula) -> int:
    """The exponent, if products find the power, or -1."""
    known = batch.gammas is None and formula.gamma in _WHOLE_POWERS
    return int(formula.gamma) if known else -1


def _numbers(formula: Formula, classes: int, dtype: torch.dtype, device: torch.device) -> Tensor:
    values = (
        formula.gamma,
        formula.temperature,
        1.0 - formula.smoothing,
        formula.smoothing / (classes if formula.link == "softmax" else 2),
        *formula.log_factor,
        *formula.rest,
    )
    return _kept(values, dtype, device)


@lru_cache(maxsize=256)
def _kept(values: tuple[float, ...], dtype: torch.dtype, device: torch.device) -> Tensor:
    """The numbers where the kernel reads them: copied once, because a copy makes the host wait."""
    return torch.tensor(values, dtype=dtype, device=device)


def _on(device: torch.device) -> contextlib.AbstractContextManager[None]:
    """Triton launches where the process is, and not where the tensors are."""
    return torch.cuda.device(device) if device.type == "cuda" else contextlib.nullcontext()
