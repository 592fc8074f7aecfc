"""A module whose parameters are declared as fields: how they are given, checked and kept."""

from __future__ import annotations

from typing import Any, ClassVar

from torch import Tensor, nn

from taylored.core.checks import fail
from taylored.modules.arguments import bound, class_signature
from taylored.modules.field import Field, own_fields
from taylored.modules.written import written


class _OfTheClass:
    """An attribute of a class that its instances do not have: they are called differently."""

    def __init__(self, value: object) -> None:
        self._value = value

    def __get__(self, module: object | None, owner: type) -> object:
        if module is not None:
            raise AttributeError
        return self._value


class DeclaredModule(nn.Module):
    """The machinery below `Loss`. Of its fields a module keeps the checked values as attributes.

    Tensors are buffers that follow `.to(device)` and deepcopy, but are in no state dict: whoever
    loads a checkpoint gives the constructor's arguments again.
    """

    _fields: ClassVar[dict[str, Field]] = {}

    @classmethod
    def declare(cls) -> None:
        """Turn the annotations of a class's body into fields; called for every subclass."""
        found = own_fields(cls)
        for base in cls.__mro__[1:]:
            inherited: dict[str, Field] = vars(base).get("_fields", {})
            found = {**found, **{k: v for k, v in inherited.items() if k not in found}}
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
        for name, field in self._fields.items():
            field.check(values[name])
            self._keep(name, field.kept(values[name]))
        self.setup()
        self.derive()
        self.check()
        self.__dict__["_built"] = True

    def setup(self) -> None:
        """Make the state that training changes; called once."""

    def derive(self) -> None:
        """Work out what follows from the parameters; called again when one is assigned."""

    def check(self) -> None:
        """Refuse parameters that do not go together; called after `derive`."""

    def __setattr__(self, name: str, value: Any) -> None:
        field = self._fields.get(name)
        if field is None or "_built" not in self.__dict__:
            super().__setattr__(name, value)
            return
        before = getattr(self, name)
        if field.about.fixed:
            expected = f"left as it was built, {before!r}"
            fail(name, expected, repr(value), f"build a new {type(self).__name__}")
        field.check(value)
        try:
            self._keep(name, field.kept(value))
            self._derive_again()
            self.check()
        except ValueError:
            self._keep(name, before)
            self._derive_again()
            raise

    def _keep(self, name: str, value: object) -> None:
        """A tensor as a buffer, a module as a part, everything else as an attribute."""
        for kept in (self.__dict__, self._buffers, self._modules):
            kept.pop(name, None)
        if isinstance(value, Tensor):
            self.register_buffer(name, value, persistent=False)
        elif isinstance(value, nn.Module):
            self.register_module(name, value)
        else:
            self.__dict__[name] = value

    def _derive_again(self) -> None:
        """Derived buffers keep device and dtype, to which the module may have been moved."""
        before = dict(self._buffers)
        self.derive()
        for name, old in before.items():
            new = self._buffers.get(name)
            if old is not None and new is not None and name not in self._fields:
                self._buffers[name] = new.to(old)

    def __repr__(self) -> str:
        return written(self, self._fields)
