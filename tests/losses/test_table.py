"""A loss is complete, or a test says what is missing: table, public names, reference, examples."""

from __future__ import annotations

import importlib
import pkgutil

import pytest

import taylored
import taylored.losses
from references import REFERENCES
from taylored import catalog
from taylored.modules.spec import Spec

each_spec = pytest.mark.parametrize("spec", catalog.SPECS.values(), ids=lambda spec: spec.name)


def declared() -> dict[str, Spec]:
    """Every SPEC in a file of the package, by the name of the file."""
    found = {}
    for file in pkgutil.walk_packages(taylored.losses.__path__, "taylored.losses."):
        spec = getattr(importlib.import_module(file.name), "SPEC", None)
        if isinstance(spec, Spec):
            found[file.name] = spec
    return found


def test_every_declared_loss_is_in_the_table() -> None:
    assert {spec.name for spec in declared().values()} == set(catalog.SPECS)
    assert all(file.rpartition(".")[2] == spec.name for file, spec in declared().items())


def check_public(spec: Spec) -> None:
    """Module and function are names of the package, as users import them."""
    for public in filter(None, (spec.module, spec.function)):
        assert getattr(taylored, public.__name__, None) is public, f"{public.__name__} is missing"
        assert public.__name__ in dir(taylored)


def check_reference(spec: Spec) -> None:
    assert spec.name in REFERENCES, f"tests/references has no @reference({spec.name!r})"


@each_spec
def test_public(spec: Spec) -> None:
    check_public(spec)


@each_spec
def test_reference(spec: Spec) -> None:
    check_reference(spec)


@each_spec
def test_examples(spec: Spec) -> None:
    assert spec.examples
    for text in (*spec.examples, *(side for pair in spec.identities for side in pair)):
        assert isinstance(catalog.get(text, counts=[5, 4, 3, 2, 1]), taylored.Loss)
    assert any(catalog.spec(text) is spec for text in spec.examples)


def test_no_reference_is_left_over() -> None:
    assert set(REFERENCES) == set(catalog.SPECS)


def test_what_is_missing_is_noticed(monkeypatch: pytest.MonkeyPatch) -> None:
    spec = catalog.SPECS["focal"]
    check_public(spec)
    check_reference(spec)
    with monkeypatch.context() as patch:
        patch.delitem(REFERENCES, "focal")
        with pytest.raises(AssertionError, match="has no @reference"):
            check_reference(spec)
    for name in ("FocalLoss", "focal_loss"):
        with monkeypatch.context() as patch:
            patch.delattr(taylored, name)
            with pytest.raises(AssertionError, match=f"{name} is missing"):
                check_public(spec)
