"""Losses of one value per position as they come: any parameters, sizes, dtypes and weights.

`TAYLORED_FUZZ=10000 pytest tests/losses/test_direct_fuzz.py` draws more of them; boxes have a
fuzz of their own, of degenerate geometry.
"""

from __future__ import annotations

import math
import os

import hypothesis.strategies as st
import pytest
import torch
from hypothesis import HealthCheck, Phase, given, reject, settings
from torch import Tensor

from kit.catalogued import VALUES
from kit.checks.direct import gradients
from kit.direct import Arguments, Direct, drawn
from kit.drawn_calls import values_of
from kit.parameters import fields_of
from references import Call

drawn_often = settings(
    max_examples=int(os.environ.get("TAYLORED_FUZZ", "200")),
    deadline=None,
    derandomize="TAYLORED_FUZZ" not in os.environ,
    suppress_health_check=list(HealthCheck),
    phases=[Phase.explicit, Phase.generate],
)

FAMILIES = sorted({spec.family for spec in VALUES.values() if "boxes" not in spec.takes})
SHAPES = ((1,), (7,), (4, 3), (2, 3, 2))
DTYPES = (torch.float64, torch.float32, torch.bfloat16, torch.float16)
FIXED = ("reduction", "process_group", "dim", "target_form", "ignore_index")
"""Parameters that say how the call looks."""
EPSILON = {torch.float64: 1e-9}  # else that of float32, in which half precision is computed
JUNK = (math.nan, math.inf, -math.inf, 1e30)


@st.composite
def calls_of(pick: st.DrawFn, family: str) -> Direct:
    """A loss of a family with parameters in their domains, and a shape of positions."""
    names = [name for name, spec in VALUES.items() if spec.family == family]
    name = pick(st.sampled_from(names))
    fields = {key: field for key, field in fields_of(name).items() if key not in FIXED}
    chosen = {
        key: rounded(pick(values_of(field))) for key, field in fields.items() if pick(st.booleans())
    }
    needed = Call.of(VALUES[name].examples[0]).arguments
    call = Call(name, None, {**needed, **chosen})
    case = Direct(call.text(), pick(st.sampled_from(SHAPES)))
    try:
        case.loss()
    except ValueError:  # parameters that do not go together
        reject()
    return case


def rounded(value: object) -> object:
    """No hair's breadth from a number at which the form of a loss changes."""
    return round(value, 3) if isinstance(value, float) else value


def sized(arguments: Arguments, case: Direct, size: float, dtype: torch.dtype) -> Arguments:
    """Numbers of another size where the loss takes any, in a dtype."""
    free = case.spec.takes in ("values", "score_pairs", "scores") and case.spec.name not in (
        "poisson_nll", "gaussian_nll", "balanced_mse")  # fmt: skip
    factor = size if free else 1.0
    return tuple(
        (factor * each).to(dtype) if each.is_floating_point() else each for each in arguments
    )


@pytest.mark.parametrize("family", FAMILIES)
def test_calls_as_they_come(family: str) -> None:
    @drawn_often
    @given(
        calls_of(family),
        st.sampled_from(DTYPES),
        st.sampled_from((1e-4, 1.0, 1.0, 30.0)),
        st.booleans(),
        st.integers(0, 2**32),
    )
    def run_one(case: Direct, dtype: torch.dtype, size: float, weighted: bool, seed: int) -> None:
        dice = torch.Generator().manual_seed(seed)
        arguments = sized(drawn(case.spec, case.shape, dice), case, size, dtype)
        values = case.loss(reduction="none")(*arguments)
        assert values.shape == case.shape
        wide = tuple(each.double() if each.is_floating_point() else each for each in arguments)
        exact = gradients(case.loss(reduction="sum"), wide)
        real = [each for each in wide if each.is_floating_point()]
        try:
            expected = case.expected(wide)
        except ZeroDivisionError:
            return  # the naive form, where nothing is wrong
        if not expected.to(values.dtype).isfinite().all():
            return  # e^z of a large z
        assert values.isfinite().all()
        found = gradients(case.loss(reduction="sum"), arguments)
        for got, wanted in zip(found, exact, strict=True):
            assert got[wanted.to(got.dtype).isfinite()].isfinite().all()
        # What rounding the numbers by one part in a million does, and a little of everything.
        rounding = sum(float((g * x).abs().sum()) for g, x in zip(exact, real, strict=True))
        epsilon = EPSILON.get(dtype, 1e-5)
        near(values, expected, 10 * epsilon, epsilon * (1.0 + rounding))
        if weighted and case.spec.call != "batch":
            check_weighted(case, wide, dice)

    run_one()


def check_weighted(case: Direct, arguments: Arguments, dice: torch.Generator) -> None:
    """A mean of weighted values over all positions; weight 0 hides anything."""
    weight = torch.rand(case.shape, generator=dice, dtype=torch.float64)
    weight = torch.where(weight < 0.4, 0.0, weight)
    values = case.loss(reduction="none")(*arguments)
    junk = JUNK[int(torch.randint(len(JUNK), (1,), generator=dice))]
    spoilt = tuple(each.clone() for each in arguments)
    for each in spoilt:
        if each.is_floating_point():
            each[weight == 0] = junk
    got = case.loss()(*spoilt, sample_weight=weight)
    near(got, (torch.where(weight == 0, 0.0, values) * weight).mean(), 1e-9, 1e-12)


def near(got: Tensor, expected: Tensor, relative: float, absolute: float) -> None:
    assert got.shape == expected.shape
    off = (got.double() - expected.double()).abs()
    allowed = relative * expected.double().abs() + absolute
    assert (off <= allowed).all(), f"{got} and not {expected}"
