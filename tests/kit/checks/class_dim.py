"""Classes on any axis: every loss gives the numbers that it gives with the classes on axis 1."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass

import torch
from torch import Tensor

from kit.cases import Case, build
from kit.executors import running
from kit.other_calls import Subject
from kit.tolerances import close
from kit.traits import NEED_A_TENSOR
from references import Call
from taylored import LinearLogits, catalog, donate

FORMS = ("module", "function")


@dataclass(frozen=True)
class Drawn:
    """The tensors of one call, with the classes where the loss has them by default.

    Attributes:
        home: the axis of the classes in the logits.
        beside: what the call takes after logits and target.
        weights: sample weights per sample, per position and, for the sigmoid link, per element.
    """

    logits: Tensor
    target: Tensor
    home: int
    beside: tuple[Tensor, ...]
    weights: tuple[Tensor | None, ...]


def drawn(case: Case) -> Drawn:
    logits, target = case.logits(), case.targets()
    generator = torch.Generator().manual_seed(5)
    shapes = [case.shape[:1], case.shape[:1] + case.shape[2:]]
    if case.call.link() == "sigmoid" and case.call.name != "class_balanced":
        shapes.append(case.shape)
    weights = [torch.rand(shape, generator=generator, dtype=torch.float64) for shape in shapes]
    return Drawn(logits, target, 1, (), (None, *weights))


def drawn_for(subject: Subject, shape: tuple[int, ...]) -> Drawn:
    logits, target, further = subject.arguments(shape)
    weights = torch.rand(shape, generator=torch.Generator().manual_seed(5), dtype=torch.float64)
    return Drawn(logits, target, subject.class_axis, further, (None, weights))


def has_function(case: Case) -> bool:
    return case.call.inner is None and catalog.SPECS[case.call.name].function is not None


def loss_of(case: Case, form: str, **options: object) -> Callable[..., Tensor]:
    """A loss in one of its forms."""
    call = case.call.having(**options)
    return build(call) if form == "module" else function_of(call)


def function_of(call: Call) -> Callable[..., Tensor]:
    function = catalog.SPECS[call.name].function
    assert function is not None

    def run(*tensors: Tensor, **given: object) -> Tensor:
        return function(*tensors, **call.arguments, **given)

    return run


def moved(values: Tensor, dims: int, home: int, dim: int) -> Tensor:
    """A contiguous copy with the classes on `dim`, if it has as many axes as to have classes."""
    if values.dim() != dims:
        return values
    return values.movedim(home, dim).contiguous()


def check_moved(
    build: Callable[..., Callable[..., Tensor]],
    given: Drawn,
    dim: int,
    path: str,
    in_layout: tuple[str, ...] = (),
) -> None:
    """Value and gradient with the classes on `dim`; some paths keep the layout of the logits."""
    dims, ahead = given.logits.dim(), given.home - 1
    axis = dim % dims

    def there(values: Tensor) -> Tensor:
        return moved(values, dims - ahead, 1, axis - ahead)

    for reduction, weight in _tried(given, path):
        call = {} if weight is None else {"sample_weight": weight}
        there_call = {name: there(value) for name, value in call.items()}
        home_logits = given.logits.clone().requires_grad_()
        logits = moved(given.logits, dims, given.home, dim).requires_grad_()
        expected, expected_gradient = _run(
            build(reduction=reduction), path, home_logits, given.target, *given.beside, **call
        )
        value, gradient = _run(
            build(reduction=reduction, class_dim=dim),
            path,
            logits,
            *map(there, (given.target, *given.beside)),
            **there_call,
        )
        if expected.dim() == dims:
            expected = expected.movedim(given.home, axis)
        assert value.shape == expected.shape
        close(value, expected)
        assert gradient.shape == logits.shape
        close(gradient.movedim(axis, given.home), expected_gradient)
        if path in in_layout and axis == dims - 1:
            assert gradient.is_contiguous(), "the gradient was written in another layout"


def _tried(given: Drawn, path: str) -> list[tuple[str, Tensor | None]]:
    """Every kind of weights where it costs little: paths share what brings them to the rows."""
    weights = given.weights if path in ("native", "whole") else given.weights[-1:]
    return [*(("mean", weight) for weight in weights), ("none", None)]


def _run(
    loss: Callable[..., Tensor], path: str, logits: Tensor, *tensors: Tensor, **call: Tensor
) -> tuple[Tensor, Tensor]:
    """Value and gradient; what a loss draws at random is the same each time."""
    with running(path), torch.random.fork_rng():
        torch.manual_seed(0)
        value = loss(logits, *tensors, **call)
        (gradient,) = torch.autograd.grad(value.sum(), logits)
    return value.detach(), gradient


def check_case(case: Case, dim: int, path: str, form: str) -> None:
    def build(**options: object) -> Callable[..., Tensor]:
        return loss_of(case, form, **options)

    check_moved(build, drawn(case), dim, path, in_layout=("blocked",))


def check_subject(subject: Subject, shape: tuple[int, ...], dim: int, path: str, form: str) -> None:
    function = subject.spec.function
    if form == "function" and function is None:  # a loss with a state is a module only
        return
    parameters = subject.build()

    def build(**options: object) -> Callable[..., Tensor]:
        if form == "module":
            return subject.build(**options)
        own = {p.name: getattr(parameters, p.name) for p in subject.spec.parameters}

        def run(*tensors: Tensor, **given: object) -> Tensor:
            return function(*tensors, **own, **options, **given)

        return run

    check_moved(build, drawn_for(subject, shape), dim, path)


def check_predictions(case: Case, dim: int) -> None:
    """What a loss says of outputs at test time has the classes where the outputs have them."""
    outputs = case.logits()
    moved = outputs.movedim(1, dim)
    here, there = build(case.call), build(case.call.having(class_dim=dim))
    readings = (None, "train") if here.has_posterior else (None,)
    for prior in readings:
        expected = here.posterior(outputs, prior=prior)
        found = there.posterior(moved, prior=prior)
        close(found.nan_to_num(-1.0), expected.movedim(1, dim).nan_to_num(-1.0))
    decided = here.predict(outputs)
    decided = decided.movedim(1, dim) if decided.dim() == outputs.dim() else decided
    assert there.predict(moved).equal(decided)


def check_substitutes(case: Case) -> None:
    """Substitutes that a loss takes stand for logits with the classes where the caller has."""
    loss, here = build(case.call.having(class_dim=-1)), build(case.call)
    generator = torch.Generator().manual_seed(3)
    shape = (case.shape[0], *case.shape[2:], 4)
    features = torch.randn(shape, generator=generator, dtype=torch.float64)
    weight = torch.randn(case.shape[1], 4, generator=generator, dtype=torch.float64)
    target = case.targets()
    there = moved(target, features.dim(), 1, -1)
    expected = here(LinearLogits(features, weight).logits(), target)
    close(loss(LinearLogits(features, weight), there), expected)
    outputs = (features @ weight.T).requires_grad_()
    close(loss(outputs, there), expected)
    if case.call.name in NEED_A_TENSOR:
        return
    given = outputs * 1.0
    value = loss(donate(given), there)
    (gradient,) = torch.autograd.grad(value, outputs)
    close(value, expected)
    (expected_gradient,) = torch.autograd.grad(loss(outputs, there), outputs)
    close(gradient, expected_gradient)
