"""What every loss can be asked about its guarantees."""

from __future__ import annotations

import abc
import warnings
from typing import TYPE_CHECKING, ClassVar

from taylored.certificates.rising import surely_falls, where_it_rises
from taylored.core.checks import fail
from taylored.core.context import compiling
from taylored.core.plan.options import LinkName
from taylored.core.terms.term import Term

if TYPE_CHECKING:
    from taylored.certificates.certificate import Certificate


class Certified(abc.ABC):
    """A loss whose terms can be certified.

    Attributes:
        falls_if: which parameters let the loss fall with p everywhere, where not all do.
    """

    link: LinkName
    falls_if: ClassVar[str] = ""

    if TYPE_CHECKING:

        @property
        def term(self) -> Term:
            """The loss as a term."""
            ...

        @property
        def has_term(self) -> bool:
            """Whether it is a function of p_t alone, with one term."""
            ...

    def outcomes(self) -> tuple[Term, Term | None] | None:
        """The term, and that of the outcome "no" where it has one of its own.

        None for a loss that is no function of p_t alone.
        """
        return (self.term, None) if self.has_term else None

    def certificate(self) -> Certificate:
        """What is proved about this loss, as it is now.

        It is about the term: weights multiply gain and Lipschitz constant, and a bias or a
        temperature on the logits changes what p_t is the probability of.

        Raises:
            ValueError: for a loss that is no function of p_t alone, of which nothing can be said.

        Example:
            >>> import taylored
            >>> certificate = taylored.FocalLoss(gamma=2).certificate()
            >>> certificate.verdict("order_preserving"), certificate.verdict("proper")
            ('proved', 'disproved')
        """
        from taylored.certificates.certify import certificate_of

        terms = self.outcomes()
        if terms is None:
            fix = "certify a loss whose page in `taylored show` has a `loss of p_t`, or a term"
            fail("loss", "a function of p_t alone", repr(self), fix)
        return certificate_of(*terms, self.link, repr(self))

    def warn_if_rising(self) -> None:
        """Warn where the loss does not fall with p: a better prediction costs more there."""
        terms = None if compiling() else self.outcomes()
        for term in terms or ():
            if term is None or surely_falls(term):
                continue
            interval = where_it_rises(term)
            if interval is None:
                continue
            rule = f" It falls everywhere if {self.falls_if}." if self.falls_if else ""
            warnings.warn(
                f"{self!r} rises with p_t for p_t in {interval}, where a better prediction costs "
                f"more.{rule} `loss.certificate()` has the proof.",
                UserWarning,
                stacklevel=4,  # the line that builds the loss
            )
