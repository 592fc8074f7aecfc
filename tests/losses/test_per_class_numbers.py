"""Counts, weights and other numbers per class, of every loss, in every form."""

from __future__ import annotations

import pytest

from kit.catalogued import CLASSIFICATION
from kit.checks import per_class_numbers as checks
from kit.turns import by_family

each = pytest.mark.parametrize("name", [name for name in CLASSIFICATION if checks.lists_of(name)])


@each
def test_forms(name: str) -> None:
    checks.check_forms(name)


@each
def test_module_and_function(name: str) -> None:
    checks.check_module_and_function(name)


@each
def test_half(name: str) -> None:
    checks.check_half(name)


@each
def test_refused(name: str) -> None:
    checks.check_refused(name)


@each
def test_truth_values(name: str) -> None:
    checks.check_truth_values(name)


@by_family
@each
def test_compiled(name: str) -> None:
    checks.check_compiled(name)
