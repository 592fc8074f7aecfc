"""Planted faults: gradients that change behind their owner's back, or are copied for nothing."""

from __future__ import annotations

from typing import Any

import pytest
from torch import Tensor

from kit.cases import SHAPES, Case
from kit.checks import held_gradients as checks
from kit.faults import Faults
from kit.graphs import Maker
from taylored.core.engine import backward, one_pass, tensor_pass

FOCAL = Case("focal(gamma=2)", "index", SHAPES[0])
LEAF, COMPUTED = (Maker(FOCAL, "whole", kind) for kind in ("leaf", "computed"))
LINEAR = Maker(FOCAL, "blocked", "linear")

fault = Faults(RuntimeError)


@fault(checks.check_factors, LEAF)
@fault(checks.check_factors, LINEAR)
@fault(checks.check_backward_after_grad, LEAF)
@fault(checks.check_written, LEAF)
@fault(checks.check_hooks, LEAF)
@fault(checks.check_two_losses, LEAF)
@fault(checks.check_create_graph, LEAF)
@fault(checks.check_batched, LEAF)
def scales_the_saved_buffer_in_place(patch: pytest.MonkeyPatch) -> None:
    patch.setattr(backward, "_last_use", lambda ctx, grad_loss: True)


@fault(checks.check_logits_written, COMPUTED)
def looks_at_the_logits_in_backward(patch: pytest.MonkeyPatch) -> None:
    patch.setattr(backward, "_UNPACKS_ONE", False)


@fault(checks.check_saved_tensors_kept, LEAF)
def writes_to_what_a_hook_has_kept(patch: pytest.MonkeyPatch) -> None:
    patch.setattr(backward, "_hooks_on_saved", lambda ignore: None)


@fault(checks.check_buffer_is_handed_out, LEAF)
def copies_every_gradient(patch: pytest.MonkeyPatch) -> None:
    patch.setattr(backward, "_last_use", lambda ctx, grad_loss: False)


def _keeping(patch: pytest.MonkeyPatch, before: Any) -> None:
    def keep(ctx: Any, *saved: Tensor | None) -> None:
        backward.keep(ctx, *before(ctx, *saved))

    patch.setattr(tensor_pass, "keep", keep)


@fault(checks.check_freed, COMPUTED)
def holds_the_logits_besides(patch: pytest.MonkeyPatch) -> None:
    def hold(ctx: Any, *saved: Tensor | None) -> tuple[Tensor | None, ...]:
        ctx.logits = saved[1]
        return saved

    _keeping(patch, hold)


@fault(checks.check_saved_elsewhere, LEAF)
def brings_back_another_gradient(patch: pytest.MonkeyPatch) -> None:
    def doubled(ctx: Any, *saved: Tensor | None) -> tuple[Tensor | None, ...]:
        gradient, *others = saved
        hooked = backward._hooks_on_saved(True) is not None
        return (2 * gradient if hooked else gradient, *others)

    _keeping(patch, doubled)


@fault(checks.check_value_written, LEAF)
def hands_out_a_value_that_cannot_be_written_to(patch: pytest.MonkeyPatch) -> None:
    patch.setattr(one_pass, "in_shape_of", lambda z, loss, plan: loss.reshape(1).unbind()[0])


@fault.each
def test_faults_are_noticed(name: str, monkeypatch: pytest.MonkeyPatch) -> None:
    fault.must_be_noticed(name, monkeypatch)


def test_every_check_has_a_fault() -> None:
    assert not fault.not_noticing(checks)
