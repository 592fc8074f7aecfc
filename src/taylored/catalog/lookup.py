"""Asking the catalogue: names, descriptions, and losses built from strings."""

from __future__ import annotations

from collections.abc import Mapping

from taylored.catalog.parser import KNOWN, LossCall, LossNameError, parse
from taylored.catalog.table import SPECS
from taylored.core.labels import PerClass, in_class_order
from taylored.modules.base import Loss
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
    return KNOWN[name] if name in KNOWN else parse(text).spec


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
        text: e.g. "focal(gamma=2)"; parentheses may be left out where there are no arguments. The
            repr of a loss is such a string too.
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
    call = parse(text)
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
    for name in sorted(call.needs()):
        if data[name] is None:
            raise LossNameError(f"`{call.spec.name}` needs {what[name]}. Fix: {fixes[name]}")
    return _built(call, data)


def _built(call: LossCall, data: Mapping[str, object]) -> Loss:
    """The loss of a call, told about the data where it asks and the string does not say."""
    spec = call.spec
    arguments = dict(call.arguments)
    accepted = {parameter.name for parameter in spec.accepted}
    for name in spec.needs | (accepted & {"num_samples"}):
        arguments.setdefault(name, data[name])
    inner = [] if call.inner is None else [_built(call.inner, data)]
    return spec.module(*inner, **arguments)
