"""Float32 is as exact as every loss says, at other logits than those that were measured."""

from __future__ import annotations

import runpy
from pathlib import Path

import pytest

from kit.cases import call_of
from kit.native import needs_native
from kit.roundings import TAILS, measured, worst
from taylored import catalog
from taylored.modules.exactness.roundings import ROUNDINGS

ROOT = Path(__file__).parents[2]
TABLE = runpy.run_path(str(ROOT / "docs" / "accuracy_table.py"))
SEED = 1000
"""Not one of those that `docs/accuracy_table.py` measures."""


BOUND = [text for text in measured() if call_of(text).name in ROUNDINGS]
UNBOUND = {call_of(text).name for text in measured()} - set(ROUNDINGS)


def check(text: str, spoilt: float = 1.0) -> None:
    found, stated = worst(text, SEED, spoilt), ROUNDINGS[call_of(text).name]
    assert found.value[stated.value_tail] <= stated.value
    assert found.gradient[stated.gradient_tail] <= stated.gradient


@needs_native
@pytest.mark.parametrize("text", BOUND)
def test_within_what_is_stated(text: str) -> None:
    check(text)


@needs_native
@pytest.mark.parametrize("text", ["cross_entropy()", "focal(gamma=2)", "seesaw()", "z_loss()",
                                  "asymmetric()"])  # fmt: skip
def test_a_thousandth_too_much_is_noticed(text: str) -> None:
    with pytest.raises(AssertionError):
        check(text, 1.001)


@needs_native
def test_a_loss_that_states_nothing_could_not() -> None:
    assert {"logit_norm"} >= UNBOUND, "run `python docs/accuracy_table.py LOSS`"
    for name in UNBOUND:
        found = [worst(text, SEED) for text in measured() if call_of(text).name == name]
        last = TAILS[-1]
        most = max(max(each.value[last], each.gradient[last]) for each in found)
        assert most > TABLE["STEPS"][-1]


def test_docstrings_say_what_is_stated() -> None:
    assert set(ROUNDINGS) <= {call_of(text).name for text in measured()}
    for name, stated in ROUNDINGS.items():
        spec = catalog.SPECS[name]
        for documented in (spec.module, spec.function):
            text = " ".join((getattr(documented, "__doc__", None) or "").split())
            assert documented is None or stated.said() in text


def test_the_page_has_the_table_of_today() -> None:
    page = (ROOT / "docs" / "accuracy.md").read_text()
    assert TABLE["written"](page) == page, "run `python docs/accuracy_table.py --table`"
