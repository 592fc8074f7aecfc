"""Terms as text, "power(2) * nll + 1.5 * power(3)": parsed, and never evaluated."""

from __future__ import annotations

import ast
from collections.abc import Callable, Sequence
from typing import Any

from taylored import terms
from taylored.core.terms.term import Term

_BUILD: dict[str, Callable[..., Term]] = {
    name: getattr(terms, name) for name in terms.__all__ if name not in ("Term", "nll")
}


def term_of(text: str) -> Term | None:
    """The term of a text in the vocabulary of `taylored.terms`; None if it is none.

    Raises:
        ValueError: for a number out of its domain.

    Example:
        >>> term_of("power(2) * nll + 1.5 * power(3)")
        power(2) * nll + 1.5 * power(3)
    """
    try:
        found = _value(ast.parse(text.strip(), mode="eval").body)
    except (SyntaxError, RecursionError, MemoryError, LookupError, TypeError):
        return None
    return found if isinstance(found, Term) else None


def _value(node: ast.expr) -> Any:
    """A term, a number or a list of numbers; a LookupError for anything else."""
    match node:
        case ast.Name("nll"):
            return terms.nll
        case ast.BinOp(left, ast.Add(), right):
            return _value(left) + _value(right)
        case ast.BinOp(left, ast.Sub(), right):
            return _value(left) - _value(right)
        case ast.BinOp(left, ast.Mult(), right):
            return _value(left) * _value(right)
        case ast.UnaryOp(ast.USub(), operand):
            return -1 * _value(operand)
        case ast.Constant(int() | float() as number) if not isinstance(number, bool):
            return number
        case ast.List(items) | ast.Tuple(items):
            return _numbers(items)
        case ast.Call(ast.Name(name), arguments, keywords):
            named = {str(keyword.arg): _value(keyword.value) for keyword in keywords}
            return _BUILD[name](*(_value(argument) for argument in arguments), **named)
    raise LookupError(ast.unparse(node))


def _numbers(items: Sequence[ast.expr]) -> list[float]:
    found = [_value(item) for item in items]
    if not all(isinstance(item, (int, float)) for item in found):
        raise LookupError("a list of something else than numbers")
    return found
