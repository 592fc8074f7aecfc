"""A term read from its text, with a grammar of the checker's own."""

from __future__ import annotations

import ast
from dataclasses import dataclass
from fractions import Fraction
from typing import Any

from taylored.certificates.checker.arithmetic import simplest

_EXPONENTS = {"power": (0,), "clipped_focal": (0,)}


@dataclass(frozen=True)
class Node:
    """A function of p: its name, its numbers, and the functions that it is made of.

    The names are nll, power, series (all coefficients, from q^0 on), truncated, box_cox,
    jensen_shannon, clipped_focal, shifted, sum, product.
    """

    name: str
    numbers: tuple[Fraction, ...] = ()
    parts: tuple[Node, ...] = ()


def read(text: str) -> Node:
    """The term of a text like "power(2) * nll + 1.5 * power(3)"; a ValueError if it is none."""
    try:
        return _node(ast.parse(text, mode="eval").body)
    except (SyntaxError, RecursionError, MemoryError, IndexError, OverflowError) as error:
        raise ValueError(f"cannot read the term {text[:80]!r}") from error


def unmoved(node: Node) -> Node:
    """The same values at other margins: what is shifted as a whole is moved back."""
    if node.name == "shifted":
        return unmoved(node.parts[0])
    if node.name == "product" and node.parts[0].name == "series":
        factor, inner = node.parts
        if len(factor.numbers) == 1:
            return Node("product", parts=(factor, unmoved(inner)))
    return node


def _node(node: ast.expr) -> Node:
    match node:
        case ast.Name("nll"):
            return Node("nll")
        case ast.BinOp(left, ast.Add(), right):
            return Node("sum", parts=(_node(left), _node(right)))
        case ast.BinOp(left, ast.Sub(), right):
            negative = Node("product", parts=(Node("series", (Fraction(-1),)), _node(right)))
            return Node("sum", parts=(_node(left), negative))
        case ast.BinOp(left, ast.Mult(), right):
            return Node("product", parts=(_node(left), _node(right)))
        case ast.Call(ast.Name(name), arguments):
            return _call(name, arguments)
        case ast.Constant() | ast.UnaryOp():
            return Node("series", (simplest(_float(node)),))
    raise ValueError(f"cannot read {ast.unparse(node)!r} in a term")


def _call(name: str, arguments: list[ast.expr]) -> Node:
    if name == "shifted":
        inner, margin = _node(arguments[0]), simplest(_float(arguments[1]))
        constant = inner.name == "series" and not any(inner.numbers[1:])
        return Node("shifted", (margin,), (inner,)) if margin and not constant else inner
    if name == "constant":
        return Node("series", (simplest(_float(arguments[0])),))
    if name == "series":
        listed: Any = arguments[0]
        return Node("series", (Fraction(0), *(simplest(_float(each)) for each in listed.elts)))
    numbers = tuple(
        Fraction(f"{_float(each):.12g}") if i in _EXPONENTS.get(name, ()) else
        simplest(_float(each)) for i, each in enumerate(arguments)
    )  # fmt: skip
    expected = {"power": 1, "truncated": 1, "box_cox": 1, "jensen_shannon": 1, "clipped_focal": 2}
    if expected.get(name) != len(numbers):
        raise ValueError(f"no term is called {name!r} with {len(numbers)} numbers")
    if name == "box_cox" and not numbers[0]:
        return Node("nll")
    return Node(name, numbers)


def _float(node: ast.expr) -> float:
    value = ast.literal_eval(node)
    if isinstance(value, bool) or not isinstance(value, (int, float)):
        raise ValueError(f"{value!r} is no number")
    return float(value)
