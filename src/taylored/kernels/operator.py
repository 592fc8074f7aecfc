"""The native sweeps as operators of torch, which torch.compile calls as they are.

A compiled step would otherwise make loops of its own of the composed expression, several passes
over the logits each way. To the compiler an operator is a box: it knows the shapes that come out
(the fake functions) and what backward calls (`parcel.py`), and nothing of what is inside. These run
a plan; calls that need none have operators of their own (`plain_operator.py`).
"""

from __future__ import annotations

from array import array
from collections.abc import Sequence
from typing import Any

import torch
from torch import Tensor

from taylored.core.engine.executor import Direct
from taylored.core.inputs.logits import Logits
from taylored.core.inputs.targets import check_indices
from taylored.core.plan.options import Options
from taylored.core.plan.plan import Plan, sums_by_logits
from taylored.core.terms.term import Term
from taylored.kernels import plain_operator
from taylored.kernels.executor import accepted_plan, packed
from taylored.kernels.library import Library
from taylored.kernels.parcel import (
    EXACT,
    OPERATORS,
    define,
    fake_loss,
    fake_parcel,
    fake_sums,
    laid_out,
    parcel_for,
)
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


class NativeOperators:
    """The way of a plan through the operators, while a compiler records it."""

    def __init__(self, library: Library) -> None:
        """Register what the operators do on the CPU: run this library."""
        _register(library)
        plain_operator.register(library)

    def at_once(self, input: Logits, target: Tensor, term: Term, options: Options) -> Direct | None:
        """The loss of a plain call; None for anything unusual."""
        if not isinstance(input, Tensor) or _known_to_be_few(input):
            return None
        return plain_operator.recorded(input, target, term, options)

    def accepts(self, logits: Tensor, plan: Plan) -> bool:
        """Ordinary CPU tensors, not known to be few, and a term that the library has code for."""
        if _known_to_be_few(logits):
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


def _known_to_be_few(logits: Tensor) -> bool:
    # Imported where a compiler has imported it already: it takes as long as all of taylored.
    from torch.fx.experimental.symbolic_shapes import statically_known_true

    return statically_known_true(logits.numel() < _FEW)


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
        parcel, gradient = parcel_for(given[0])
        return _run(library, given, gradient, None), parcel

    def counting_sweep(*given: Any) -> tuple[Tensor, Tensor, Tensor]:
        parcel, gradient = parcel_for(given[0])
        sums = torch.zeros(2, given[0].shape[1], dtype=torch.float64, device="cpu")
        return _run(library, given, gradient, sums), parcel, sums

    for operator in (value, sweep, counting_sweep):
        OPERATORS.impl(operator.__name__, operator, "CPU")


def _run(
    library: Library, given: Sequence[Any], gradient: Tensor | None, sums: Tensor | None
) -> Tensor:
    """Check what only values tell, and run the library."""
    batch, formula = _split(given)
    logits = batch.logits
    if logits.numel() == 0:
        return _loss_like(*given)
    if formula.by_index:
        _check_classes(library, batch.target, logits.shape[1], formula.link)
    return swept(library, batch._replace(logits=laid_out(logits)), formula, gradient, sums)


def _check_classes(library: Library, target: Tensor, classes: int, link: str) -> None:
    """Refuse classes without a column; with the sigmoid link -1 is none of the classes."""
    target = target.contiguous()
    none = link == "sigmoid"
    if library.kept(target.data_ptr(), target.numel(), none, -1, classes) < 0:
        check_indices(target.masked_fill(target == -1, 0) if none else target, classes, None)


def _loss_like(*given: Any) -> Tensor:
    batch, formula = _split(given)
    return fake_loss(batch.logits, formula.link, by_value=formula.by_value)


def _fake_sweep(*given: Any) -> tuple[Tensor, Tensor]:
    return _loss_like(*given), fake_parcel(given[0])


def _fake_counting_sweep(*given: Any) -> tuple[Tensor, Tensor, Tensor]:
    return _loss_like(*given), fake_parcel(given[0]), fake_sums(given[0])


OPERATORS.define(f"value{_GIVEN} -> Tensor", tags=EXACT)
OPERATORS.impl("value", _loss_like, "Meta")
define("sweep", _GIVEN, "(Tensor, Tensor)", _fake_sweep)
define("counting_sweep", _GIVEN, "(Tensor, Tensor, Tensor)", _fake_counting_sweep)
