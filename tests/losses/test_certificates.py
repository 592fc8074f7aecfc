"""Every loss of the catalogue has a certificate, or says why not."""

from __future__ import annotations

import pytest

import taylored
from kit.catalogued import CLASSIFICATION
from taylored import catalog
from taylored.certificates.certificate import NAMES

EXAMPLES = [text for spec in CLASSIFICATION.values() for text in spec.examples]
COUNTS = [900, 250, 40, 7, 1]


@pytest.mark.parametrize("text", EXAMPLES)
def test_every_example(text: str) -> None:
    loss = catalog.get(text, counts=COUNTS)
    if loss.outcomes() is None:
        assert not loss.has_term
        with pytest.raises(ValueError, match="function of p_t alone"):
            loss.certificate()
        return
    certificate = loss.certificate()
    assert certificate.link == loss.link
    for term in certificate.terms:
        assert [each.name for each in term.properties] == list(NAMES)
        assert all(each.verdict != "undecided" for each in term.properties)
        assert term["never_rises"].verdict == "proved"
    certificate.check()


def test_losses_with_two_outcomes_say_so() -> None:
    """A rejection term that the engine would use is certified as well."""
    for text in EXAMPLES:
        loss = catalog.get(text, counts=COUNTS)
        rejection = loss.options().rejection
        if rejection is not None:
            terms = loss.outcomes()
            assert terms is not None
            assert repr(terms[1]) == repr(rejection)


def test_the_repr_of_a_loss_is_what_it_is_called() -> None:
    loss = taylored.FocalLoss(gamma=2)
    assert loss.certificate().loss == repr(loss)
