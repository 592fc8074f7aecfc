"""What is examined, by name: a catalogue string, `module:Loss(...)`, or `file.py:Loss(...)`."""

from __future__ import annotations

from dataclasses import dataclass

from torch import nn

from taylored.catalog.lookup import takes
from taylored.doctor.recipe import (
    Catalogued,
    Given,
    LossFunction,
    Options,
    Recipe,
    called,
    falling,
    written,
)
from taylored.own import OwnCodeError, OwnLoss, Reference, is_reference, own_loss


@dataclass(frozen=True)
class Named:
    """A class or function of somebody's, with the arguments that its name gives."""

    reference: Reference
    own: OwnLoss
    classes: int

    @property
    def name(self) -> str:
        """The reference."""
        return self.reference.text

    def build(self, options: Options) -> LossFunction:
        """The loss with these arguments and options; counts fall from class to class."""
        return self.own.build(falling(self.classes), called(self.own.found, options))

    def code(self, options: Options) -> str:
        """The import, and the call."""
        named = {**self.own.named, **called(self.own.found, options)}
        if self.own.takes_counts:
            named.setdefault("counts", falling(self.classes))
        told = [*map(written, self.own.positional)]
        told += [f"{name}={written(value)}" for name, value in named.items()]
        lines, name = self.reference.import_lines(), self.reference.attribute
        if self.own.builds:
            return f"{lines}\nloss = {name}({', '.join(told)})"
        if not told:
            return f"{lines}\nloss = {name}"
        return f"from functools import partial\n{lines}\nloss = partial({', '.join([name, *told])})"


class TargetError(ValueError):
    """The text names nothing that could be examined; the message says what to write."""


def check_catalogued(text: str) -> None:
    """Refuse a string of no loss, or of one that is not called on logits and classes.

    Raises:
        ValueError: says which.
    """
    if takes(text) != "logits":
        raise TargetError(
            f"the doctor examines losses of logits and classes; {text!r} takes {takes(text)}"
        )


def recipe_of(text: str, classes: int) -> Recipe:
    """The recipe behind a text; somebody's own code is imported.

    Raises:
        ValueError: where there is none.
    """
    if not is_reference(text):
        check_catalogued(text)
        return Catalogued(text, classes)
    try:
        reference, own = Reference.read(text), own_loss(text)
    except OwnCodeError as error:
        raise TargetError(str(error)) from error
    if isinstance(own.found, nn.Module):
        return _Instance(own.found, reference)
    return Named(reference, own, classes)


class _Instance(Given):
    """A module that somebody's file holds ready."""

    def __init__(self, loss: nn.Module, reference: Reference) -> None:
        super().__init__(loss, reference.text)
        object.__setattr__(self, "_reference", reference)

    def code(self, options: object) -> str:
        """The import of the module."""
        reference: Reference = self.__dict__["_reference"]
        attribute = reference.attribute
        return f"{reference.import_lines()}\n# it is a module: {attribute}\nloss = {attribute}"
