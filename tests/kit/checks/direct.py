"""What every loss of one value per position owes: values, derivatives, reductions, nothing lost."""

from __future__ import annotations

import dataclasses
import math

import pytest
import torch
from torch import Tensor

from kit.constants import constants_held
from kit.direct import Arguments, Direct
from kit.tolerances import GRADIENT_RTOL, RTOL, close
from kit.turns import FAST

FLAT = {"zero_one"}
"""Losses whose gradient is 0 wherever it is defined."""


def leaves(arguments: Arguments) -> tuple[Tensor, ...]:
    """Copies that ask for a gradient where they can."""
    return tuple(
        each.detach().clone().requires_grad_(each.is_floating_point()) for each in arguments
    )


def gradients(loss: torch.nn.Module, arguments: Arguments, **beside: Tensor) -> list[Tensor]:
    given = leaves(arguments)
    asked = [each for each in given if each.requires_grad]
    value = loss(*given, **beside).sum()
    found = torch.autograd.grad(value, asked, allow_unused=True)
    return [torch.zeros_like(a) if g is None else g for a, g in zip(asked, found, strict=True)]


def check_value(case: Direct) -> None:
    arguments = case.arguments()
    values = case.loss(reduction="none")(*arguments)
    expected = case.expected(arguments)
    assert values.shape == case.shape
    close(values, expected)
    close(case.loss(reduction="sum")(*arguments), expected.sum())
    close(case.loss(reduction="mean")(*arguments), expected.sum() / max(1, math.prod(case.shape)))
    samples = case.shape[0] if case.shape else 1
    close(case.loss(reduction="batch_mean")(*arguments), expected.sum() / samples)


def check_function(case: Direct) -> None:
    """The function is the module, whatever its parameters are."""
    function, loss = case.spec.function, case.loss()
    if function is None:
        pytest.skip("there is only a module")
    options = {p.name: getattr(loss, p.name) for p in case.spec.accepted}
    arguments = case.arguments()
    assert torch.equal(function(*arguments, **options), loss(*arguments))


def check_derivatives(case: Direct) -> None:
    """First and second derivatives are those of the values, whose constants stay as they are."""
    few = dataclasses.replace(case, shape=(3,))  # the differences take long
    given = leaves(few.arguments())
    slopes = gradients(case.loss(reduction="sum"), few.arguments())
    assert case.spec.name in FLAT or any(slope.any() for slope in slopes)
    with constants_held(case.loss(reduction="sum"), given) as loss:
        assert torch.autograd.gradcheck(loss, given, fast_mode=FAST, atol=1e-8)
        assert torch.autograd.gradgradcheck(loss, given, fast_mode=True)


def check_identity(case: Direct, other: Direct) -> None:
    """Two calls that SPEC says are the same loss."""
    arguments = case.arguments()
    close(case.loss(reduction="none")(*arguments), other.loss(reduction="none")(*arguments))
    for one, same in zip(
        gradients(case.loss(), arguments), gradients(other.loss(), arguments), strict=True
    ):
        close(one, same)


def check_half(case: Direct, dtype: torch.dtype) -> None:
    """Computed in float32 at least, whatever the inputs are stored in."""
    arguments = case.arguments(dtype)
    value = case.loss(reduction="none")(*arguments)
    assert value.dtype == torch.float32
    close(value, case.expected(arguments), 1e-4, 1e-5)
    wide = tuple(each.double() if each.is_floating_point() else each for each in arguments)
    for got, expected in zip(
        gradients(case.loss(), arguments), gradients(case.loss(), wide), strict=True
    ):
        assert got.dtype == dtype
        close(got, expected, max(GRADIENT_RTOL[dtype], 1e-3), max(RTOL[dtype], 1e-4))


def check_weights(case: Direct) -> None:
    """Weights stand in the numerator, per position or per sample; weight 0 is as if not there."""
    arguments = case.arguments()
    values = case.loss(reduction="none")(*arguments)
    weight = torch.linspace(0.0, 3.0, values.numel(), dtype=torch.float64).reshape(case.shape)
    close(case.loss()(*arguments, sample_weight=weight), (values * weight).mean())
    by_sample = torch.linspace(0.0, 3.0, case.shape[0], dtype=torch.float64)
    column = by_sample.reshape(-1, *[1] * (len(case.shape) - 1))
    close(case.loss()(*arguments, sample_weight=by_sample), (values * column).mean())
    close(case.loss()(*arguments, sample_weight=by_sample.tolist()), (values * column).mean())
    with pytest.raises(ValueError, match="`sample_weight` must be"):
        case.loss()(*arguments, sample_weight=torch.ones(case.shape[0] + 1))


def check_what_counts_for_nothing(case: Direct) -> None:
    """A position of weight 0 contributes exactly 0 to value and gradients, whatever it holds."""
    arguments = case.arguments()
    weight = torch.ones(case.shape, dtype=torch.float64)
    weight[0] = 0.0
    for junk in (math.nan, math.inf, -math.inf, 1e30):
        spoilt = tuple(each.clone() for each in arguments)
        for each in spoilt:
            if each.is_floating_point():
                each[0] = junk
        loss = case.loss(reduction="sum")
        alone = loss(*(each[1:] for each in arguments))
        close(loss(*spoilt, sample_weight=weight), alone)
        for got, expected in zip(
            gradients(loss, spoilt, sample_weight=weight),
            gradients(loss, tuple(each[1:] for each in arguments)),
            strict=True,
        ):
            assert (got[0] == 0).all()
            close(got[1:], expected)


def check_normalizer(case: Direct) -> None:
    arguments = case.arguments()
    total = case.loss(reduction="sum")(*arguments)
    close(case.loss()(*arguments, normalizer=4), total / 4)
    close(case.loss()(*arguments, normalizer=torch.tensor(4.0)), total / 4)
    assert case.loss()(*arguments, normalizer=0) == 0
    assert case.loss()(*arguments, normalizer=torch.tensor(0)) == 0
    with pytest.raises(ValueError, match="`normalizer` must be"):
        case.loss()(*arguments, normalizer=-1)
    with pytest.raises(ValueError, match="`normalizer` must be"):
        case.loss(reduction="sum")(*arguments, normalizer=4)


def check_nothing(case: Direct) -> None:
    """No positions: 0, with a graph."""
    for reduction in ("mean", "sum", "batch_mean"):
        given = leaves(tuple(each[:0] for each in case.arguments()))
        value = case.loss(reduction=reduction)(*given)
        assert value == 0
        value.backward()
        assert all(each.grad is None or each.grad.shape == each.shape for each in given)


def check_inputs_stay(case: Direct) -> None:
    """Nothing of the caller's is written to; a held gradient stays; the grad mode stays."""
    given = leaves(case.arguments())
    before = [each.detach().clone() for each in given]
    asked = [each for each in given if each.requires_grad]
    value = case.loss()(*given)
    held = torch.autograd.grad(value, asked, retain_graph=True, allow_unused=True)
    copies = [None if each is None else each.clone() for each in held]
    (3 * value).backward()
    for each, copy in zip(held, copies, strict=True):
        assert each is None or torch.equal(each, copy)
    assert all(torch.equal(each, old) for each, old in zip(given, before, strict=True))
    with torch.no_grad():
        case.loss()(*given)
        assert not torch.is_grad_enabled()


def check_refused(case: Direct) -> None:
    """Shapes that would be broadcast, integers, and what is no tensor."""
    first, second, *others = case.arguments()
    for wrong in (
        (first[:-1], second),
        (first, second.unsqueeze(0)),
        (first.long(), second),
        (first.tolist(), second),
    ):
        with pytest.raises(ValueError, match=r"^`\w+` must be .*, got .*Fix: "):
            case.loss()(*wrong, *others)


def check_transforms(case: Direct) -> None:
    """Gradients by torch.func, sample by sample and forward, are those of backward."""
    arguments, loss = case.arguments(), case.loss(reduction="sum")
    expected = gradients(loss, arguments)[0]

    def of_input(first: Tensor) -> Tensor:
        value: Tensor = loss(first, *arguments[1:])
        return value

    by_sample = torch.func.vmap(torch.func.grad(loss))(*arguments)
    close(by_sample, expected)
    _, along = torch.func.jvp(of_input, arguments[:1], (torch.ones_like(arguments[0]),))
    close(along, expected.sum())


def check_compiled(case: Direct, backend: str) -> None:
    """One graph, the same numbers."""
    torch._dynamo.reset()  # all share one forward, whose compiled forms are counted
    arguments = case.arguments(torch.float32)
    loss = case.loss()
    torch._dynamo.reset()  # the losses of a base share one `forward`, whose compilations count
    compiled = torch.compile(loss, fullgraph=True, backend=backend)
    given, twins = leaves(arguments), leaves(arguments)
    value, expected = compiled(*given), loss(*twins)
    close(value, expected, 1e-6, 1e-6)
    for each in (value, expected):
        each.backward()
    for got, twin in zip(given, twins, strict=True):
        assert (got.grad is None) == (twin.grad is None)
        if twin.grad is not None:
            close(got.grad, twin.grad, 1e-5, 1e-6)
