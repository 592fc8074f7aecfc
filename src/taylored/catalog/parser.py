"""Loss strings, parsed and never evaluated.

Only calls of losses of the table, with numbers, strings, None and lists of them as arguments, and
weighted sums of such calls, `dice + 0.5 * focal(gamma=2)`. A loss may be called by its name in the
catalogue, `focal(gamma=2)`, or by that of its class, as its repr does: `FocalLoss(gamma=2)`.
"""

from __future__ import annotations

import ast
import math
from collections.abc import Iterator
from dataclasses import dataclass

from taylored.catalog.elsewhere import known_as
from taylored.catalog.table import SPECS
from taylored.core.written import literal
from taylored.modules.fields.arguments import nearest
from taylored.modules.spec import Spec

KNOWN: dict[str, Spec] = SPECS | {spec.module.__name__: spec for spec in SPECS.values()}
"""Losses by both of their names."""

_INNER_LOSSES = {"none": (0,), "required": (1,), "optional": (0, 1)}

_SHOWN = 20
"""Names of losses in a message."""

_LONGEST = 1_000_000
"""Characters of a string; counts of a hundred thousand classes fit."""


class LossNameError(ValueError):
    """A string that does not name a loss; the message says where and what was probably meant."""


@dataclass(frozen=True)
class LossCall:
    """A parsed call.

    Attributes:
        spec: of the loss that is called.
        inner: the call of the loss that it wraps, if it is given one.
        arguments: numbers, strings, None and lists of numbers, by keyword.
    """

    spec: Spec
    inner: LossCall | None
    arguments: dict[str, object]

    def chain(self) -> Iterator[LossCall]:
        """The call and the calls inside it, from the outside in."""
        call: LossCall | None = self
        while call is not None:
            yield call
            call = call.inner

    def text(self) -> str:
        """The call, written."""
        inner = [] if self.inner is None else [self.inner.text()]
        named = [f"{name}={literal(value)}" for name, value in self.arguments.items()]
        return f"{self.spec.name}({', '.join(inner + named)})" if inner or named else self.spec.name

    def needs(self) -> frozenset[str]:
        """What has to be known of the data, and is not in the string."""
        missing = (call.spec.needs - call.arguments.keys() for call in self.chain())
        return frozenset().union(*missing)


@dataclass(frozen=True)
class SumCall:
    """A parsed sum.

    Attributes:
        parts: weight and call of every part.
    """

    parts: tuple[tuple[float, LossCall], ...]

    def chain(self) -> Iterator[LossCall]:
        """All calls in it."""
        for _, call in self.parts:
            yield from call.chain()

    def needs(self) -> frozenset[str]:
        """What has to be known of the data, and is not in the string."""
        return frozenset().union(*(call.needs() for _, call in self.parts))


def parse(text: str) -> LossCall | SumCall:
    """The call, or the sum of calls, that a string is."""
    if not isinstance(text, str):
        raise LossNameError(
            f"`text` must be a string, got {type(text).__name__}. Fix: write 'focal(gamma=2)'"
        )
    unreadable = (
        f"cannot read the loss {_short(text)!r}. Fix: write it like 'focal(gamma=2)'; "
        "quote it in a shell"
    )
    if len(text) > _LONGEST:
        raise LossNameError(f"{unreadable}, in at most {_LONGEST} characters")
    try:
        return _sum(ast.parse(text.strip(), mode="eval").body, _short(text))
    except LossNameError:
        raise
    # Python's parser gives up on deep nesting in three different ways.
    except (SyntaxError, ValueError, RecursionError, MemoryError) as error:
        raise LossNameError(unreadable) from error


def _short(text: str) -> str:
    return text if len(text) <= 200 else f"{text[:100]}...{text[-60:]}"


def _sum(node: ast.expr, text: str) -> LossCall | SumCall:
    parts = []
    while isinstance(node, ast.BinOp) and isinstance(node.op, ast.Add):
        parts.append(_part(node.right, text))
        node = node.left
    parts.append(_part(node, text))
    single = len(parts) == 1 and not isinstance(node, ast.BinOp)
    return parts[0][1] if single else SumCall(tuple(reversed(parts)))


def _part(node: ast.expr, text: str) -> tuple[float, LossCall]:
    """A call with its weight, which is a number on either side of it."""
    if not (isinstance(node, ast.BinOp) and isinstance(node.op, ast.Mult)):
        return 1.0, _call(node, text)
    left, right = node.left, node.right
    weight, call = (left, right) if isinstance(left, ast.Constant) else (right, left)
    number = weight.value if isinstance(weight, ast.Constant) else None
    if isinstance(number, bool) or not isinstance(number, (int, float)):
        got = _short(ast.unparse(node))
        raise LossNameError(
            f"cannot read {got!r} in {text!r}. Fix: write a number >= 0 and one loss, "
            "'0.5 * focal(gamma=2)'"
        )
    return float(_finite(_plain_number(number, text), text)), _call(call, text)


def _plain_number(number: float, text: str) -> float:
    if not abs(number) < math.inf:
        raise LossNameError(f"a weight in {text!r} is not finite. Fix: use finite numbers")
    return number


def _call(node: ast.expr, text: str) -> LossCall:
    function = node.func if isinstance(node, ast.Call) else node
    if not isinstance(function, ast.Name):
        raise LossNameError(f"cannot read {text!r}. Fix: write a loss like 'focal(gamma=2)'")
    spec = KNOWN.get(function.id)
    if spec is None:
        raise LossNameError(
            f"no loss is called {_short(function.id)!r}."
            f"{known_as(function.id) or nearest(function.id, KNOWN)} "
            f"Known: {', '.join([*SPECS][:_SHOWN])}, ... ({len(SPECS)} in all: `taylored list`)"
        )
    call = node if isinstance(node, ast.Call) else ast.Call(function, [], [])
    if len(call.args) not in _INNER_LOSSES[spec.inner]:
        expected = f"one loss first, '{spec.name}(focal(gamma=2), ...)'"
        expected = expected if spec.inner != "none" else "named arguments only, 'name=value'"
        raise LossNameError(f"{spec.name} in {text!r} takes {expected}")
    inner = _call(call.args[0], text) if call.args else None
    return LossCall(spec, inner, _arguments(call, spec, text))


def _arguments(call: ast.Call, spec: Spec, text: str) -> dict[str, object]:
    """The keyword arguments of a call, each of a parameter that the loss has."""
    allowed = {parameter.name: parameter for parameter in spec.accepted}
    values: dict[str, object] = {}
    for keyword in call.keywords:
        name = keyword.arg
        if name is None or name not in allowed:
            raise LossNameError(
                f"{spec.name} has no parameter {name!r}."
                f"{nearest(name or '', allowed)} Known: {', '.join(allowed)}"
            )
        if name in values:
            raise LossNameError(f"{spec.name} in {text!r} is given {name!r} twice")
        value = _value(keyword.value, text)
        if isinstance(value, str) and not isinstance(allowed[name].default, str):
            raise LossNameError(
                f"`{name}` in {text!r} must be {allowed[name].domain}, got {value!r}."
                " Fix: numbers need no quotes"
            )
        values[name] = value
    return values


def _value(node: ast.expr, text: str) -> object:
    if isinstance(node, ast.Constant) and not isinstance(node.value, bool):
        if isinstance(node.value, (str, type(None))):
            return node.value
        if isinstance(node.value, (int, float)) and abs(node.value) < math.inf:
            return _finite(node.value, text)
    if isinstance(node, ast.UnaryOp) and isinstance(node.op, (ast.USub, ast.UAdd)):
        number = _value(node.operand, text)
        if isinstance(number, (int, float)):
            return -number if isinstance(node.op, ast.USub) else number
    if isinstance(node, (ast.List, ast.Tuple)):
        items = [_value(item, text) for item in node.elts]
        if all(isinstance(item, (int, float)) for item in items):
            return items
    raise LossNameError(
        f"{_short(ast.unparse(node))!r} in {text!r} is not a plain value. "
        "Fix: use finite numbers, strings, None or lists of numbers"
    )


def _finite(number: float, text: str) -> float:
    try:
        float(number)
    except OverflowError as error:  # a whole number of more than 308 digits
        raise LossNameError(f"a number in {text!r} is too large. Fix: use fewer digits") from error
    return number
