"""What is examined, by name: a catalogue string, `module:Loss(...)`, or `file.py:Loss(...)`."""

from __future__ import annotations

import ast
import functools
import importlib
import inspect
import re
import sys
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from pathlib import Path
from types import ModuleType
from typing import Any

from torch import Tensor, nn

from taylored.catalog.lookup import takes
from taylored.doctor.patient import FAILURES, said
from taylored.doctor.recipe import Catalogued, Given, LossFunction, Options, Recipe, called, written
from taylored.modules.fields.arguments import nearest

_REFERENCE = re.compile(r"(.+\.py|[A-Za-z_][\w.]*):([A-Za-z_][\w.]*)\s*(\(.*\))?", re.DOTALL)


@dataclass(frozen=True)
class Made:
    """A class or function of somebody's, with arguments; `lines` import it under `called`."""

    name: str
    lines: str
    called: str
    made: Callable[..., Any]
    positional: tuple[object, ...] = ()
    named: Mapping[str, object] | None = None

    @property
    def calls(self) -> bool:
        """Whether it has to be called to give the loss, and is not the loss itself."""
        if isinstance(self.made, type):
            return True
        try:
            bound = inspect.signature(self.made).bind_partial(*self.positional, **self._named)
        except (TypeError, ValueError):
            return False
        missing = [
            parameter
            for name, parameter in bound.signature.parameters.items()
            if name not in bound.arguments
            and parameter.default is parameter.empty
            and parameter.kind in (parameter.POSITIONAL_ONLY, parameter.POSITIONAL_OR_KEYWORD)
        ]
        return not missing

    @property
    def _named(self) -> dict[str, Any]:
        return dict(self.named or {})

    def build(self, options: Options) -> LossFunction:
        """The loss with these arguments and options."""
        named = {**self._named, **called(self.made, options)}
        if not self.calls:
            return functools.partial(self.made, *self.positional, **named)
        built = self.made(*self.positional, **named)
        if not callable(built):
            raise TypeError(f"{self.name} gives a {type(built).__name__}, which cannot be called")
        return built  # type: ignore[no-any-return]

    def code(self, options: Options) -> str:
        """The import, and the call."""
        named = {**self._named, **called(self.made, options)}
        told = [*map(written, self.positional)]
        told += [f"{name}={written(value)}" for name, value in named.items()]
        if self.calls:
            return f"{self.lines}\nloss = {self.called}({', '.join(told)})"
        if not told:
            return f"{self.lines}\nloss = {self.called}"
        listed = ", ".join([self.called, *told])
        return f"from functools import partial\n{self.lines}\nloss = partial({listed})"


class TargetError(ValueError):
    """The text names nothing that could be examined; the message says what to write."""


def is_reference(text: str) -> bool:
    """Whether a text names somebody's own code.

    >>> is_reference("losses.py:Mine(gamma=2)"), is_reference("focal(gamma=2)")
    (True, False)
    """
    return _REFERENCE.fullmatch(text.strip()) is not None


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
    match = _REFERENCE.fullmatch(text.strip())
    if match is None:
        check_catalogued(text)
        return Catalogued(text, classes)
    module_name, attribute, brackets = match[1], match[2], match[3]
    module, imported = _import(text, module_name)
    found: object = module
    for part in attribute.split("."):
        if part not in dir(found):
            hint = nearest(part, {name: None for name in dir(found) if name[:1] != "_"})
            raise TargetError(f"{text}: {module_name} has no {attribute!r}.{hint}")
        found = getattr(found, part)
    if isinstance(found, nn.Module) and not isinstance(found, type):
        lines = f"{imported} import {attribute.split('.')[0]}\n# it is a module: {attribute}"
        return _Instance(found, text, lines, attribute)
    if not callable(found) or isinstance(found, Tensor):
        raise TargetError(f"{text} is a {type(found).__name__}, and no loss that can be called")
    positional, named = _arguments(text, brackets)
    lines = f"{imported} import {attribute.split('.')[0]}"
    return Made(text, lines, attribute, found, positional, named)


class _Instance(Given):
    """A module that somebody's file holds ready."""

    def __init__(self, loss: nn.Module, name: str, lines: str, called: str) -> None:
        super().__init__(loss, name)
        object.__setattr__(self, "written", f"{lines}\nloss = {called}")

    def code(self, options: object) -> str:
        """The import of the module."""
        return str(self.__dict__["written"])


def _arguments(text: str, brackets: str | None) -> tuple[tuple[object, ...], dict[str, object]]:
    """Literals in brackets; they are never evaluated."""
    if brackets is None:
        return (), {}
    try:
        call = ast.parse(f"f{brackets}", mode="eval").body
        if not isinstance(call, ast.Call) or any(each.arg is None for each in call.keywords):
            raise ValueError("it is no call")
        positional = tuple(ast.literal_eval(each) for each in call.args)
        return positional, {str(k.arg): ast.literal_eval(k.value) for k in call.keywords}
    except (ValueError, SyntaxError, TypeError, RecursionError, MemoryError) as error:
        raise TargetError(
            f"{text}: the arguments must be literals, like (gamma=2, names=['a']). "
            "Fix: in Python, taylored.doctor.examine(the_loss_itself)"
        ) from error


def _import(text: str, name: str) -> tuple[ModuleType, str]:
    """The module, and the beginning of the line that imports from it."""
    before = ""
    if name.endswith(".py"):
        path = Path(name).expanduser().resolve()
        if not path.is_file():
            raise TargetError(f"{text}: there is no file {path}")
        before = f"import sys\nsys.path.insert(0, {str(path.parent)!r})\n"
        sys.path.insert(0, str(path.parent))
        name = path.stem
    elif str(Path.cwd()) not in sys.path:
        sys.path.insert(0, str(Path.cwd()))
    try:
        module = importlib.import_module(name)
    except FAILURES as error:
        raise TargetError(f"{text}: importing {name} failed: {said(error)}") from error
    return module, f"{before}from {name}"
