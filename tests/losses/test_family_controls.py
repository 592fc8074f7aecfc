"""Planted faults in a loss of every family and way of calling, drawn from the catalogue.

A family that comes to the catalogue is tried without a line here. One that is called in a way for
which no suite is known fails.
"""

from __future__ import annotations

from collections.abc import Callable
from functools import partial
from typing import Any, NamedTuple

import pytest
import torch
from torch import Tensor
from torch.autograd.gradcheck import GradcheckError

from kit import other_calls, overlap
from kit.cases import GENERATED, OF_A_BATCH, SHAPES, Case, call_of, target_kinds
from kit.catalogued import EMBEDDINGS, OVERLAP, VALUES
from kit.checks import batch_calls, ctc, direct, embedding, every_loss
from kit.checks import other_calls as of_other_calls
from kit.checks import overlap as of_regions
from kit.direct import ALONE, Direct
from taylored import catalog

Check = Callable[[], None]


class Suite(NamedTuple):
    """The checks of the generated suites that hold one loss to its value, gradient and weights."""

    value: Check
    gradient: Check
    weights: Check


def suite_of(name: str) -> Suite:
    text = catalog.SPECS[name].examples[0]
    if name in GENERATED:
        case = Case(text, target_kinds(call_of(text))[0], SHAPES[0])
        return Suite(
            partial(every_loss.check_value, case),
            partial(every_loss.check_gradient, case),
            partial(every_loss.check_reductions, case),
        )
    if name in OF_A_BATCH:
        case = Case(text, target_kinds(call_of(text))[0], SHAPES[0])
        values = partial(batch_calls.check_values, case)
        weights = partial(batch_calls.check_samples_without_weight_are_not_there, case)
        return Suite(values, values, weights)
    if name in OVERLAP:
        region = overlap.Case(text)
        values = partial(of_regions.check_value, region, "blocked")
        return Suite(values, values, partial(of_regions.check_weights, region, "blocked"))
    if name in EMBEDDINGS:
        values = partial(embedding.check_value, text)
        return Suite(values, partial(embedding.check_derivatives, text), values)
    if name in VALUES:
        pair = Direct(text)
        alone = direct.check_weights if pair in ALONE else direct.check_what_counts_for_nothing
        return Suite(
            partial(direct.check_value, pair),
            partial(direct.check_derivatives, pair),
            partial(alone, pair),
        )
    if catalog.SPECS[name].takes == "sequences":
        return Suite(ctc.check_values, ctc.check_values, ctc.check_weights)
    assert catalog.SPECS[name].call in other_calls.DRAW, f"no suite is known for {name}"
    subject, shape = other_calls.Subject(text), other_calls.SHAPES[0]
    values = partial(of_other_calls.check_values, subject, shape, torch.float64)
    return Suite(values, values, partial(of_other_calls.check_reductions, subject, shape))


def first_of_each() -> list[str]:
    """A loss of every family, base and way of calling."""
    found: dict[tuple[str, ...], str] = {}
    for name, spec in catalog.SPECS.items():
        found.setdefault((spec.family, spec.call, spec.takes), name)
    return list(found.values())


Forward = Callable[..., Tensor]


def wrong_value(forward: Forward) -> Forward:
    """A denominator that is 2 % too small."""
    return lambda *given, **beside: forward(*given, **beside) * 1.02


def wrong_gradient(forward: Forward) -> Forward:
    """The right value with 2 % too much gradient."""

    def changed(*given: Any, **beside: Any) -> Tensor:
        value = forward(*given, **beside)
        return value + 0.02 * (value - value.detach())

    return changed


def wrong_weights(forward: Forward) -> Forward:
    """Sample weights that are left out."""
    return lambda *given, **beside: forward(*given, **{**beside, "sample_weight": None})


FAULTS = {"value": wrong_value, "gradient": wrong_gradient, "weights": wrong_weights}


@pytest.mark.parametrize("fault", FAULTS)
@pytest.mark.parametrize("name", first_of_each())
def test_a_fault_is_noticed(name: str, fault: str, monkeypatch: pytest.MonkeyPatch) -> None:
    check: Check = getattr(suite_of(name), fault)
    check()
    module = catalog.SPECS[name].module
    monkeypatch.setattr(module, "forward", FAULTS[fault](module.forward))
    with pytest.raises((AssertionError, GradcheckError, pytest.fail.Exception)):
        check()


def test_every_family_is_tried() -> None:
    tried = {catalog.SPECS[name].family for name in first_of_each()}
    assert tried == {spec.family for spec in catalog.SPECS.values()}
