"""Certificates of losses and terms, by their text."""

from __future__ import annotations

from collections.abc import Sequence
from typing import TYPE_CHECKING

from torch import Tensor

from taylored.catalog.lookup import get, needs
from taylored.catalog.parser import LossNameError
from taylored.catalog.term_text import term_of
from taylored.core.checks import fail, one_of
from taylored.core.plan.options import LINK_NAMES, LinkName
from taylored.core.terms.term import Term
from taylored.modules.base import Loss
from taylored.modules.classification import ClassificationLoss

if TYPE_CHECKING:
    from taylored.certificates.certificate import Certificate

_ANY_COUNTS = (2.0, 1.0)
"""Counts for losses that ask for them, and whose terms do not depend on them."""


def certify(
    loss: str | Term | ClassificationLoss,
    *,
    link: LinkName | None = None,
    counts: Tensor | Sequence[float] | None = None,
) -> Certificate:
    """What is proved about a loss, or a term: that it falls, keeps the order, is proper, and so on.

    Every property is proved or disproved, with the steps that re-check it: no plots, no samples.
    `docs/certificates.md` says what each means.

    Args:
        loss: a loss, a term, or the text of either, "focal(gamma=2)" or "power(2) * nll".
        link: "softmax" or "sigmoid"; that of the loss if left out, and softmax for a term.
        counts: training samples per class, for losses whose terms depend on them. A text that
            leaves them out is certified with counts of 2 and 1.

    Raises:
        ValueError: for a text that names neither, for a loss that is no function of p_t alone, and
            for a link that the loss does not have.

    Example:
        >>> print(certify("power(2)", link="sigmoid"))  # the Brier score
        power(2), sigmoid link
        power(2)
          never rises with p                         yes       no coefficient of ... is negative
          falls strictly with p                      yes       no coefficient of ... is negative
          order preserving, calibrated               yes       no coefficient of ... is negative
          strictly proper                            yes       an identity
          bounded                                    yes       at most 1 for p -> 0
          symmetric: tolerant of uniform label noise no        ...
          largest gain                               finite    0.5
          Lipschitz in the logits                    finite    0.2963, of the loss in its logit
          convex in the margin                       no        ...
    """
    if link is not None:
        one_of("link", link, LINK_NAMES)
    found = _read(loss, counts) if isinstance(loss, str) else loss
    if isinstance(found, Term):
        from taylored.certificates.certify import certificate_of

        return certificate_of(found, None, link or "softmax")
    if not isinstance(found, ClassificationLoss):
        fail("loss", "a loss, a term or its text", type(loss).__name__, "see taylored.catalog")
    if link is not None and link != found.link:
        fix = f'write link="{link}" in the loss, where it has that parameter'
        fail("link", f"that of the loss, {found.link!r}", repr(link), fix)
    return found.certificate()


def _read(text: str, counts: Tensor | Sequence[float] | None) -> Loss | Term:
    try:
        asked = needs(text)
    except LossNameError as error:
        term = term_of(text)
        if term is None:
            raise error from None
        return term
    return get(text, counts=_ANY_COUNTS if asked and counts is None else counts)
