"""What is at work around a call is recognised."""

from __future__ import annotations

import torch
from torch import Tensor
from torch._subclasses.fake_tensor import FakeTensorMode
from torch.autograd import forward_ad

from taylored.core import context

NAMES = ("compiling", "exporting", "transformed", "eager", "values_are_known", "unobserved")


def seen() -> dict[str, bool]:
    return {name: getattr(context, name)() for name in NAMES}


def true_names() -> set[str]:
    return {name for name, value in seen().items() if value}


def test_a_plain_call() -> None:
    assert true_names() == {"eager", "values_are_known", "unobserved"}


def test_a_transform_of_torch_func() -> None:
    found = []

    def function(x: Tensor) -> Tensor:
        found.append(true_names())
        return x

    torch.func.vmap(function)(torch.ones(2))
    assert found == [{"transformed"}]


def test_a_compiler_is_no_transform() -> None:
    def function(x: Tensor) -> Tensor:
        flags = (
            context.compiling(),
            context.exporting(),
            context.transformed(),
            context.eager(),
        )
        return x + sum(2**i for i, flag in enumerate(flags) if flag)

    compiled = torch.compile(function, backend="eager", fullgraph=True)
    assert compiled(torch.zeros(())).item() == 1


def test_tensors_without_numbers() -> None:
    with FakeTensorMode():
        assert true_names() == {"eager"}


def test_forward_mode() -> None:
    with forward_ad.dual_level():
        assert true_names() == {"eager", "values_are_known"}
        dual = forward_ad.make_dual(torch.ones(2), torch.ones(2))
        assert context.has_tangent(dual)
        assert not context.has_tangent(torch.ones(2))
