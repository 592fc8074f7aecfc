"""The suites generated from SPEC: every example of every loss runs through every check."""

from __future__ import annotations

import pytest
import torch

from kit.cases import (
    COUNTS,
    GENERATED,
    SHAPES,
    Case,
    call_of,
    cases,
    differentiated,
    examples,
    identified,
    target_kinds,
)
from kit.checks import every_loss as checks
from kit.executors import PATHS
from kit.traits import BATCHWISE
from references import Call
from references.registry import CLASS_WEIGHTS
from taylored import catalog

ALL = identified(cases())
SMALL = identified(cases(SHAPES[:1]))
DEEP = identified(cases(SHAPES[2:]))
INDEX = identified([case for case in cases(SHAPES[:2]) if case.target == "index"])
IGNORING = identified(
    [
        c
        for c in cases(SHAPES[:2])
        # Single elements of a batch that belongs together cannot be left out afterwards.
        if c.target != "probabilities" and (c.target == "index" or c.call.name not in BATCHWISE)
    ]
)
# Wrappers that fill the weight slot of the inner loss leave no room for another weight.
WEIGHTED = identified([c for c in cases(SHAPES[:2]) if c.call.name not in CLASS_WEIGHTS])

each_path = pytest.mark.parametrize("path", PATHS)
# What `prepare` decides, and follows from equal values on the native path.
each_torch_path = pytest.mark.parametrize("path", [path for path in PATHS if path != "native"])
each_dtype = pytest.mark.parametrize(
    "dtype", [torch.float32, torch.bfloat16, torch.float16], ids=lambda d: str(d)[6:]
)


def test_every_loss_has_examples_and_every_example_has_cases() -> None:
    for found in (ALL, SMALL, DEEP):
        assert {case.text for case in found["argvalues"]} == set(examples())
    kinds = {(case.text, case.target) for case in ALL["argvalues"]}
    assert kinds == {(text, kind) for text in examples() for kind in target_kinds(call_of(text))}


@pytest.mark.parametrize("name", GENERATED)
def test_cases_cover_what_the_spec_promises(name: str) -> None:
    spec = catalog.SPECS[name]
    calls = [call_of(text) for text in spec.examples]
    assert {call.link() for call in calls} == set(spec.links)
    soft = {"soft": "probabilities"}
    tried = {soft.get(kind, kind) for call in calls for kind in target_kinds(call)}
    assert tried == set(spec.targets)


@each_path
@pytest.mark.parametrize(**ALL)
def test_value(case: Case, path: str) -> None:
    checks.check_value(case, path)


@each_path
@pytest.mark.parametrize(**ALL)
def test_gradient(case: Case, path: str) -> None:
    checks.check_gradient(case, path)


@each_dtype
@pytest.mark.parametrize(**SMALL)
def test_lower_precision(case: Case, dtype: torch.dtype) -> None:
    for path in PATHS:
        checks.check_value(case, path, dtype)
        checks.check_gradient(case, path, dtype)


@pytest.mark.parametrize(**identified([c for c in cases(((3, 5),)) if differentiated(c.text)]))
def test_derivatives(case: Case) -> None:
    checks.check_derivatives(case)


@each_path
@pytest.mark.parametrize(**ALL)
def test_upstream_gradient(case: Case, path: str) -> None:
    checks.check_upstream(case, path)


@each_path
@pytest.mark.parametrize(**identified(cases(SHAPES[:2])))
def test_reductions(case: Case, path: str) -> None:
    checks.check_reductions(case, path)


@each_path
@pytest.mark.parametrize(**IGNORING)
def test_ignoring_is_dropping(case: Case, path: str) -> None:
    checks.check_ignored(case, path)


@each_torch_path
@pytest.mark.parametrize(**WEIGHTED)
def test_weight_is_linear(case: Case, path: str) -> None:
    checks.check_weight(case, path)


@each_torch_path
@pytest.mark.parametrize(**identified(cases(SHAPES[:2])))
def test_permutations(case: Case, path: str) -> None:
    checks.check_permutations(case, path)


@each_torch_path
@pytest.mark.parametrize(
    **identified(
        [
            case
            for case in cases(SHAPES[:2])
            if case.target == "index" and len(target_kinds(case.call)) > 1
        ]
    )
)
def test_one_hot_targets_are_index_targets(case: Case, path: str) -> None:
    checks.check_one_hot(case, path)


@each_path
@pytest.mark.parametrize(**identified(cases(SHAPES[:2])))
def test_nothing_left(case: Case, path: str) -> None:
    checks.check_nothing_left(case, path)


@each_path
@pytest.mark.parametrize(**identified(cases(SHAPES[:2])))
def test_one_class(case: Case, path: str) -> None:
    checks.check_one_class(case, path)


@each_path
@pytest.mark.parametrize(**DEEP)
def test_strides(case: Case, path: str) -> None:
    checks.check_strides(case, path)


@pytest.mark.parametrize(
    **identified([c for c in cases(SHAPES[:2]) if c.call.name not in BATCHWISE])
)
def test_vmap(case: Case) -> None:
    checks.check_vmap(case)


@pytest.mark.parametrize("text", examples())
def test_written_form(text: str) -> None:
    checks.check_written_form(text, list(COUNTS))


IDENTITIES = [pair for spec in GENERATED.values() for pair in spec.identities]


@pytest.mark.parametrize(("left", "right"), IDENTITIES)
def test_identities(left: str, right: str) -> None:
    checks.check_identity(call_of(left), call_of(right))


def test_our_parser_of_loss_strings_reads_what_the_catalogue_reads() -> None:
    for text in examples():
        call = Call.of(text)
        assert repr(catalog.get(call.text(), counts=COUNTS)) == repr(
            catalog.get(text, counts=COUNTS)
        )
