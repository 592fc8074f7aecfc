"""SPEC: what a loss says about itself beyond its parameters, and what follows from them.

The test suites, the documentation, `taylored list` and `taylored show`, the parser's vocabulary and
the search spaces of a tuner are generated from it.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import dataclass
from typing import Literal

from torch import Tensor

from taylored.modules.base import Loss, Takes, parameters_of
from taylored.modules.classification import links_of
from taylored.modules.docs import append
from taylored.modules.exactness.roundings import ROUNDINGS
from taylored.modules.fields.parameter import REQUIRED, Parameter

Call = Literal["plain", "features", "stacked", "distances", "sets", "batch"]
Head = Literal["linear", "cosine"]


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
        family: the group it is listed under: the folder of its file.
        module: the `nn.Module`.
        function: its functional form, or None where there is only a module, as for losses that
            carry state or wrap another one.
        summary: one line.
        formula: LaTeX.
        parameters: its own parameters.
        shared: those of the shared vocabulary that it takes besides.
        takes: what it is called on.
        links: "softmax" and / or "sigmoid"; the first is the default. None where it has no link.
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
            "stacked" several predictions of every sample; "distances" a real number as target;
            "sets" is a set of true classes, with one value for all of a position's; "batch" is
            plain, but the value belongs to the batch, and to no position.
            The generated suites run what is plain; the others have their own.
    """

    name: str
    family: str
    module: type[Loss]
    function: Callable[..., Tensor] | None
    summary: str
    formula: str
    parameters: tuple[Parameter, ...]
    shared: tuple[Parameter, ...]
    takes: Takes
    links: tuple[str, ...]
    targets: tuple[str, ...]
    value_range: str
    denominator: str
    reference: Reference
    differs: tuple[tuple[str, str], ...]
    examples: tuple[str, ...]
    identities: tuple[tuple[str, str], ...]
    inner: Literal["none", "required", "optional"]
    needs: frozenset[str]
    head: Head
    call: Call

    @property
    def accepted(self) -> tuple[Parameter, ...]:
        """Own parameters, then the shared ones."""
        return self.parameters + self.shared

    @property
    def accuracy(self) -> str:
        """How exact float32 is, measured and tested; empty where nothing is stated."""
        found = ROUNDINGS.get(self.name)
        return "" if found is None else found.said()


def spec_of(
    name: str,
    loss: type[Loss],
    function: Callable[..., Tensor] | None = None,
    *,
    summary: str,
    formula: str,
    reference: Reference,
    examples: tuple[str, ...],
    differs: Mapping[str, str] = {},
    identities: Mapping[str, str] = {},
    targets: tuple[str, ...] | None = None,
    value_range: str = "[0, inf)",
    denominator: str | None = None,
    head: Head = "linear",
    call: Call = "plain",
) -> Spec:
    """The SPEC of a loss. What its fields say is taken from them; its docstring gains the rest.

    `differs` maps a library to how the loss is written there, `identities` a call to one that must
    give the same numbers. `targets` and `denominator` are those of its links if left out.
    """
    fields = parameters_of(loss)
    named = [field for field in fields.values() if not field.by_position]
    targets = targets or loss.target_kinds()
    spec = Spec(
        name=name,
        family=loss.__module__.split(".")[-2].replace("_", "-"),
        module=loss,
        function=function,
        summary=summary,
        formula=formula,
        parameters=tuple(field.parameter for field in named if not field.about.shared),
        shared=tuple(field.parameter for field in named if field.about.shared),
        takes=loss.takes,
        links=links_of(loss),
        targets=targets,
        value_range=value_range,
        denominator=denominator or loss.mean_divides_by(targets),
        reference=reference,
        differs=tuple(differs.items()),
        examples=examples,
        identities=tuple(identities.items()),
        inner=_inner(loss),
        needs=frozenset(
            field.about.needs for field in named if field.about.needs and field.default is REQUIRED
        ),
        head=head,
        call=call,
    )
    loss.spec = spec
    for documented in (loss,) if function is None else (loss, function):
        append(documented, "Differs from", "\n".join(f"{k}: {v}." for k, v in differs.items()))
        cited = (reference.authors, reference.title, reference.venue, reference.equation)
        append(documented, "Reference", f"{', '.join(cited)}.")
        if spec.accuracy:
            append(documented, "Accuracy", f"{spec.accuracy} (docs/accuracy.md).")
    return spec


def _inner(loss: type[Loss]) -> Literal["none", "required", "optional"]:
    first = next((field for field in parameters_of(loss).values() if field.by_position), None)
    if first is None:
        return "none"
    return "required" if first.default is REQUIRED else "optional"
