"""The certificate of a loss, made of those of its terms."""

from __future__ import annotations

import functools
from collections.abc import Iterator

from torch import Tensor

from taylored.certificates.certificate import Certificate, Property, TermCertificate
from taylored.certificates.formula import formula_of
from taylored.certificates.prover.properties import properties_of
from taylored.core.checks import fail
from taylored.core.plan.options import LinkName
from taylored.core.terms.term import Term

_MOST = 256
"""Terms that are certified one by one where every class has its own."""


def certificate_of(
    term: Term, rejection: Term | None, link: LinkName, loss: str = ""
) -> Certificate:
    """The certificate of a term.

    Args:
        term: of the true class, or of the outcome "yes".
        rejection: of the outcome "no", where it has one of its own.
        link: from logits to probabilities.
        loss: what the certificate calls it; the term's text if left out.
    """
    found: dict[tuple[str, str], list[int]] = {}
    terms: dict[tuple[str, str], tuple[Term, Term]] = {}
    for index, pair in _by_class(term, rejection or term):
        key = repr(pair[0]), repr(pair[1])
        found.setdefault(key, []).append(index)
        terms.setdefault(key, pair)
        if len(terms) > _MOST:
            fix = "certify one at a time: taylored.certify(term) of the values you ask about"
            fail("loss", f"one with at most {_MOST} different terms", f"more than {_MOST}", fix)
    entries: list[TermCertificate] = []
    for key, classes in found.items():
        yes, no = terms[key]
        label = "" if len(found) == 1 else _listed(classes)
        if rejection is None:
            entries.append(_entry(label, yes, no, link))
            continue
        space = " of " if label else ""
        entries.append(_entry(f"positives{space}{label}", yes, no, link))
        entries.append(_entry(f"negatives{space}{label}", no, yes, link))
    return Certificate(loss or repr(term), link, tuple(entries))


def _by_class(yes: Term, no: Term) -> Iterator[tuple[int, tuple[Term, Term]]]:
    """The terms of each class; of one, where no parameter is per class."""
    given = [*yes.parameters(), *no.parameters()]
    count = max((parameter.numel() for parameter in given), default=1)
    for index in range(count):
        yield index, (bound(yes, index), bound(no, index)) if given else (yes, no)


def bound(term: Term, index: int) -> Term:
    """A term with the numbers of one class."""

    def pick(values: Tensor) -> Tensor:
        flat = values.detach().reshape(-1)
        return flat[index if flat.numel() > 1 else 0]

    return term.bind(pick)


def _listed(classes: list[int]) -> str:
    shown = ", ".join(str(index) for index in classes[:5])
    more = ", ..." if len(classes) > 5 else ""
    return f"{'class' if len(classes) == 1 else 'classes'} {shown}{more}"


def _entry(label: str, term: Term, opposite: Term, link: LinkName) -> TermCertificate:
    mine, other = _Texted(term), _Texted(opposite) if link == "sigmoid" else None
    text = None if other is None else other.text
    return TermCertificate(label, mine.text, text, _properties(mine, other))


class _Texted:
    """A term that is looked up by its text: terms are compared by identity."""

    def __init__(self, term: Term) -> None:
        self.term, self.text = term, repr(term)

    def __eq__(self, other: object) -> bool:
        return isinstance(other, _Texted) and other.text == self.text

    def __hash__(self) -> int:
        return hash(self.text)


@functools.lru_cache(maxsize=256)
def _properties(term: _Texted, opposite: _Texted | None) -> tuple[Property, ...]:
    formula = formula_of(term.term)
    other = None if opposite is None else formula_of(opposite.term)
    return tuple(
        Property(name, verdict, proof)  # type: ignore[arg-type]
        for name, verdict, proof in properties_of(formula, other)
    )
