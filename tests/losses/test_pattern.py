"""What every loss of the table owes to its declared fields, one loss at a time."""

from __future__ import annotations

import pytest

import taylored
from kit.checks import pattern as checks
from kit.turns import by_family
from taylored import catalog

each_loss = pytest.mark.parametrize("name", catalog.SPECS)
each_form = pytest.mark.parametrize(
    ("form", "name"), [(form, name) for name in catalog.SPECS for form in checks.forms_of(name)]
)


@each_form
def test_wrong_keyword(form: str, name: str) -> None:
    checks.check_wrong_keyword(form, name)


@each_form
def test_position(form: str, name: str) -> None:
    checks.check_position(form, name)


@each_form
def test_signature(form: str, name: str) -> None:
    checks.check_signature(form, name)


@each_form
def test_refused(form: str, name: str) -> None:
    checks.check_refused(form, name)


@pytest.mark.parametrize("name", [name for name, spec in catalog.SPECS.items() if spec.function])
def test_module_and_function_agree(name: str) -> None:
    checks.check_agreement(name)


@each_form
def test_lengths(form: str, name: str) -> None:
    checks.check_lengths(form, name)


@each_form
def test_data_of_other_logits(form: str, name: str) -> None:
    checks.check_data_of_other_logits(form, name)


@pytest.mark.parametrize("text", [t for spec in catalog.SPECS.values() for t in spec.examples])
def test_repr_is_python(text: str) -> None:
    checks.check_repr_is_python(text)


@each_loss
def test_state(name: str) -> None:
    checks.check_state(name)


@each_loss
def test_other_criterion(name: str) -> None:
    checks.check_other_criterion(name)


@by_family
@each_loss
def test_loading(name: str) -> None:
    checks.check_loading(name)


@each_loss
def test_copies(name: str) -> None:
    checks.check_copies(name)


@by_family
@each_loss
def test_assignment(name: str) -> None:
    checks.check_assignment(name)


@by_family
@each_loss
def test_bad_assignment(name: str) -> None:
    checks.check_bad_assignment(name)


@pytest.mark.parametrize(
    "name", [name for name, spec in catalog.SPECS.items() if spec.inner == "optional"]
)
def test_default_inner(name: str) -> None:
    checks.check_default_inner(name)


@each_loss
def test_base_class(name: str) -> None:
    assert issubclass(catalog.SPECS[name].module, taylored.Loss)
