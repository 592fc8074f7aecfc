"""The doctor in your own test suite.

>>> import torch
>>> from taylored import testing
>>> report = testing.check_loss(torch.nn.CrossEntropyLoss(), expected=["all-ignored-nan"])

raises AssertionError where anything of severity "error" is found that is not expected. A test for
each question:

    @pytest.mark.parametrize("check", testing.checks_of(MyLoss()))
    def test_my_loss(check):
        check()
"""

from __future__ import annotations

import functools
import inspect
from collections.abc import Collection
from dataclasses import dataclass
from typing import Unpack

from taylored.doctor.checks import CHECKS
from taylored.doctor.examination import HowToExamine, examine
from taylored.doctor.finding import Finding
from taylored.doctor.recipe import LossFunction
from taylored.doctor.report import Report


def check_loss(
    loss: str | LossFunction,
    *,
    expected: Collection[str] = (),
    **how: Unpack[HowToExamine],
) -> Report:
    """Examine a loss, and fail where it has a fault that is not expected.

    Args:
        loss: as for `taylored.doctor.examine`.
        expected: names of findings that are known and accepted.
        how: the other arguments of `taylored.doctor.examine`: link, target, classes, layout,
            checks, time_limit.

    Returns:
        The report, for further assertions.

    Raises:
        AssertionError: lists the faults, each with what to do.

    Example:
        >>> sorted(check_loss("focal(gamma=2)", time_limit=None).names & {"overflows"})
        []
    """
    examination = Examination(loss, expected, how)
    _refuse(examination.report.loss, examination.report.errors, expected)
    return examination.report


@dataclass(frozen=True, eq=False)
class LossCheck:
    """One question about one loss, to be called in a test; pytest shows it by its name."""

    name: str
    examination: Examination

    @property
    def __name__(self) -> str:
        """The same, where pytest looks for it."""
        return self.name

    def __call__(self) -> None:
        """Fail where this question found a fault that is not expected."""
        report = self.examination.report
        # A loss that cannot be called at all fails in every question.
        found = [each for each in report.errors if not report.asked or each.check == self.name]
        _refuse(report.loss, found, self.examination.expected)


@dataclass(frozen=True, eq=False)
class Examination:
    """An examination that takes place when its first question is asked."""

    loss: str | LossFunction
    expected: Collection[str]
    how: HowToExamine

    def __post_init__(self) -> None:
        """Refuse arguments that the examination does not have, before any test runs."""
        inspect.signature(examine).bind(self.loss, **self.how)

    @functools.cached_property
    def report(self) -> Report:
        """What was found, once for all questions."""
        return examine(self.loss, **self.how)


def checks_of(
    loss: str | LossFunction,
    *,
    expected: Collection[str] = (),
    **how: Unpack[HowToExamine],
) -> list[LossCheck]:
    """One callable for each question, for `pytest.mark.parametrize`; arguments as `check_loss`.

    The loss is examined once, when the first of them is called.

    Example:
        >>> checks = checks_of("cross_entropy")
        >>> checks[0].__name__, len(checks) > 30
        ('call', True)
    """
    shared = Examination(loss, expected, how)
    names = how.get("checks") or [check.name for check in CHECKS]
    return [LossCheck(name, shared) for name in names]


def _refuse(name: str, found: Collection[Finding], expected: Collection[str]) -> None:
    faults = [each for each in found if each.name not in expected]
    if faults:
        listed = "\n\n".join(
            f"{each.name}: {each.title}\nFix: {each.fix}\n{each.snippet}" for each in faults
        )
        raise AssertionError(f"{name} has {len(faults)} fault(s).\n\n{listed}")
