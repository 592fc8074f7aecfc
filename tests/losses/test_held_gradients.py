"""Gradients that were handed out, for every example of every loss and every way of the engine."""

from __future__ import annotations

from collections.abc import Callable

import pytest

from kit.cases import SHAPES, Case, call_of, examples, identified, target_kinds
from kit.checks import held_gradients as checks
from kit.executors import PATHS
from kit.graphs import Maker, inputs_of
from kit.traits import ELEMENTWISE

CASES = list(
    {
        (call_of(text).name, call_of(text).link()): Case(
            text, target_kinds(call_of(text))[0], SHAPES[0]
        )
        for text in examples()
    }.values()
)
"""One example of every loss and link: what is checked does not depend on the numbers."""
# Composed gradients are torch's own. Where "whole" is composed there is nothing of ours either.
ONE_PASS = [path for path in PATHS if path != "composed"]

ON_EVERY_INPUT = (
    checks.check_factors,
    checks.check_backward_after_grad,
    checks.check_written,
    checks.check_hooks,
    checks.check_two_losses,
    checks.check_batched,
    checks.check_create_graph,
    checks.check_value_written,
    checks.check_saved_tensors_kept,
    checks.check_saved_elsewhere,
)
ON_COMPUTED_LOGITS = (checks.check_logits_written, checks.check_freed)

each_path = pytest.mark.parametrize("path", ONE_PASS)


@each_path
@pytest.mark.parametrize("check", ON_EVERY_INPUT, ids=lambda check: check.__name__)
@pytest.mark.parametrize(**identified(CASES))
def test_held_gradients(case: Case, check: Callable[[Maker], None], path: str) -> None:
    for kind in inputs_of(case):
        check(Maker(case, path, kind))


@each_path
@pytest.mark.parametrize("check", ON_COMPUTED_LOGITS, ids=lambda check: check.__name__)
@pytest.mark.parametrize(**identified(CASES))
def test_logits_after_forward(case: Case, check: Callable[[Maker], None], path: str) -> None:
    if case.call.name in ELEMENTWISE and path != "blocked":
        pytest.skip("torch's own operations save what they need")
    for kind in ("computed", "strided"):
        check(Maker(case, path, kind))


@each_path
@pytest.mark.parametrize(**identified(CASES))
def test_nothing_is_copied_where_nobody_keeps_the_graph(case: Case, path: str) -> None:
    if case.call.name in ELEMENTWISE and path != "blocked":
        pytest.skip("torch's own operations")
    for kind in ("leaf", "computed"):
        checks.check_buffer_is_handed_out(Maker(case, path, kind))
