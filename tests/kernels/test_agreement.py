"""No executor may be wrong where another is right: all of them on the same plans."""

from __future__ import annotations

from dataclasses import replace
from typing import Any

import pytest
import torch
from torch import Tensor

from kit.native import FLOATS, agree, counted, drawn, native, needs_native
from taylored.core.engine.blocked import Blocked
from taylored.core.engine.whole import Whole
from taylored.kernels import executor
from taylored.kernels.executor import Native

pytestmark = needs_native

# Of the largest entry. bfloat16 is what the gradient is stored in: half an ulp of it, and half of
# that again where a temperature divides it there.
CLOSE = {torch.float32: 1e-6, torch.float64: 1e-12, torch.bfloat16: 1.5 * 2**-8}
CLOSE[torch.float16] = CLOSE[torch.float32]
SEEDS = 15


def check(dtype: torch.dtype, seeds: range, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("taylored.core.engine.blocked.BLOCK_ELEMENTS", 64)
    for seed in seeds:
        given = drawn(seed, dtype)
        logits, plan = given.prepared()
        # The same plan in float64: what the numbers should have been.
        wide = logits.double()
        exact = counted(Whole(), wide, replace(plan, rows=plan.rows.double()))
        assert native().accepts(logits, plan), given
        # A margin between large logits has lost digits before anything is computed from it.
        close = CLOSE[dtype] * max(1.0, logits.abs().max().item() / plan.temperature / 8)
        for each in (native(), Whole(), Blocked()):
            found = counted(each, logits, plan)
            alone = found._replace(loss=each.value(logits, plan))
            try:
                agree(found, exact, close)
                agree(alone, exact, close)
            except AssertionError as error:
                raise AssertionError(f"{each.name}, seed {seed}: {given}") from error


@pytest.mark.parametrize("dtype", FLOATS, ids=lambda dtype: str(dtype)[6:])
@pytest.mark.parametrize("part", range(10))
def test_all_executors_agree(dtype: torch.dtype, part: int, monkeypatch) -> None:
    check(dtype, range(part * SEEDS, (part + 1) * SEEDS), monkeypatch)


@pytest.mark.parametrize("lost", ["margin", "growth", "scale"])
def test_what_the_kernels_are_not_told_is_noticed(lost: str, monkeypatch) -> None:
    moved, run = executor._moved, Native._run

    def without(*given: Any) -> tuple[Tensor | None, Tensor | None]:
        added, growth = moved(*given)
        return (None, growth) if lost == "margin" else (added, None)

    if lost == "scale":
        unscaled = lambda self, z, plan, *rest: run(self, z, replace(plan, scale=None), *rest)  # noqa: E731
        monkeypatch.setattr(Native, "_run", unscaled)
    else:
        monkeypatch.setattr(executor, "_moved", without)
    with pytest.raises(AssertionError, match="native, seed"):
        check(torch.float64, range(150), monkeypatch)
