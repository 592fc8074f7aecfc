"""The explicit table of losses, and the strings that name them.

`get("class_balanced(focal(gamma=2), beta=0.999)")` builds a loss from a string. Strings are parsed
and never evaluated: only calls of the names in this table, with numbers, strings, None and lists of
them as arguments. The repr of a loss is such a string.
"""

from __future__ import annotations

import ast
import difflib
import math
from collections.abc import Iterable, Sequence
from dataclasses import dataclass

from torch import Tensor, nn

from taylored.losses.classification import (
    asymmetric_single_label,
    balanced_cross_entropy,
    binary_cross_entropy,
    cross_entropy,
    focal,
    poly,
    series,
    taylor,
)
from taylored.losses.detection_quality import distribution_focal, ghm, quality_focal, varifocal
from taylored.losses.long_tail import (
    balanced_softmax,
    class_balanced,
    deferred,
    equalization,
    equalized_focal,
    equalized_quality_focal,
    influence_balanced,
    ldam,
    logit_adjusted,
    seesaw,
    sigmoid_eql,
    softmax_eql,
    vector_scaling,
)
from taylored.losses.multi_label import asymmetric, distribution_balanced
from taylored.losses.noisy_labels import (
    generalized_cross_entropy,
    generalized_jensen_shannon,
    jensen_shannon,
    symmetric_cross_entropy,
)
from taylored.modules.spec_old import Spec

SPECS: dict[str, Spec] = {
    spec.name: spec
    for spec in (
        cross_entropy.SPEC,
        binary_cross_entropy.SPEC,
        balanced_cross_entropy.SPEC,
        focal.SPEC,
        poly.SPEC,
        taylor.SPEC,
        series.SPEC,
        class_balanced.SPEC,
        softmax_eql.SPEC,
        sigmoid_eql.SPEC,
        equalization.SPEC,
        equalized_focal.SPEC,
        equalized_quality_focal.SPEC,
        logit_adjusted.SPEC,
        balanced_softmax.SPEC,
        vector_scaling.SPEC,
        ldam.SPEC,
        deferred.SPEC,
        seesaw.SPEC,
        asymmetric.SPEC,
        asymmetric_single_label.SPEC,
        distribution_balanced.SPEC,
        generalized_cross_entropy.SPEC,
        symmetric_cross_entropy.SPEC,
        jensen_shannon.SPEC,
        generalized_jensen_shannon.SPEC,
        quality_focal.SPEC,
        varifocal.SPEC,
        distribution_focal.SPEC,
        ghm.SPEC,
        influence_balanced.SPEC,
    )
}


class LossNameError(ValueError):
    """A string that does not name a loss; the message says where and what was probably meant."""


@dataclass(frozen=True)
class _Call:
    """A parsed call: `arguments` holds numbers, strings, None, tuples and, first, a loss."""

    spec: Spec
    inner: _Call | None
    arguments: dict[str, object]

    def needs(self) -> frozenset[str]:
        inner = self.inner.needs() if self.inner else frozenset()
        return inner | (self.spec.needs - self.arguments.keys())


def names(family: str | None = None) -> tuple[str, ...]:
    """Names of the catalogue, of one family if asked.

    Example:
        >>> names()[:3]
        ('cross_entropy', 'binary_cross_entropy', 'balanced_cross_entropy')
    """
    return tuple(name for name, spec in SPECS.items() if family in (None, spec.family))


def spec(text: str) -> Spec:
    """The SPEC of the (outermost) loss that a string names; a bare name is enough.

    Example:
        >>> spec("poly(epsilon=2)").reference.venue
        'ICLR 2022'
    """
    name = text.strip()
    return SPECS[name] if name in SPECS else _parse(text).spec


def search(word: str) -> tuple[str, ...]:
    """Names of losses whose description mentions a word.

    Example:
        >>> search("effective number")
        ('class_balanced',)
    """
    word = word.lower()
    texts = ((s, " ".join((s.name, s.summary, s.reference.title))) for s in SPECS.values())
    return tuple(s.name for s, text in texts if word in text.lower())


def needs(text: str) -> frozenset[str]:
    """What `get` has to be told about the data for this loss.

    Example:
        >>> needs("class_balanced(cross_entropy)")
        frozenset({'counts'})
    """
    return _parse(text).needs()


def head(text: str) -> str:
    """The classifier layer that a loss is made for: "linear", or "cosine" (`CosineClassifier`).

    Example:
        >>> head("deferred(ldam(max_m=0.3))")
        'cosine'
    """
    call: _Call | None = _parse(text)
    while call is not None:
        if call.spec.head != "linear":
            return call.spec.head
        call = call.inner
    return "linear"


def get(
    text: str,
    *,
    counts: Tensor | Sequence[float] | None = None,
    num_classes: int | None = None,
    num_samples: float | None = None,
) -> nn.Module:
    """The loss that a string names.

    Args:
        text: e.g. "focal(gamma=2)"; parentheses may be left out where there are no arguments.
        counts: training samples per class, for losses that need them.
        num_classes: for losses that keep state per class; the length of `counts` if those are
            given.
        num_samples: what the counts are fractions of, for losses that ask (multi-label data, where
            it is not their sum).

    Returns:
        The loss module; its repr is a string that rebuilds it.

    Raises:
        LossNameError: for anything but a call of a known loss with known, plain arguments.
        ValueError: for a parameter out of its domain.

    Example:
        >>> get("class_balanced(focal(gamma=2), beta=0.99)", counts=[90, 10])
        class_balanced(focal(gamma=2), beta=0.99, counts=[90, 10])
    """
    call = _parse(text)
    if "counts" in call.needs() and counts is None:
        raise LossNameError(
            f"`{call.spec.name}` needs the number of training samples per class. "
            "Fix: get(..., counts=taylored.class_counts(train_targets)), or counts=[...] in the string"
        )
    if num_classes is None and counts is not None:
        num_classes = len(counts)
    if "num_classes" in call.needs() and num_classes is None:
        raise LossNameError(
            f"`{call.spec.name}` needs the number of classes. "
            "Fix: get(..., num_classes=C), or num_classes=C in the string"
        )
    data: dict[str, object] = {
        "counts": counts,
        "num_classes": num_classes,
        "num_samples": num_samples,
    }
    return _build(call, data)


def _build(call: _Call, data: dict[str, object]) -> nn.Module:
    arguments = dict(call.arguments)
    accepted = {parameter.name for parameter in call.spec.accepted}
    for name in call.spec.needs | (accepted & {"num_samples"}):
        arguments.setdefault(name, data[name])
    inner = [] if call.inner is None else [_build(call.inner, data)]
    try:
        return call.spec.module(*inner, **arguments)
    except (TypeError, RuntimeError) as error:  # a word where a number belongs, ragged lists
        domains = "; ".join(f"{p.name}: {p.domain}" for p in call.spec.accepted)
        raise LossNameError(
            f"an argument of {call.spec.name} is of the wrong kind ({error}). Fix: {domains}"
        ) from error


def _parse(text: str) -> _Call:
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
        return _call(ast.parse(text.strip(), mode="eval").body, _short(text))
    except LossNameError:
        raise
    # Python's parser gives up on deep nesting in three different ways.
    except (SyntaxError, ValueError, RecursionError, MemoryError) as error:
        raise LossNameError(unreadable) from error


_INNER_LOSSES = {"none": (0,), "required": (1,), "optional": (0, 1)}

_LONGEST = 1_000_000
"""Characters of a string; counts of a hundred thousand classes fit."""


def _short(text: str) -> str:
    return text if len(text) <= 200 else f"{text[:100]}...{text[-60:]}"


def _call(node: ast.expr, text: str) -> _Call:
    function = node.func if isinstance(node, ast.Call) else node
    if not isinstance(function, ast.Name):
        raise LossNameError(f"cannot read {text!r}. Fix: write a loss like 'focal(gamma=2)'")
    found = SPECS.get(function.id)
    if found is None:
        raise LossNameError(
            f"no loss is called {_short(function.id)!r}.{_nearest(function.id, SPECS)} "
            f"Known: {', '.join(SPECS)}"
        )
    arguments = node if isinstance(node, ast.Call) else ast.Call(function, [], [])
    if len(arguments.args) not in _INNER_LOSSES[found.inner]:
        expected = f"one loss first, '{found.name}(focal(gamma=2), ...)'"
        expected = expected if found.inner != "none" else "named arguments only, 'name=value'"
        raise LossNameError(f"{found.name} in {text!r} takes {expected}")
    allowed = {parameter.name: parameter for parameter in found.accepted}
    values: dict[str, object] = {}
    for keyword in arguments.keywords:
        if keyword.arg not in allowed:
            raise LossNameError(
                f"{found.name} has no parameter {keyword.arg!r}."
                f"{_nearest(keyword.arg or '', allowed)} Known: {', '.join(allowed)}"
            )
        if keyword.arg in values:
            raise LossNameError(f"{found.name} in {text!r} is given {keyword.arg!r} twice")
        value = _value(keyword.value, text)
        if isinstance(value, str) and not isinstance(allowed[keyword.arg].default, str):
            raise LossNameError(
                f"`{keyword.arg}` in {text!r} must be {allowed[keyword.arg].domain}, got {value!r}."
                " Fix: numbers need no quotes"
            )
        values[keyword.arg] = value
    inner = _call(arguments.args[0], text) if arguments.args else None
    return _Call(found, inner, values)


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


def _nearest(name: str, known: Iterable[str]) -> str:
    close = difflib.get_close_matches(name, list(known), n=1, cutoff=0.5)
    return f" Did you mean {close[0]!r}?" if close else ""
