"""The exhaustive check of benchmarks/exhaustive.py sees one wrong number among all others."""

from __future__ import annotations

import sys
from pathlib import Path
from types import ModuleType

import pytest
import torch
from torch import Tensor

from taylored.core.engine.executor import Swept
from taylored.kernels import NATIVE, Library
from taylored.kernels.executor import Native

pytestmark = pytest.mark.skipif(not isinstance(NATIVE, Library), reason="there is no library")

BENCHMARKS = Path(__file__).parents[2] / "benchmarks"
FOCAL = 'focal(gamma=2, link="sigmoid")'
CHUNK = "+127"
"""All float32 numbers from 1 to 2."""

PLACE = 1.625
"""One of them."""

NUMBERS = 2**18
"""How many of them are looked at here, for time."""


@pytest.fixture(scope="module")
def float32() -> ModuleType:
    with pytest.MonkeyPatch.context() as patch:
        patch.syspath_prepend(str(BENCHMARKS))
        import float32
    return sys.modules.pop("float32", float32)


class OneWrong(Native):
    """Moves the value of one logit by a few units in the last place, and has no gradient for it."""

    def sweep(self, logits: Tensor, plan, **given) -> Swept:  # type: ignore[no-untyped-def]
        here = logits == PLACE
        found = super().sweep(logits, plan, **given)
        found.loss[here] *= 1.0 + 2e-6
        found.gradient[here] = torch.nan
        return found


@pytest.fixture
def piece(float32: ModuleType, monkeypatch: pytest.MonkeyPatch) -> ModuleType:
    """The same, with the numbers of a chunk that lie around `PLACE`."""
    whole = float32.numbers
    first = int((PLACE - 1) * 2**23) - NUMBERS // 2
    monkeypatch.setattr(float32, "numbers", lambda name: whole(name)[first:][:NUMBERS])
    return float32


def test_every_number_is_counted_and_the_library_is_right(piece: ModuleType) -> None:
    found = piece.Checked(FOCAL, Native(NATIVE)).chunk(CHUNK)
    for tally in found.values():
        assert tally.points == 2 * NUMBERS  # with both targets
        assert tally.worst < 12  # the table in docs/accuracy.md has 10.4 for the worst of all
        assert tally.rounded > 0.05 * tally.points
        assert tally.astray == 0


def test_one_wrong_number_is_found(piece: ModuleType) -> None:
    found = piece.Checked(FOCAL, OneWrong(NATIVE)).chunk(CHUNK)
    assert found["value"].worst > 15
    assert found["value"].worst_at == (PLACE, 1)
    assert found["gradient"].worst < 12
    assert found["gradient"].astray == 1
    assert found["gradient"].astray_at == (PLACE, 1)


def test_the_pieces_are_all_float32_numbers(float32: ModuleType) -> None:
    assert len(set(float32.chunks())) == 512
    begins = {"+0": 0.0, "+127": 1.0, "-128": -2.0, "+255": torch.inf, "-255": -torch.inf}
    for name, begin in begins.items():
        assert name in set(float32.chunks())
        assert float32.numbers(name)[0] == begin
    numbers = float32.numbers(CHUNK)
    assert len(numbers) == 2**23
    assert (numbers.diff() == 2**-23).all()
    assert numbers[-1] < 2
