"""What a loss declares about one of its parameters."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from typing import Any, Literal

REQUIRED = object()
"""Stands for the default of a parameter that has none."""

Scale = Literal["linear", "log"]


@dataclass(frozen=True)
class Search:
    """Where a tuner should look for a parameter."""

    low: float
    high: float
    scale: Scale = "linear"


@dataclass(frozen=True)
class About:
    """What stands beside the type of a field: `gamma: Annotated[float, About("...")] = 2.0`.

    Attributes:
        effect: what the parameter does, and what raising it does.
        within: the interval of its numbers, like "[0, inf)"; None for any number.
        domain: the allowed values in words, where type and interval do not say it all.
        fix: what an error message suggests; by default, to pick a value of the domain.
        search: low end, high end and, if it is not linear, scale of a search space.
        shared: whether it belongs to the vocabulary that many losses share.
        slot: whether the engine has an option of this name and meaning (`Options`).
        needs: what it has to be told about the data, for the catalogue to fill in: "counts".
        fixed: whether it shapes the loss's state or its parts, and cannot be assigned later.
        convert: makes the value that is kept of the one that was given.
        local: whether it is an object of this process alone, which no text rebuilds.
    """

    effect: str
    within: str | None = None
    domain: str = ""
    fix: str = ""
    search: tuple[float, float] | tuple[float, float, Scale] | None = None
    shared: bool = False
    slot: bool = False
    needs: Literal["", "counts", "num_classes"] = ""
    fixed: bool = False
    convert: Callable[[Any], object] | None = None
    local: bool = False


@dataclass(frozen=True)
class Parameter:
    """One parameter of a loss, as SPEC lists it.

    Attributes:
        name: keyword of the function and the module.
        default: its default; `REQUIRED` if it has none.
        domain: the allowed values, in words.
        within: the interval of its numbers, like "[0, inf)"; None for any number.
        effect: what it does, and what raising it does.
        search: where to look for a good value, if it makes sense to search.
    """

    name: str
    default: object
    domain: str
    within: str | None
    effect: str
    search: Search | None = None
