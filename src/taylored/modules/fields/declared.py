"""A module whose parameters are declared as fields: how they are given, checked and kept."""

from __future__ import annotations

import inspect
from collections.abc import Callable, Mapping, Sequence
from contextlib import nullcontext
from dataclasses import replace
from typing import Any, ClassVar, get_origin

import torch
from torch import Tensor, nn

from taylored.core.checks import fail
from taylored.core.state.buffers import keep_known, keep_wide, where_there_is_float64
from taylored.core.state.distributed import Shared
from taylored.modules.fields.arguments import bound, class_signature
from taylored.modules.fields.call_text import written
from taylored.modules.fields.field import Field
from taylored.modules.fields.parameter import REQUIRED

_NO_FIELDS: tuple[object, ...] = (ClassVar,)


class _OfTheClass:
    """An attribute of a class that its instances do not have: they are called differently."""

    def __init__(self, value: object) -> None:
        self._value = value

    def __get__(self, module: object | None, owner: type) -> object:
        if module is not None:
            raise AttributeError
        return self._value


class DeclaredModule(Shared):
    """The machinery below `Loss`. Of its fields a module keeps the checked values as attributes.

    Tensors are copied into buffers that follow `.to(device)` and deepcopy, but are in no state
    dict: whoever loads a checkpoint gives the constructor's arguments again. A `nn.Parameter` stays
    one, to be trained with the model.
    """

    _fields: ClassVar[dict[str, Field]] = {}

    @classmethod
    def declare(cls) -> None:
        """Turn the annotations of a class's body into fields; called for every subclass."""
        found = _own_fields(cls)
        for base in cls.__mro__[1:]:
            inherited: dict[str, Field] = vars(base).get("_fields", {})
            for name, field in inherited.items():
                if name not in found and name in vars(cls):  # another default, without its type
                    found[name] = replace(field, default=vars(cls)[name])
                    delattr(cls, name)
                found.setdefault(name, field)
        # What is given by position comes first, the shared vocabulary last.
        ordered = sorted(
            found.values(), key=lambda field: (not field.by_position, field.about.shared)
        )
        cls._fields = {field.name: field for field in ordered}
        cls.__signature__ = _OfTheClass(class_signature(cls._fields))  # type: ignore[attr-defined]

    def __init__(self, *given: Any, **named: Any) -> None:
        """Build the module; its parameters are documented on the class."""
        super().__init__()
        values = bound(type(self).__name__, self._fields, given, named)
        classes = self._classes_of(values)
        # Buffers are worked out on the CPU, whose numbers can be read, and belong on the default
        # device in the end: that may be "meta".
        device = torch.get_default_device()
        with torch.device("cpu") if device.type != "cpu" else nullcontext():
            for name, field in self._fields.items():
                value = field.arranged(values[name], classes)
                field.check(value)
                self._keep(name, field.kept(value))
            self.setup()
            self.derive()
            self.check()
        self.__dict__["_built"] = True
        if device.type != "cpu":
            self._settle(device, [name for name in values if isinstance(values[name], Tensor)])

    def _settle(self, device: torch.device, given: Sequence[str]) -> None:
        """Move what was made here to a device; tensors that were given stay where they are."""
        before = {name: kept for name, kept in self._buffers.items() if name not in given}
        there = where_there_is_float64(lambda values: values.to(device))
        for name, kept in before.items():
            self._buffers[name] = None if kept is None else there(kept)
        keep_known(self, before)
        for name, part in self._modules.items():
            if part is not None and name not in self._fields:
                part.to(device)

    def _classes_of(self, values: Mapping[str, Any]) -> int | None:
        """The number of classes, where a field says it."""
        told = [f.name for f in self._fields.values() if f.about.needs == "num_classes"]
        found = [values[name] for name in told if type(values[name]) is int]
        return found[0] if found else None

    def setup(self) -> None:
        """Make the state that training changes; called once."""

    def derive(self) -> None:
        """Work out what follows from the parameters; called again when one is assigned."""

    def check(self) -> None:
        """Refuse parameters that do not go together; called after `derive`."""

    def __setattr__(self, name: str, value: Any) -> None:
        if not self.__dict__.get("_built"):
            super().__setattr__(name, value)
            return
        field = self._fields.get(name)
        if field is None:
            self._refuse_derived(name)
            super().__setattr__(name, value)
            return
        if field.about.fixed:
            expected = f"left as it was built, {getattr(self, name)!r}"
            fail(name, expected, repr(value), f"build a new {type(self).__name__}")
        value = field.arranged(value, self._classes_of(self.__dict__))
        field.check(value)
        kept: list[dict[str, Any]]
        kept = [self.__dict__, self._parameters, self._buffers, self._modules]
        before = [dict(each) for each in kept]
        try:
            self._keep(name, self._beside(getattr(self, name), field.kept(value)))
            self._derive_again()
            self.check()
        except BaseException:  # a warning that is an error, too, must not leave half a change
            for each, old in zip(kept, before, strict=True):
                each.clear()
                each.update(old)
            raise

    def _refuse_derived(self, name: str) -> None:
        """Refuse to overwrite what the class says or `derive` works out: no repr would tell."""
        said = getattr(type(self), name, None)
        by_class = said is not None and not callable(said) and not hasattr(nn.Module, name)
        if by_class or name in self._non_persistent_buffers_set:
            known = ", ".join(self._fields)
            fail(name, "left as the loss has it", "another value", f"assign one of {known}")

    def _beside(self, before: object, value: object) -> object:
        """A tensor where the module's are, in the floating dtype of the one that it replaces."""
        if not isinstance(value, Tensor):
            return value
        if isinstance(before, Tensor):
            both = before.is_floating_point() and value.is_floating_point()
            return value.to(before) if both else value.to(before.device)
        other = next(self.buffers(), value)
        return value.to(other.device)

    def _keep(self, name: str, value: object) -> None:
        """A tensor as a buffer, a module as a part, everything else as an attribute."""
        for kept in (self.__dict__, self._parameters, self._buffers, self._modules):
            kept.pop(name, None)
        if isinstance(value, nn.Parameter):  # to be trained with the model
            self.register_parameter(name, value)
        elif isinstance(value, Tensor):
            self.register_buffer(name, value, persistent=False)
        elif isinstance(value, nn.Module):
            self.register_module(name, value)
        else:
            self.__dict__[name] = value

    def _derive_again(self) -> None:
        """Derive; the buffers keep device and dtype, to which the module may have been moved."""
        before = dict(self._buffers)
        self.__dict__["_built"] = False
        self.derive()
        self.__dict__["_built"] = True
        for name, old in before.items():
            new = self._buffers.get(name)
            if old is not None and new is not None and name not in self._fields:
                self._buffers[name] = new.to(old)

    def _apply(self, fn: Callable[[Tensor], Tensor], recurse: bool = True) -> DeclaredModule:
        # Numbers, not activations: half precision would round weights and has not all counts.
        before = {name: self._buffers.get(name) for name in self._non_persistent_buffers_set}
        known = dict(self._buffers)
        super()._apply(where_there_is_float64(fn), recurse)  # type: ignore[no-untyped-call]
        keep_known(self, known)
        keep_wide(self, before)
        return self

    def __repr__(self) -> str:
        return written(self, self._fields)


def _own_fields(cls: type) -> dict[str, Field]:
    """The fields that the body of a class declares. Their defaults are taken off the class.

    A default left there would hide the buffer of the same name.
    """
    found = {}
    for name, annotation in inspect.get_annotations(cls, eval_str=True).items():
        if get_origin(annotation) in _NO_FIELDS:
            continue
        default = vars(cls).get(name, REQUIRED)
        if name in vars(cls):
            delattr(cls, name)
        field = Field.of(name, annotation, default)
        if not field.domain:
            raise TypeError(
                f"{cls.__name__}.{name}: annotations of a loss are its parameters, and this type "
                'is none that they know. Fix: Annotated[float, About("...")], float | PerClass, '
                "int, Literal[...] or Sequence[float]; what is no parameter is assigned in `setup`"
            )
        found[name] = field
    return found
