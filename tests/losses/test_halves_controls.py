"""Planted faults: what the check of every half precision logit has to notice."""

from __future__ import annotations

import pytest
import torch
from torch import Tensor

from kit.checks import halves
from kit.executors import torch_alone
from kit.faults import Faults
from taylored.core.terms import point

fault = Faults()


@fault(halves.check_every_half, "hill()", torch.bfloat16)
def the_rest_as_a_difference(patch: pytest.MonkeyPatch) -> None:
    for kind in (point.Point, *point.Point.__subclasses__()):
        patch.setattr(kind, "q", property(lambda self: 1.0 - self.p), raising=False)


@fault(halves.check_every_half, "quality_focal()", torch.float16)
@fault(halves.check_every_half, "quality_focal()", torch.bfloat16)
def margins_that_are_clamped(patch: pytest.MonkeyPatch) -> None:
    from taylored.core.engine import elementwise_pass

    def clamped(margin: Tensor) -> Tensor:
        return margin.clamp(-point.EDGE, point.EDGE)

    patch.setattr(elementwise_pass, "inside", clamped)


@fault.each
def test_the_fault_is_noticed(name: str, monkeypatch: pytest.MonkeyPatch) -> None:
    torch_alone(monkeypatch)
    fault.must_be_noticed(name, monkeypatch)


def test_every_check_has_a_fault_that_it_notices() -> None:
    assert fault.not_noticing(halves) == set()
