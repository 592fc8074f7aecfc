"""NaN, infinities, huge numbers and offsets in the logits, for every loss along every path."""

from __future__ import annotations

import pytest

from kit.cases import SHAPES, Case, cases, identified
from kit.checks import unruly as checks
from kit.traits import BATCHWISE

SMALL = cases(SHAPES[:1])
ALL = identified(SMALL)
DEEP = identified(cases(SHAPES[1:2]))
IGNORING = identified([case for case in SMALL if case.target != "probabilities"])
INVARIANT = identified([case for case in SMALL if checks.invariant(case)])
ALONE = identified([case for case in SMALL if case.call.name not in BATCHWISE])


@pytest.mark.parametrize(**IGNORING)
def test_ignored_logits_leave_no_trace(case: Case) -> None:
    checks.check_everywhere(checks.check_ignored, case)


@pytest.mark.parametrize(**DEEP)
def test_logits_without_sample_weight_leave_no_trace(case: Case) -> None:
    checks.check_everywhere(checks.check_sample_weight, case)


@pytest.mark.parametrize(**ALL)
def test_logits_without_class_weight_leave_no_trace(case: Case) -> None:
    checks.check_everywhere(checks.check_class_weight, case)


@pytest.mark.parametrize(**ALL)
def test_infinite_logits_are_the_limit(case: Case) -> None:
    checks.check_everywhere(checks.check_infinite, case)


@pytest.mark.parametrize(**ALONE)
def test_what_spoils_a_position_is_seen(case: Case) -> None:
    checks.check_everywhere(checks.check_spoiled, case)


@pytest.mark.parametrize(**INVARIANT)
def test_offsets(case: Case) -> None:
    checks.check_everywhere(checks.check_offset, case)


@pytest.mark.parametrize(**ALL)
def test_ends_of_the_range(case: Case) -> None:
    checks.check_everywhere(checks.check_huge, case)
