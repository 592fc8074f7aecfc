"""What is certified about a loss, with what it takes to re-check it."""

from __future__ import annotations

import json
from dataclasses import dataclass, field
from typing import Any, Literal, get_args

from taylored.certificates.wording import lines_of
from taylored.core.plan.options import LinkName

Verdict = Literal["proved", "disproved", "undecided"]
PropertyName = Literal[
    "never_rises",
    "decreasing",
    "order_preserving",
    "proper",
    "bounded",
    "symmetric",
    "gain",
    "lipschitz",
    "convex_in_margin",
]

NAMES: tuple[PropertyName, ...] = get_args(PropertyName)
"""The properties, in the order in which they are shown."""


class CertificateError(ValueError):
    """A certificate that was not confirmed; the message says which step."""


@dataclass(frozen=True)
class Property:
    """One property of one term.

    Attributes:
        name: which.
        verdict: "proved", "disproved" or "undecided".
        proof: the steps that a checker follows: a partition with enclosures, Sturm's chain,
            coefficients, or a counter-example; the reason where nothing is decided.
    """

    name: PropertyName
    verdict: Verdict
    proof: dict[str, Any] = field(repr=False)


@dataclass(frozen=True)
class TermCertificate:
    """The properties of one term of a loss.

    Attributes:
        applies: which part of the loss the term is: "", a class, or an outcome.
        term: its text, which is what is certified.
        opposite: the term of the opposite outcome, with the sigmoid link; None with softmax.
        properties: one of each name.
    """

    applies: str
    term: str
    opposite: str | None
    properties: tuple[Property, ...]

    def __getitem__(self, name: str) -> Property:
        for each in self.properties:
            if each.name == name:
                return each
        raise KeyError(f"no property is called {name!r}. Fix: use one of {', '.join(NAMES)}")


@dataclass(frozen=True)
class Certificate:
    """What is certified about a loss: properties, verdicts and proofs for each of its terms.

    `print(certificate)` shows it; `check` follows every proof anew, in a program of its own.

    Attributes:
        loss: the loss, or term, as text.
        link: "softmax" or "sigmoid", on which some of the properties depend.
        terms: one entry; more where classes, or the two outcomes, have terms of their own.

    Example:
        >>> import taylored
        >>> certificate = taylored.certify("poly(epsilon=-0.9)")
        >>> certificate.verdict("decreasing"), certificate.verdict("proper")
        ('proved', 'disproved')
        >>> certificate.check()
    """

    loss: str
    link: LinkName
    terms: tuple[TermCertificate, ...]

    def verdict(self, name: PropertyName) -> Verdict:
        """That of a property for all terms together: proved if it is proved for each."""
        found = {term[name].verdict for term in self.terms}
        if "disproved" in found:
            return "disproved"
        return "undecided" if "undecided" in found else "proved"

    def check(self) -> None:
        """Follow every proof with the independent checker.

        Raises:
            CertificateError: if a step of one is not confirmed.
        """
        check(self.to_dict())

    def to_dict(self) -> dict[str, Any]:
        """Plain dictionaries, lists, numbers and strings."""
        terms = []
        for term in self.terms:
            properties = {p.name: {"verdict": p.verdict, "proof": p.proof} for p in term.properties}
            terms.append({"applies": term.applies, "term": term.term, "opposite": term.opposite,
                          "properties": properties})  # fmt: skip
        return {"loss": self.loss, "link": self.link, "terms": terms}

    def to_json(self) -> str:
        """The same as text."""
        return json.dumps(self.to_dict(), allow_nan=False)

    def __str__(self) -> str:
        return "\n".join(lines_of(self.to_dict()))


def check(certificate: dict[str, Any]) -> None:
    """Re-check a certificate as `to_dict` wrote it.

    Raises:
        CertificateError: if a step of a proof is not confirmed.
    """
    from taylored.certificates.checker import faults

    found = faults(certificate)
    if found:
        raise CertificateError("; ".join(found))
