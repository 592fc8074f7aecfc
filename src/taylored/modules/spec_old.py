"""What a loss declares about itself.

Everything generated is generated from here: the test suites, the documentation, `taylored list`
and `taylored show`, the repr, and later the search spaces of the tuner.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass
from typing import Literal

import torch
from torch import Tensor, nn


@dataclass(frozen=True)
class Search:
    """Where a tuner should look for a parameter."""

    low: float
    high: float
    scale: Literal["linear", "log"] = "linear"


@dataclass(frozen=True)
class Parameter:
    """One parameter of a loss.

    Attributes:
        name: keyword of the function and the module.
        default: its default; `REQUIRED` if it has none.
        domain: the allowed values, in words.
        effect: what it does, and what raising it does.
        search: where to look for a good value, if it makes sense to search.
    """

    name: str
    default: object
    domain: str
    effect: str
    search: Search | None = None


@dataclass(frozen=True)
class Reference:
    """Where a loss comes from."""

    authors: str
    title: str
    venue: str
    equation: str


@dataclass(frozen=True)
class Spec:
    """Everything the tools need to know about a loss.

    Attributes:
        name: its name in the catalogue.
        family: the group it is listed under.
        module: the `nn.Module`.
        function: the function it calls (for a wrapper: the one that wraps), or None where there is
            only a module, as for losses that carry state.
        summary: one line.
        formula: LaTeX.
        parameters: its own parameters.
        shared: names of the vocabulary it accepts besides (see `VOCABULARY`).
        links: "softmax" and / or "sigmoid"; the first is the default.
        targets: kinds of targets it takes.
        value_range: of the unweighted loss of one position.
        denominator: what `reduction="mean"` divides by.
        reference: where it comes from.
        differs: (library, how the same loss is written or differs there).
        examples: calls that the generated tests run on.
        identities: pairs of calls that must give the same numbers.
        inner: whether the first argument is another loss, and whether it may be left out.
        needs: what has to be known of the data: "counts", "num_classes".
        head: the classifier layer that the loss is made for: "linear", or "cosine" (features and
            class vectors normalised, `CosineClassifier`).
        call: what a call takes: "plain" is logits and targets; "features" the last features too;
            "stacked" several predictions of every sample; "distances" a real number as target.
            The generated suites run what is plain; the others have their own.
    """

    name: str
    family: str
    module: type[nn.Module]
    function: Callable[..., object] | None
    summary: str
    formula: str
    parameters: tuple[Parameter, ...]
    shared: tuple[str, ...]
    links: tuple[str, ...]
    targets: tuple[str, ...]
    value_range: str
    denominator: str
    reference: Reference
    differs: tuple[tuple[str, str], ...]
    examples: tuple[str, ...]
    identities: tuple[tuple[str, str], ...] = ()
    inner: Literal["none", "required", "optional"] = "none"
    needs: frozenset[str] = frozenset()
    head: Literal["linear", "cosine"] = "linear"
    call: Literal["plain", "features", "stacked", "distances"] = "plain"

    @property
    def accepted(self) -> tuple[Parameter, ...]:
        """Own parameters, then the shared ones."""
        return self.parameters + tuple(VOCABULARY[name] for name in self.shared)


REQUIRED = object()
"""Stands for the default of a parameter that has none."""

VOCABULARY = {
    parameter.name: parameter
    for parameter in (
        Parameter(
            "link",
            "softmax",
            '"softmax" or "sigmoid"',
            "softmax: one true class per position; sigmoid: each class is its own yes / no",
        ),
        Parameter(
            "weight",
            None,
            "one number >= 0 per class",
            "multiplies the loss of a class, after the term; raising it favours that class",
        ),
        Parameter(
            "alpha",
            None,
            "number or one per class in [0, 1] (sigmoid only)",
            "weight of positives, 1 - alpha that of negatives; raising it raises recall",
            Search(0.05, 0.95),
        ),
        Parameter(
            "pos_weight",
            None,
            "number >= 0 or one per class (sigmoid only)",
            "multiplies the loss of positives only; raising it raises recall",
        ),
        Parameter(
            "ignore_index",
            -100,
            "whole number or None",
            "positions with this target count for nothing: no loss, no gradient, no denominator",
        ),
        Parameter(
            "label_smoothing",
            0.0,
            "[0, 1]",
            "mass spread evenly over the classes; raising it makes confident predictions costlier",
            Search(0.0, 0.3),
        ),
        Parameter(
            "reduction",
            "mean",
            '"none", "sum", "mean" or "batch_mean"',
            "mean: torch's (over weights for class indices); batch_mean: over positions",
        ),
    )
}

_ALWAYS_SHOWN = (int, float, list, tuple, Tensor)


def describe(module: nn.Module, spec: Spec, first: str = "") -> str:
    """The call that rebuilds a loss: own numbers always, the shared vocabulary where it differs."""
    shown = [first] if first else []
    own = {parameter.name for parameter in spec.parameters}
    for parameter in spec.accepted:
        value = getattr(module, parameter.name)
        default = spec.links[0] if parameter.name == "link" else parameter.default
        plain = not isinstance(value, Tensor) and value == default
        if not plain or (parameter.name in own and isinstance(value, _ALWAYS_SHOWN)):
            shown.append(f"{parameter.name}={literal(value)}")
    return f"{spec.name}({', '.join(shown)})"


def literal(value: object) -> str:
    """A value as the catalogue's parser reads it, with no more digits than it takes."""
    if isinstance(value, Tensor):
        texts = _shortest(value.detach().reshape(-1).cpu())
        return texts[0] if value.dim() == 0 else f"[{', '.join(texts)}]"
    if isinstance(value, (list, tuple)):
        return f"[{', '.join(literal(item) for item in value)}]"
    if isinstance(value, float):
        return _trim(repr(value + 0.0))  # -0 is read back as 0
    return f'"{value}"' if isinstance(value, str) else repr(value)


def _shortest(values: Tensor) -> list[str]:
    """Each number with the fewest digits that give it back in its dtype."""
    numbers = (values + 0).tolist()  # -0 is read back as 0
    texts = [_trim(repr(number)) for number in numbers]
    if not values.is_floating_point():
        return texts
    longer = list(range(len(numbers)))
    for digits in range(1, 17):  # all at once: there may be a million classes
        shorter = [f"{numbers[i]:.{digits}g}" for i in longer]
        read = torch.tensor([float(text) for text in shorter], dtype=values.dtype)
        found = (read == values[longer]).tolist()
        for i, text, fits in zip(longer, shorter, found, strict=True):
            if fits:
                texts[i] = _trim(text)
        longer = [i for i, fits in zip(longer, found, strict=True) if not fits]
    return texts


def _trim(text: str) -> str:
    return text[:-2] if text.endswith(".0") else text


def hold(module: nn.Module, name: str, value: float | Sequence[float] | Tensor | None) -> None:
    """Keep a parameter on a module: numbers as they are, one-per-class values as a buffer.

    Buffers follow `.to(device)`, deepcopy, pickle and the state dict.
    """
    if value is None or isinstance(value, Tensor):
        module.register_buffer(name, value)
    elif isinstance(value, (int, float)):
        setattr(module, name, float(value))
    else:
        module.register_buffer(name, torch.as_tensor(value, dtype=torch.get_default_dtype()))
