"""No executor may be wrong where another is right: all of them on the same plans."""

from __future__ import annotations

import dataclasses

import pytest
import torch

from kit.native import FLOATS, agree, counted, drawn, native, needs_native
from taylored.core.engine.blocked import Blocked
from taylored.core.engine.whole import Whole

pytestmark = needs_native

# Of the largest entry. bfloat16 is what the gradient is stored in: half an ulp of it, and half of
# that again where a temperature divides it there.
CLOSE = {torch.float32: 1e-6, torch.float64: 1e-12, torch.bfloat16: 1.5 * 2**-8}
CLOSE[torch.float16] = CLOSE[torch.float32]
SEEDS = 15


@pytest.mark.parametrize("dtype", FLOATS, ids=lambda dtype: str(dtype)[6:])
@pytest.mark.parametrize("part", range(10))
def test_all_executors_agree(dtype: torch.dtype, part: int, monkeypatch) -> None:
    monkeypatch.setattr("taylored.core.engine.blocked.BLOCK_ELEMENTS", 64)
    for seed in range(part * SEEDS, (part + 1) * SEEDS):
        given = drawn(seed, dtype)
        logits, plan = given.prepared()
        # The same plan in float64: what the numbers should have been.
        wide = logits.double()
        exact = counted(Whole(), wide, dataclasses.replace(plan, rows=plan.rows.double()))
        assert native().accepts(logits, plan), given
        # A margin between large logits has lost digits before anything is computed from it.
        close = CLOSE[dtype] * max(1.0, logits.abs().max().item() / plan.temperature / 8)
        for executor in (native(), Whole(), Blocked()):
            found = counted(executor, logits, plan)
            alone = found._replace(loss=executor.value(logits, plan))
            try:
                agree(found, exact, close)
                agree(alone, exact, close)
            except AssertionError as error:
                raise AssertionError(f"{executor.name}, seed {seed}: {given}") from error
