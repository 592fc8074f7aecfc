"""Loss strings taken apart, by a parser of our own; links and inner losses are SPEC's."""

from __future__ import annotations

import ast
import functools
from dataclasses import dataclass, field, replace
from typing import Any

from references.formulas import Parameters
from taylored import catalog


@dataclass(frozen=True)
class Call:
    """A loss by its name in the catalogue.

    Attributes:
        name: of the loss.
        inner: the loss that it wraps, if it is given one.
        arguments: the keywords.
        state: what a loss with state has collected before.
    """

    name: str
    inner: Call | None
    arguments: Parameters
    state: dict[str, list[float]] = field(default_factory=dict)

    @classmethod
    def of(cls, text: str) -> Call:
        return cls._of(ast.parse(text, mode="eval").body)

    @classmethod
    def _of(cls, node: ast.expr) -> Call:
        if isinstance(node, ast.Name):
            return cls(node.id, None, {})
        assert isinstance(node, ast.Call)
        assert isinstance(node.func, ast.Name)
        inner = cls._of(node.args[0]) if node.args else None
        arguments = {str(k.arg): ast.literal_eval(k.value) for k in node.keywords}
        return cls(node.func.id, inner, arguments)

    def innermost(self) -> Call:
        return self if self.inner is None else self.inner.innermost()

    def having(self, **options: object) -> Call:
        """The same loss with other options of the shared vocabulary."""
        if self.inner is not None:
            return replace(self, inner=self.inner.having(**options))
        if catalog.SPECS[self.name].inner == "optional":
            return replace(self, inner=Call(default_inner(self.name), None, options))
        return replace(self, arguments={**self.arguments, **options})

    def option(self, name: str, default: object = None) -> Any:
        return self.innermost().arguments.get(name, default)

    def link(self) -> str:
        default = catalog.SPECS[self.innermost().name].links[0]
        return str(self.option("link", default))

    def text(self) -> str:
        shown = [] if self.inner is None else [self.inner.text()]
        shown += [f"{name}={value!r}" for name, value in self.arguments.items()]
        return f"{self.name}({', '.join(shown)})"


@functools.cache
def default_inner(name: str) -> str:
    """What a wrapper wraps if it is given no loss."""
    inner = catalog.get(name, counts=[2, 1]).loss
    (found,) = (spec.name for spec in catalog.SPECS.values() if spec.module is type(inner))
    return found
