"""The native sweeps as operators of torch, which torch.compile calls as they are.

A compiled step would otherwise make loops of its own of the composed expression, several passes
over the logits each way. To the compiler an operator is a box: it knows the shapes that come out
(the fake functions) and what backward calls (the autograd function), and nothing of what is inside.

The gradient that forward finds goes to backward in a *parcel*: an empty tensor whose storage holds
it. As an ordinary tensor it would have to be copied to be scaled, which takes as long as the sweep,
because the compiler takes what backward is handed for its own and writes over it. A parcel is
opened once.
"""

from __future__ import annotations

import math
from array import array
from collections.abc import Sequence
from typing import Any

import torch
from torch import Tensor

from taylored.core.engine.executor import gradient_dtype
from taylored.core.inputs.targets import check_indices
from taylored.core.numerics import computing_dtype
from taylored.core.plan.plan import Plan, sums_by_logits
from taylored.kernels.abi import layout_of
from taylored.kernels.executor import accepted_plan, packed
from taylored.kernels.library import Library
from taylored.kernels.sweep import Batch, Formula, swept

_GIVEN = (
    "(Tensor logits, Tensor target, Tensor rows, Tensor? positive, Tensor? negative, "
    "Tensor? scale, Tensor? bias, Tensor? gammas, Tensor? added, Tensor? growth, "
    "str link, bool by_index, int? ignore, float smoothing, float temperature, float gamma, "
    "float[] log_factor, float[] rest, int skipped, bool by_value)"
)
"""`Batch` and `Formula`, one after the other."""

_FEW = 1 << 14
"""Below as many logits, calling an operator takes longer than the loops of the compiler."""

_SEAL = 64
"""Bytes after the gradient in a parcel; the first says whether it was opened."""

_OPERATORS = torch.library.Library("taylored", "FRAGMENT")
# Two calls with the same arguments must stay two: each has a parcel of its own.
_TAGS = (torch.Tag.nondeterministic_seeded, torch.Tag.needs_exact_strides)
_OPERATORS.define(f"value{_GIVEN} -> Tensor", tags=_TAGS[1:])
_OPERATORS.define(f"sweep{_GIVEN} -> (Tensor, Tensor)", tags=_TAGS)
_OPERATORS.define(f"counting_sweep{_GIVEN} -> (Tensor, Tensor, Tensor)", tags=_TAGS)
_OPERATORS.define(
    "opened(Tensor parcel, Tensor grad_loss, SymInt[] shape, SymInt[] strides, ScalarType stored, "
    "ScalarType dtype) -> Tensor",
    tags=_TAGS,
)


class NativeOperators:
    """The way of a plan through the operators, while a compiler records it."""

    def __init__(self, library: Library) -> None:
        """Register what the operators do on the CPU: run this library."""
        _register(library)

    def accepts(self, logits: Tensor, plan: Plan) -> bool:
        """Ordinary CPU tensors, not known to be few, and a term that the library has code for."""
        # Imported where a compiler has imported it already: it takes as long as all of taylored.
        from torch.fx.experimental.symbolic_shapes import statically_known_true

        if statically_known_true(logits.numel() < _FEW):
            return False
        on_cpu = all(
            each.is_cpu and each.layout is torch.strided for each in (logits, *plan.tensors())
        )
        return on_cpu and accepted_plan(logits, plan)

    def loss(self, logits: Tensor, plan: Plan) -> Tensor:
        """The loss, whose first derivative on the logits is known."""
        given = _given(logits, plan)
        if not (torch.is_grad_enabled() and logits.requires_grad):
            value: Tensor = torch.ops.taylored.value(*given)
            return value
        loss: Tensor = torch.ops.taylored.sweep(*given)[0]
        return loss

    def counting_loss(self, logits: Tensor, plan: Plan) -> tuple[Tensor, Tensor]:
        """The same, and the (2, C) sums of the absolute gradient per class."""
        loss, _, total = torch.ops.taylored.counting_sweep(*_given(logits, plan))
        return loss, sums_by_logits(total, plan)


def _given(logits: Tensor, plan: Plan) -> list[Any]:
    batch, formula = packed(logits, plan)
    listed = formula._replace(log_factor=list(formula.log_factor), rest=list(formula.rest))
    return [*batch, *listed]


def _split(given: Sequence[Any]) -> tuple[Batch, Formula]:
    count = len(Batch._fields)
    batch, formula = Batch(*given[:count]), Formula(*given[count:])
    return batch, formula._replace(
        log_factor=array("d", formula.log_factor), rest=array("d", formula.rest)
    )


def _register(library: Library) -> None:
    def value(*given: Any) -> Tensor:
        return _run(library, given, None, None)

    def sweep(*given: Any) -> tuple[Tensor, Tensor]:
        parcel, gradient = _parcel(given[0])
        return _run(library, given, gradient, None), parcel

    def counting_sweep(*given: Any) -> tuple[Tensor, Tensor, Tensor]:
        parcel, gradient = _parcel(given[0])
        sums = torch.zeros(2, given[0].shape[1], dtype=torch.float64, device="cpu")
        return _run(library, given, gradient, sums), parcel, sums

    for operator in (value, sweep, counting_sweep):
        _OPERATORS.impl(operator.__name__, operator, "CPU")
    _OPERATORS.impl("opened", _opened, "CPU")


def _run(
    library: Library, given: Sequence[Any], gradient: Tensor | None, sums: Tensor | None
) -> Tensor:
    """Check what only values tell, and bring the logits into a layout of the library."""
    batch, formula = _split(given)
    logits = batch.logits
    if logits.numel() == 0:
        return _loss_like(*given)
    if formula.by_index:
        _check_classes(library, batch.target, logits.shape[1], formula.link)
    strides = _strides_of_gradient(logits)
    if logits.stride() != strides or layout_of(logits) is None:
        logits = logits.new_empty_strided(logits.shape, strides).copy_(logits)
    return swept(library, batch._replace(logits=logits), formula, gradient, sums)


def _check_classes(library: Library, target: Tensor, classes: int, link: str) -> None:
    """Refuse classes without a column; with the sigmoid link -1 is none of the classes."""
    target = target.contiguous()
    none = link == "sigmoid"
    if library.kept(target.data_ptr(), target.numel(), none, -1, classes) < 0:
        check_indices(target.masked_fill(target == -1, 0) if none else target, classes, None)


def _loss_like(*given: Any) -> Tensor:
    """A tensor of the shape and dtype of the loss, of zeros."""
    batch, formula = _split(given)
    logits, dtype = batch.logits, computing_dtype(batch.logits)
    if not formula.by_value:
        return logits.new_zeros((), dtype=dtype)
    if formula.link == "softmax":
        return logits.new_zeros((*logits.shape[:1], *logits.shape[2:]), dtype=dtype)
    return logits.new_zeros(logits.shape, dtype=dtype)


def _parcel(logits: Tensor) -> tuple[Tensor, Tensor]:
    """An empty tensor, and the gradient that lies in its storage."""
    dtype = gradient_dtype(logits)
    bytes_ = logits.numel() * dtype.itemsize
    space = torch.empty(bytes_ + _SEAL, dtype=torch.uint8, device="cpu")
    space[bytes_:].zero_()
    strides = _strides_of_gradient(logits)
    return _lying_in(space, dtype, (0,), (1,)), _lying_in(space, dtype, logits.shape, strides)


def _strides_of_gradient(logits: Tensor) -> tuple[int, ...]:
    """Those of the logits where these lie densely, as the compiler is told by `empty_like`."""
    if logits.is_contiguous():
        return logits.stride()
    return torch.empty_like(logits, device="meta").stride()


def _lying_in(
    space: Tensor, dtype: torch.dtype, shape: Sequence[int], strides: Sequence[int]
) -> Tensor:
    return torch.empty(0, dtype=dtype, device="cpu").set_(
        space.untyped_storage(), 0, shape, strides
    )


def _opened(
    parcel: Tensor,
    grad_loss: Tensor,
    shape: Sequence[int],
    strides: Sequence[int],
    stored: torch.dtype,
    dtype: torch.dtype,
) -> Tensor:
    """The gradient in a parcel, times that of the loss; the memory is that of the parcel."""
    bytes_ = math.prod(shape) * stored.itemsize
    storage = parcel.untyped_storage()
    if storage.nbytes() < bytes_ + _SEAL:
        raise RuntimeError(
            "`loss.backward()` must get what forward saved, got a copy without its memory. Fix: "
            "leave the loss out of torch.autograd.graph.saved_tensors_hooks (save_on_cpu, ...)"
        )
    seal = torch.empty(0, dtype=torch.uint8, device="cpu").set_(storage, bytes_, (1,), (1,))
    if int(seal):
        raise RuntimeError(
            "`loss.backward()` must run once, got a second run of a graph that was let go. Fix: "
            "use loss.backward(retain_graph=True) the first time"
        )
    gradient = _lying_in(parcel, stored, shape, strides)
    if 0 < grad_loss.dim() < gradient.dim():
        grad_loss = grad_loss.unsqueeze(1)
    if torch._C._current_graph_task_id() == -1 or (
        torch._C._autograd._get_current_graph_task_keep_graph()
    ):
        return (gradient * grad_loss).to(dtype)
    seal.fill_(1)
    if grad_loss.dim() != 0 or grad_loss.item() != 1.0:
        gradient.mul_(grad_loss)
    return gradient.to(dtype)


def _fake_parcel(logits: Tensor) -> Tensor:
    return logits.new_empty(0, dtype=gradient_dtype(logits))


def _fake_sweep(*given: Any) -> tuple[Tensor, Tensor]:
    return _loss_like(*given), _fake_parcel(given[0])


def _fake_counting_sweep(*given: Any) -> tuple[Tensor, Tensor, Tensor]:
    sums = given[0].new_zeros(2, given[0].shape[1], dtype=torch.float64)
    return _loss_like(*given), _fake_parcel(given[0]), sums


def _fake_opened(parcel: Tensor, *given: Any) -> Tensor:
    _, shape, strides, _, dtype = given
    return parcel.new_empty_strided(shape, strides, dtype=dtype)


def _remember(ctx: Any, inputs: tuple[Any, ...], output: tuple[Tensor, ...]) -> None:
    logits = inputs[0]
    ctx.save_for_backward(output[1])
    ctx.shape, ctx.strides = logits.shape, torch.empty_like(logits).stride()
    ctx.dtype, ctx.stored = logits.dtype, gradient_dtype(logits)
    ctx.inputs = len(inputs)
    ctx.mark_non_differentiable(*output[1:])


def _backward(ctx: Any, grad_loss: Tensor | None, *_: Any) -> tuple[Tensor | None, ...]:
    (parcel,) = ctx.saved_tensors
    others = (None,) * (ctx.inputs - 1)
    if grad_loss is None:
        return None, *others
    gradient: Tensor = torch.ops.taylored.opened(
        parcel, grad_loss, ctx.shape, ctx.strides, ctx.stored, ctx.dtype
    )
    return gradient, *others


for _name, _fake in (
    ("value", _loss_like),
    ("sweep", _fake_sweep),
    ("counting_sweep", _fake_counting_sweep),
    ("opened", _fake_opened),
):
    _OPERATORS.impl(_name, _fake, "Meta")  # `register_fake` reads source files at import
for _name in ("sweep", "counting_sweep"):
    torch.library.register_autograd(
        f"taylored::{_name}", _backward, setup_context=_remember, lib=_OPERATORS
    )
