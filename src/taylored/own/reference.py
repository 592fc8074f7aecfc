"""The text that names somebody's own code: a module or a file, what is in it, and arguments."""

from __future__ import annotations

import ast
import re
from dataclasses import dataclass
from pathlib import Path

from taylored.own.failures import OwnCodeError

# A bracket with a quote in it is part of no path: the repr of an object may hold any text.
_PATH = r"(?:[^(]|\((?![^)]*['\"]))+?\.py"
_REFERENCE = re.compile(rf"([A-Za-z_][\w.]*|{_PATH}):([A-Za-z_][\w.]*)\s*(\(.*\))?", re.DOTALL)


@dataclass(frozen=True)
class Arguments:
    """What stands in the brackets of a reference."""

    positional: tuple[object, ...]
    named: dict[str, object]


@dataclass(frozen=True)
class Reference:
    """A name of somebody's own code.

    Args:
        text: as it was written.
        source: the module by its dotted name, or the path of a file.
        attribute: what is in it, through dots.
        brackets: the arguments with their brackets; None without any.

    """

    text: str
    source: str
    attribute: str
    brackets: str | None

    @classmethod
    def read(cls, text: str) -> Reference:
        """The reference that a text is.

        >>> Reference.read("my/losses.py:Tversky(alpha=0.3)").module
        'losses'
        """
        match = _REFERENCE.fullmatch(text.strip())
        if match is None:
            raise OwnCodeError(
                f"{text} names nothing of your own. Write 'module:attribute' or 'file.py:attribute'"
            )
        return cls(text, match[1], match[2], match[3])

    @property
    def file(self) -> Path | None:
        """The file that is named, whole; None where a module is."""
        if not self.source.endswith(".py"):
            return None
        path = Path(self.source).expanduser()
        return path.parent.resolve() / path.name  # a link to a file has the link's name

    @property
    def module(self) -> str:
        """The name of the module, which is that of the file."""
        return Path(self.source).stem if self.source.endswith(".py") else self.source

    @property
    def imported(self) -> str:
        """What the module has of it: the part before the first dot."""
        return self.attribute.split(".")[0]

    def import_lines(self, folder: str | None = None) -> str:
        """Python that imports it; `folder` stands in the place of the absolute one of a file."""
        module = self.module
        lines = f"from {module} import {self.imported}"
        if not module.replace(".", "").isidentifier():
            lines = f"{self.imported} = __import__({module!r}).{self.imported}"
        if self.file is None:
            return lines
        where = str(self.file.parent) if folder is None else folder
        return f"import sys\nsys.path.insert(0, {where!r})\n{lines}"

    def arguments(self) -> Arguments | None:
        """The arguments, which are literals and are never evaluated; None without brackets.

        >>> Reference.read("my_losses:Tversky(0.3, classes=['a', 'b'])").arguments()
        Arguments(positional=(0.3,), named={'classes': ['a', 'b']})
        """
        if self.brackets is None:
            return None
        try:
            parsed = ast.parse(f"f{self.brackets}", mode="eval").body
            if not isinstance(parsed, ast.Call) or not isinstance(parsed.func, ast.Name):
                raise ValueError("it is no call")
            positional = tuple(map(_literal, parsed.args))
            named = {str(each.arg): _literal(each.value) for each in parsed.keywords if each.arg}
            if len(named) < len(parsed.keywords):
                raise ValueError("** is no literal")
        except (ValueError, SyntaxError, TypeError, RecursionError, MemoryError) as error:
            raise OwnCodeError(
                f"{self.text}: the arguments must be literals, as in "
                f"my_losses:MyLoss(gamma=1, names=['a', 'b']): {error}. "
                "In Python, give the object itself."
            ) from error
        return Arguments(positional, named)


def is_reference(text: str) -> bool:
    """Whether a text names somebody's own code, with or without arguments in brackets.

    >>> is_reference("my_losses:tversky"), is_reference("losses.py:Mine(gamma=2)")
    (True, True)
    >>> is_reference("focal(gamma=2)")
    False
    """
    return _REFERENCE.fullmatch(text.strip()) is not None


def _literal(node: ast.expr) -> object:
    try:
        found: object = ast.literal_eval(node)
    except ValueError as error:
        raise ValueError(f"{ast.unparse(node)} is none") from error
    return found
