"""One declared field of a loss: what values it takes, and how they are kept."""

from __future__ import annotations

import math
import types
import typing
from collections.abc import Sequence
from dataclasses import dataclass
from numbers import Integral, Real
from typing import Annotated, Any, Literal, get_args, get_origin

import torch
from torch import Tensor

from taylored.core.checks import fail, one_of
from taylored.core.context import has_numbers, values_are_known
from taylored.core.labels import in_class_order
from taylored.core.numerics import tensor_of
from taylored.core.written import literal
from taylored.modules.fields.interval import Interval
from taylored.modules.fields.parameter import REQUIRED, About, Parameter, Search

_UNIONS: tuple[object, ...] = (typing.Union, types.UnionType)


@dataclass(frozen=True)
class Positional:
    """The default of a field that may be given by position; made by `positional`."""

    default: object


def positional(*, default: Any = REQUIRED, kw_only: Literal[False]) -> Any:
    """Declare a field that comes first and needs no keyword, like the loss that is wrapped.

    `kw_only` is for type checkers, which read it at the call.
    """
    del kw_only
    return Positional(default)


@dataclass(frozen=True)
class Field:
    """A parameter of a loss, worked out from its annotation.

    Attributes:
        name: of the keyword and the attribute.
        default: `REQUIRED` if it has none.
        about: what its author says about it.
        annotation: its type, for signatures.
        by_position: whether it may be given without its keyword.
        number: the kind of single number that it takes, if any.
        per_class: whether it takes one number per class, kept as a buffer.
        sequence: whether it takes a sequence of numbers, kept as a tuple.
        choices: the strings that it takes, if any.
        optional: whether it takes None.
        interval: where its numbers lie.
    """

    name: str
    default: object
    about: About
    annotation: object
    by_position: bool
    number: type[float] | type[int] | None
    per_class: bool
    sequence: bool
    choices: tuple[str, ...]
    optional: bool
    interval: Interval

    @classmethod
    def of(cls, name: str, annotation: Any, default: object) -> Field:
        """The field that `name: annotation = default` declares."""
        about, kind = About(""), annotation
        while get_origin(kind) is Annotated:
            kind, *notes = get_args(kind)
            about = next((note for note in notes if isinstance(note, About)), about)
        parts = set(get_args(kind)) if _is_union(kind) else {kind}
        literals = [get_args(part) for part in parts if get_origin(part) is Literal]
        per_class = Tensor in parts
        number = next((kind for kind in (float, int) if kind in parts), None)
        by_position = isinstance(default, Positional)
        return cls(
            name=name,
            default=default.default if isinstance(default, Positional) else default,
            about=about,
            annotation=kind,
            by_position=by_position,
            number=number,
            per_class=per_class,
            sequence=not per_class and any(get_origin(part) is Sequence for part in parts),
            choices=tuple(choice for choices in literals for choice in choices),
            optional=type(None) in parts,
            interval=Interval.read(about.within or "(-inf, inf)"),
        )

    @property
    def domain(self) -> str:
        """The allowed values in words."""
        return self.about.domain or _words(self)

    @property
    def parameter(self) -> Parameter:
        """The field as SPEC lists it."""
        search = None if self.about.search is None else Search(*self.about.search)
        about = self.about
        return Parameter(self.name, self.default, self.domain, about.within, about.effect, search)

    def arranged(self, value: Any, classes: int | None = None) -> Any:
        """Numbers that are given by class label in the order of the classes; others as they are."""
        if not self.per_class:
            return value
        return in_class_order(self.name, value, gaps=self.about.needs == "counts", classes=classes)

    def check(self, value: Any) -> None:
        """Refuse a value outside the domain."""
        if value is None and self.optional:
            return
        if type(value) is self.number and value in self.interval:  # the usual case, at every call
            return
        if self.choices:
            if not isinstance(value, str):
                self._refuse(repr(value))
            one_of(self.name, value, self.choices)
        elif self.number is not None and _is_number(value):
            whole = self.number is float or isinstance(value, Integral)
            if not (whole and value in self.interval):
                self._refuse(value)
        elif self.per_class:
            self._check_per_class(value)
        elif self.sequence:
            self._check_sequence(value)
        elif self.number is not None or not self._is_instance(value):
            self._refuse(repr(value))

    def kept(self, value: Any) -> object:
        """The value in the form in which a module keeps it: a tensor, a tuple, or as it is."""
        if self.about.convert is not None:
            return self.about.convert(value)
        if isinstance(value, Tensor):  # of our own: later writes do not reach it
            return value if value.requires_grad else value.clone()
        if value is None or isinstance(value, str):
            return value
        if _is_number(value) and self.number is not None:
            return self.number(value)
        if self.per_class:
            # All their digits: the logits may be float64. Counts that are whole stay so.
            values = tensor_of(value)
            whole = self.about.needs == "counts" and not values.is_floating_point()
            return tensor_of(value, None if whole else torch.float64).clone()
        return tuple(float(item) for item in value) if self.sequence else value

    def _is_instance(self, value: object) -> bool:
        """Whether a value of a class of its own, like a term, is one; conversions say it better."""
        kind = self.annotation
        return (
            self.about.convert is not None or not isinstance(kind, type) or isinstance(value, kind)
        )

    def _check_per_class(self, value: Any) -> None:
        if isinstance(value, (list, tuple)):
            self._check_list(value)
        else:
            self._check_tensor(value if isinstance(value, Tensor) else self._as_tensor(value))

    def _check_list(self, value: list[Any] | tuple[Any, ...]) -> None:
        if not value or bool in set(map(type, value)):
            self._refuse(repr(value), "give one number per class")
        try:
            # NaN is in the sum if it is anywhere; where it is, the least is a matter of order.
            ends = (sum(value), min(value), max(value))
        except TypeError:  # words, nested lists
            self._refuse(repr(value))
        if math.isnan(ends[0]) or any(end not in self.interval for end in ends[1:]):
            self._refuse(next(number for number in value if number not in self.interval))

    def _check_tensor(self, values: Tensor) -> None:
        if values.dim() > 1 or values.numel() == 0:
            self._refuse(f"shape {tuple(values.shape)}", "give a flat list")
        if values.dtype == torch.bool or values.is_complex():
            self._refuse(f"dtype {values.dtype}")
        if not _worth_a_look(values):
            return
        low, high = (bound.item() for bound in values.detach().aminmax())
        if low not in self.interval or high not in self.interval:
            wrong = [number for number in values.tolist() if number not in self.interval]
            self._refuse(wrong[0])

    def _as_tensor(self, value: Any) -> Tensor:
        try:
            return tensor_of(value)
        except (TypeError, ValueError, RuntimeError):  # words, ragged lists, anything
            self._refuse(repr(value))

    def _check_sequence(self, value: Any) -> None:
        if isinstance(value, str) or not isinstance(value, Sequence):
            self._refuse(repr(value))
        if len(value) == 0:
            self._refuse("an empty list")
        for item in value:
            if not (_is_number(item) and item in self.interval):
                self._refuse(repr(item))

    def _refuse(self, got: object, fix: str = "") -> typing.NoReturn:
        default = "give such a value"
        if self.default is not REQUIRED:
            default = f"leave it out for the default, {literal(self.default)}"
        fail(self.name, self.domain, got, fix or self.about.fix or default)


def _is_union(kind: object) -> bool:
    return get_origin(kind) in _UNIONS


def _is_number(value: Any) -> bool:
    return isinstance(value, Real) and not isinstance(value, bool)


def _worth_a_look(values: Tensor) -> bool:
    """Whether looking at the numbers costs neither a device sync nor a graph break."""
    return values_are_known() and has_numbers(values) and values.is_cpu


def _words(field: Field) -> str:
    """The allowed values in words, from type and interval."""
    kinds = []
    if field.choices:
        *first, last = (f'"{choice}"' for choice in field.choices)
        kinds.append(f"{', '.join(first)} or {last}" if first else last)
    if field.number is not None:
        noun = "a whole number" if field.number is int else "a number"
        kinds.append(field.interval.words(noun))
    if field.per_class:
        many = "one" if field.number else field.interval.words("one number")
        kinds.append(f"{many} per class")
    if field.sequence:
        kinds.append("a sequence of numbers")
    if field.optional:
        kinds.append("None")
    return ", or ".join(kinds)
