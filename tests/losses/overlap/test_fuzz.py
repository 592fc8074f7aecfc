"""Overlap losses with any parameters, shapes, dtypes, targets and weights, against the reference.

`TAYLORED_FUZZ=5000 pytest tests/losses/overlap/test_fuzz.py` draws more of them.
"""

from __future__ import annotations

import os

import hypothesis.strategies as st
import pytest
import torch
from hypothesis import HealthCheck, Phase, given, settings
from torch import Tensor

from kit.catalogued import OVERLAP
from kit.checks.overlap import expected_of, gradient_of, sums_alone
from kit.drawn_calls import values_of
from kit.executors import HAS_NATIVE, running
from kit.overlap import CLASSES, LEAST_AXES, Case, kinds_of, target_of
from kit.parameters import fields_of
from kit.tolerances import close
from references import Call

drawn_often = settings(
    max_examples=int(os.environ.get("TAYLORED_FUZZ", "200")) // len(OVERLAP) + 1,
    deadline=None,
    derandomize="TAYLORED_FUZZ" not in os.environ,
    suppress_health_check=list(HealthCheck),
    phases=[Phase.explicit, Phase.generate],
)

FIXED = ("class_dim", "ignore_index", "exponent", "iterations")
PATHS = ("blocked", *(("native",) if HAS_NATIVE else ()))


@st.composite
def drawn(pick: st.DrawFn, name: str) -> tuple[Case, Tensor, Tensor, Tensor | None, str]:
    """A case, logits, target, weights, and an executor."""
    fields = fields_of(name)
    arguments = {key: pick(values_of(f)) for key, f in fields.items() if key not in FIXED}
    if "exponent" in fields:
        arguments["exponent"] = pick(st.sampled_from((1, 2)))
    axes = pick(st.integers(LEAST_AXES[name], 3))
    sides = [pick(st.integers(1, 4)) for _ in range(axes)]
    shape = (pick(st.integers(1, 3)), CLASSES, *sides)
    case = Case(Call(name, None, arguments).text())
    kind = pick(st.sampled_from(kinds_of(case.link)))
    seed = pick(st.integers(0, 10**6))
    generator = torch.Generator().manual_seed(seed)
    sizes = (0.1, 1.0, 5.0, *((0.0,) if sums_alone(case) else ()))  # no order among equals
    size = pick(st.sampled_from(sizes))
    logits = size * torch.randn(shape, generator=generator, dtype=torch.float64)
    target = target_of(kind, shape, seed)
    positions = (shape[0], *shape[2:])
    if kind == "one-hot":
        target = target.float()
    if pick(st.booleans()):
        lost = torch.rand(positions, generator=generator) < pick(st.sampled_from((0.3, 1.0)))
        dense = target.dim() == logits.dim()
        target = torch.where(lost.unsqueeze(1) if dense else lost, -100, target)
    weight = None
    if pick(st.booleans()):
        of = positions if pick(st.booleans()) else positions[:1]
        weight = torch.rand(of, generator=generator, dtype=torch.float64)
        weight = torch.where(weight < 0.3, 0.0, weight)
    return Case(case.text, kind, shape), logits, target, weight, pick(st.sampled_from(PATHS))


@pytest.mark.parametrize("name", OVERLAP)
def test_any_call(name: str) -> None:
    @drawn_often
    @given(drawn(name))
    def check(found: tuple[Case, Tensor, Tensor, Tensor | None, str]) -> None:
        case, logits, target, weight, path = found
        beside = {} if weight is None else {"sample_weight": weight}
        value, gradient = expected_of(case, logits, target, **beside)
        with running(path):
            got = case.loss()(logits, target, **beside)
            found_gradient = gradient_of(case.loss(), logits, target, **beside)
        assert got.isfinite().all()
        assert found_gradient.isfinite().all()
        close(got, value, 1e-7, 1e-9)
        size = max(1.0, float(gradient.abs().nan_to_num(0.0).max())) if gradient.numel() else 1.0
        if gradient.isfinite().all():  # the naive form divides by 0 where nothing is wrong
            close(found_gradient, gradient, 1e-6, 1e-9 * size)

    check()
