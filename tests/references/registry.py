"""Where the references of the families come together: `@reference("name")`."""

from __future__ import annotations

from collections.abc import Callable

from torch import Tensor

from references.call import Call
from references.formulas import Parameters, Phi, sigmoid_losses, softmax_losses
from taylored import catalog

Reference = Callable[[Tensor, Tensor, Parameters], Tensor]
"""Logits, target and parameters to unreduced losses: per position (softmax), element (sigmoid)."""

REFERENCES: dict[str, Reference] = {}
CLASS_WEIGHTS: dict[str, Callable[[Parameters], Tensor]] = {}
"""Of wrappers that fill the weight slot of the inner loss."""


def reference(
    name: str, *, class_weights: Callable[[Parameters], Tensor] | None = None
) -> Callable[[Reference], Reference]:
    """Register the function that follows as the reference of a loss."""

    def register(function: Reference) -> Reference:
        assert name not in REFERENCES, name
        REFERENCES[name] = function
        if class_weights is not None:
            CLASS_WEIGHTS[name] = class_weights
        return function

    return register


def reference_of_p_t(name: str) -> Callable[[Phi], Phi]:
    """The same for phi(p): the loss of the true class, whichever link makes its probability."""

    def register(phi: Phi) -> Phi:
        @reference(name)
        def losses(logits: Tensor, target: Tensor, parameters: Parameters) -> Tensor:
            link = parameters.get("link", catalog.SPECS[name].links[0])
            by_link = {"softmax": softmax_losses, "sigmoid": sigmoid_losses}[link]
            return by_link(phi, logits, target, parameters)

        return phi

    return register


def losses_of(call: Call, logits: Tensor, target: Tensor, **beside: Tensor) -> Tensor:
    """The unreduced losses of a call, before sample weights."""
    parameters = {**call.arguments, **call.state, **beside}
    if call.inner is not None:
        parameters["loss"] = call.inner
    return REFERENCES[call.name](logits, target, parameters)
