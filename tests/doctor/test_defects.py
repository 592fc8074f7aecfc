"""The doctor finds what is planted, says what it is, and shows it by a program that runs."""

from __future__ import annotations

import contextlib

import pytest

from doctor.defects import DEFECTS
from taylored.doctor import CHECKS, examine
from taylored.doctor.here import left_alone

NOTHING = contextlib.nullcontext()

CHECK_OF = {name: check.name for check in reversed(CHECKS) for name in check.diagnoses}


@pytest.mark.parametrize("what", DEFECTS)
def test_finds(what):
    loss, diagnosis = DEFECTS[what]
    checks = (CHECK_OF.get(diagnosis, "call"),)
    report = examine(loss, checks=checks, time_limit=None)
    assert diagnosis in report.names, str(report)
    (found, *_) = [each for each in report.findings if each.name == diagnosis]
    assert found.evidence
    assert found.fix
    program = compile(found.snippet, what, "exec")
    if "loss = ..." not in found.snippet:  # of an object only its owner knows how it is made
        failing = contextlib.suppress(Exception) if "error" in found.evidence else NOTHING
        with left_alone(), failing:
            exec(program, {})  # noqa: S102
