"""Asking the catalogue: names, descriptions, and losses built from strings."""

from __future__ import annotations

from collections.abc import Mapping

from taylored.catalog.parser import KNOWN, LossCall, LossNameError, SumCall, parse
from taylored.catalog.table import SPECS
from taylored.core.labels import PerClass, in_class_order
from taylored.modules.base import Loss, Takes
from taylored.modules.loss_sum import LossSum, takes_of
from taylored.modules.spec import Spec


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
    if name in KNOWN:
        return KNOWN[name]
    call = parse(text)
    if isinstance(call, SumCall):
        raise LossNameError(f"{text!r} is a sum. Fix: ask for one of its losses, {_parts(call)}")
    return call.spec


def links(text: str) -> tuple[str, ...]:
    """The links that a loss, or every part of a sum, can have.

    Example:
        >>> links("focal + binary_cross_entropy")
        ('sigmoid',)
    """
    first, *others = (call.spec.links for call in parse(text).chain())
    return tuple(link for link in first if all(link in other for other in others))


def takes(text: str) -> Takes:
    """What a loss or a sum is called on.

    Example:
        >>> takes("giou"), takes("2.5 * l1 + giou"), takes("focal + poly")
        ('boxes', 'boxes', 'logits')
    """
    call = parse(text)
    if isinstance(call, SumCall):
        return takes_of(part.spec.takes for _, part in call.parts)
    return next(inner.spec.takes for inner in call.chain())


def parts(text: str) -> tuple[tuple[float, str], ...]:
    """Weight and text of every loss of a sum; of a single loss, itself.

    Example:
        >>> parts("dice + 0.5 * focal(gamma=2)"), parts("poly")
        (((1.0, 'dice'), (0.5, 'focal(gamma=2)')), ((1.0, 'poly'),))
    """
    if text.strip() in KNOWN:  # a bare name is enough, also where a loss has to be inside
        return ((1.0, text.strip()),)
    call = parse(text)
    if isinstance(call, LossCall):
        return ((1.0, call.text()),)
    return tuple((weight, part.text()) for weight, part in call.parts)


def formula(text: str) -> str:
    r"""The formula (LaTeX) of a loss or of a sum.

    Example:
        >>> print(formula("focal"))
        -\alpha_t\,(1 - p_t)^{\gamma} \log p_t
    """
    call = parse(text)
    if not isinstance(call, SumCall):
        return call.spec.formula
    parts = [(w, part.spec.formula) for w, part in call.parts]
    return " + ".join(f"({f})" if w == 1 else rf"{w:g}\,({f})" for w, f in parts)


def _parts(call: SumCall) -> str:
    return ", ".join(repr(part.spec.name) for _, part in call.parts)


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
    return parse(text).needs()


def head(text: str) -> str:
    """The classifier layer that a loss is made for: "linear", or "cosine" (`CosineClassifier`).

    Example:
        >>> head("deferred(ldam(max_m=0.3))")
        'cosine'
    """
    heads = (call.spec.head for call in parse(text).chain())
    return next((head for head in heads if head != "linear"), "linear")


def get(
    text: str,
    *,
    counts: PerClass | None = None,
    num_classes: int | None = None,
    num_samples: float | None = None,
) -> Loss:
    """The loss that a string names.

    Args:
        text: e.g. "focal(gamma=2)" or "dice + 0.5 * focal(gamma=2)"; parentheses may be left out
            where there are no arguments. The repr of a loss is such a string too.
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
        ClassBalancedLoss(FocalLoss(gamma=2), beta=0.99, counts=[90, 10])
    """
    parsed = parse(text)
    if counts is not None:
        counts = listed = in_class_order("counts", counts, gaps=True, classes=num_classes)
        if num_classes is None:
            num_classes = len(listed)
    data = {"counts": counts, "num_classes": num_classes, "num_samples": num_samples}
    fixes = {
        "counts": "get(..., counts=taylored.class_counts(targets)), or counts=[...] in the string",
        "num_classes": "get(..., num_classes=C), or num_classes=C in the string",
    }
    what = {
        "counts": "the number of training samples per class",
        "num_classes": "the number of classes",
    }
    for name in sorted(parsed.needs()):
        if data[name] is None:
            asks = next(call.spec.name for call in parsed.chain() if name in call.needs())
            raise LossNameError(f"`{asks}` needs {what[name]}. Fix: {fixes[name]}")
    if isinstance(parsed, SumCall):
        return LossSum([(weight, _built(call, data)) for weight, call in parsed.parts])
    return _built(parsed, data)


def _built(call: LossCall, data: Mapping[str, object]) -> Loss:
    """The loss of a call, told about the data where it asks and the string does not say."""
    spec = call.spec
    arguments = dict(call.arguments)
    accepted = {parameter.name for parameter in spec.accepted}
    for name in spec.needs | (accepted & {"num_samples"}):
        arguments.setdefault(name, data[name])
    inner = [] if call.inner is None else [_built(call.inner, data)]
    return spec.module(*inner, **arguments)
