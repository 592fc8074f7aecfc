"""A model as a function of its parameters, evaluated without a trace on the model."""

from __future__ import annotations

import contextlib
import warnings
from collections.abc import Callable, Iterator, Mapping
from typing import Any

import torch
from torch import Tensor, nn

from taylored.core.checks import fail

Parameters = dict[str, Tensor]
Function = Callable[[Mapping[str, Tensor], Tensor], Tensor]
"""From parameters and inputs to logits."""


def as_function(
    model: nn.Module | Function, parameters: Mapping[str, Tensor] | None
) -> tuple[Function, Parameters]:
    """The model as a function, and the parameters that are trained, detached."""
    if isinstance(model, nn.Module):
        module = model
        if parameters is not None:
            fail("parameters", "left out: those of the module are used", "some", "leave it out")
        found = {
            name: each.detach() for name, each in module.named_parameters() if each.requires_grad
        }
        places = _places(module)

        def function(given: Mapping[str, Tensor], inputs: Tensor) -> Tensor:
            used = {place: given[name] for place, name in places.items()}
            logits: Tensor = torch.func.functional_call(module, used, (inputs,), tie_weights=False)
            return logits

        function_of: Function = function
    else:
        function_of = model
        found = {name: each.detach() for name, each in (parameters or {}).items()}
    if not found:
        fail("parameters", "of a model that has some to train", "none",
             'give parameters={"name": tensor, ...} with a function')  # fmt: skip
    return function_of, found


def _places(module: nn.Module) -> dict[str, str]:
    """Every place of a trained parameter, and the name of the parameter that it holds.

    A layer that is used under two names is one place: torch's own tying would replace it twice and
    put back only the first replacement.
    """
    names = {each: name for name, each in module.named_parameters() if each.requires_grad}
    return {
        f"{path}.{name}" if path else name: names[each]
        for path, layer in module.named_modules()
        for name, each in layer.named_parameters(recurse=False, remove_duplicate=False)
        if each in names
    }


@contextlib.contextmanager
def evaluated(*candidates: object) -> Iterator[None]:
    """All modules in evaluation mode for a while, each put back as it was.

    So dropout draws nothing, normalisation and losses with a state keep theirs, and what is
    differentiated is the function that is evaluated.
    """
    modules = [
        module for each in candidates if isinstance(each, nn.Module) for module in each.modules()
    ]
    modes = [module.training for module in modules]
    try:
        for module in modules:
            module.training = False
        yield
    finally:
        for module, mode in zip(modules, modes, strict=True):
            module.training = mode


def gradient(loss: Callable[[Parameters], Tensor], at: Parameters) -> Parameters:
    """The gradient of a number on every parameter; zero where it does not depend on one."""
    leaves = {name: each.detach().requires_grad_() for name, each in at.items()}
    with torch.enable_grad():
        value = loss(leaves)
    if value.dim() != 0:
        fail("reduction", "one that gives one number", f"shape {tuple(value.shape)}",
             'use reduction="mean"')  # fmt: skip
    found = torch.autograd.grad(value, list(leaves.values()), allow_unused=True,
                                materialize_grads=True)  # fmt: skip
    return dict(zip(leaves, found, strict=True))


def derivative(
    function: Callable[[Any], Tensor], at: object, direction: object
) -> tuple[Tensor, Tensor]:
    """Value of a function, and its derivative along a direction, in one forward pass."""
    with warnings.catch_warnings():
        # The first derivative of a process loads torch's own rules, which use torch.jit.script.
        warnings.filterwarnings("ignore", r"`torch\.jit\.script` is deprecated", FutureWarning)
        value, change = torch.func.jvp(function, (at,), (direction,))[:2]
    return value, change
