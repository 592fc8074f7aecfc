"""Known answers, each from a paper or from a line of calculus."""

from __future__ import annotations

import math

import pytest

import taylored
from taylored import terms
from taylored.certificates.certificate import NAMES

YES, NO = "proved", "disproved"


def verdicts(loss: object, link: str | None = None) -> dict[str, str]:
    certificate = taylored.certify(loss, link=link)
    return {name: certificate.verdict(name) for name in NAMES}


KNOWN = [
    # Gibbs' inequality; the only proper term for softmax.
    ("cross_entropy", None, {"proper": YES, "decreasing": YES, "bounded": NO, "symmetric": NO}),
    ("2.5 * nll", "softmax", {"proper": YES, "convex_in_margin": YES}),
    # Charoenphakdee et al. 2021: focal loss is calibrated and not strictly proper.
    ("focal(gamma=2)", None, {"decreasing": YES, "order_preserving": YES, "proper": NO}),
    ("focal(gamma=5)", None, {"decreasing": YES, "order_preserving": YES, "proper": NO}),
    ('focal(gamma=2, link="sigmoid")', None, {"order_preserving": YES, "proper": NO}),
    # The gain of Poly-1 is 1 + epsilon p; its second derivative in the margin has the sign of
    # 1 + epsilon (1 - 2 q).
    ("poly(epsilon=-0.9)", None, {"decreasing": YES, "order_preserving": YES, "proper": NO}),
    ("poly(epsilon=-1)", None, {"decreasing": YES, "convex_in_margin": YES}),
    ("poly(epsilon=1)", None, {"convex_in_margin": YES}),
    ("poly(epsilon=1.01)", None, {"convex_in_margin": NO, "order_preserving": YES}),
    ("nll - 1.01 * power(1)", None, {"never_rises": NO, "order_preserving": NO}),
    # q^2 (-log p) - q^3 = q^4 / 2 + ..., but not with one power less.
    ("poly(epsilon=-1, gamma=2)", None, {"decreasing": YES, "order_preserving": YES}),
    ("power(2) * nll - power(2)", None, {"never_rises": NO}),
    # A coefficient below -1/j may be made up for.
    ("poly(epsilon=[2, -0.6])", None, {"decreasing": YES, "order_preserving": NO}),
    # The Brier score.
    ("power(2)", "sigmoid", {"proper": YES, "symmetric": NO, "bounded": YES}),
    ("power(2)", "softmax", {"proper": NO, "order_preserving": YES}),
    ("nll + 3 * power(2)", "sigmoid", {"proper": YES}),
    ("nll + 3 * power(2)", "softmax", {"proper": NO}),
    # Ghosh et al. 2017: the mean absolute error.
    ("power(1)", "softmax", {"symmetric": YES, "order_preserving": NO, "decreasing": YES}),
    ("box_cox(1)", "softmax", {"symmetric": YES, "order_preserving": NO, "bounded": YES}),
    ("truncated(1)", "sigmoid", {"symmetric": YES, "proper": NO}),
    # phi' = 3 q (q - 1) is the same at p and at 1 - p.
    ("1.5 * power(2) - power(3)", "sigmoid", {"symmetric": YES, "decreasing": YES}),
    ("1.5 * power(2) - power(3)", "softmax", {"symmetric": NO, "order_preserving": NO}),
    ("truncated(2)", None, {"decreasing": YES, "order_preserving": YES, "bounded": YES}),
    ("truncated(10000000)", None, {"decreasing": YES, "order_preserving": YES, "bounded": YES}),
    ("box_cox(0.7)", None, {"order_preserving": YES, "bounded": YES, "convex_in_margin": NO}),
    ("box_cox(1.5)", None, {"decreasing": YES, "order_preserving": NO}),
    ("jensen_shannon(0.5)", None, {"order_preserving": YES, "bounded": YES, "symmetric": NO}),
    # Flat where it is clipped.
    ("clipped_focal(2, 0.1)", None, {"never_rises": YES, "decreasing": NO, "bounded": YES}),
    # 1 / p^2 - (e^m - 1)^2 / (...)^2 is negative at p = 1 from a margin of log 2 on.
    ("shifted(nll, 0.69)", None, {"order_preserving": YES, "convex_in_margin": YES}),
    ("shifted(nll, 0.7)", None, {"order_preserving": NO, "convex_in_margin": YES}),
    ("(constant(1) - power(1)) * nll", None, {"bounded": YES, "never_rises": NO}),
    ("nll * nll", None, {"gain": NO, "lipschitz": NO, "decreasing": YES}),
    ("power(0.5)", None, {"gain": NO, "lipschitz": YES, "order_preserving": NO}),
    ("constant(2)", None, {"never_rises": YES, "decreasing": NO, "symmetric": YES, "proper": NO}),
    ("nll - nll", None, {"decreasing": NO}),
    # Double roots and common fractions of powers are exact.
    ("series([1, -2, 1.3333333333333333])", None, {"never_rises": YES, "decreasing": YES}),
    ("power(0.5) - 0.3 * power(1.1)", None, {"decreasing": YES}),
]


@pytest.mark.parametrize(("text", "link", "known"), KNOWN, ids=lambda each: str(each)[:50])
def test_known(text: str, link: str | None, known: dict[str, str]) -> None:
    found = verdicts(text, link)
    assert {name: found[name] for name in known} == known
    taylored.certify(text, link=link).check()


@pytest.mark.parametrize(
    ("text", "gain", "pull"),
    [
        ("nll", 1.0, 1.0),
        ("power(1)", 1.0, 0.25),
        ("power(2)", 0.5, 8 / 27),  # 2 p q and 2 p q^2
        ("nll + 2 * power(1)", 3.0, 9 / 8),  # 1 + 2 p and q (1 + 2 p)
        ("box_cox(0.5)", 1.0, 2 / (3 * math.sqrt(3))),  # q p^0.5 at p = 1/3
    ],
)
def test_sizes(text: str, gain: float, pull: float) -> None:
    for link, factor in (("sigmoid", 1.0), ("softmax", math.sqrt(2.0))):
        term = taylored.certify(text, link=link).terms[0]
        for name, size in (("gain", gain), ("lipschitz", pull)):
            proof = term[name].proof
            assert proof["lower"] <= size * (1 + 1e-12)
            assert size * (1 - 1e-12) <= proof["upper"] <= size * (1 + 1e-3)
        line = next(line for line in str(taylored.certify(text, link=link)).splitlines()
                    if "Lipschitz" in line)  # fmt: skip
        shown = float(line.split("finite")[1].split(",")[0].split(" to ")[0])
        assert shown == pytest.approx(factor * pull, rel=1e-3)


def test_convex_where() -> None:
    """Taylor-2: the pull q (1 - q^2) rises with q up to 1 / sqrt(3)."""
    from taylored.certificates.wording import convex_pieces

    proof = taylored.certify("truncated(2)").terms[0]["convex_in_margin"].proof
    ((low, high),) = convex_pieces(proof["where"])
    assert low == pytest.approx(1 - 1 / math.sqrt(3), abs=1e-5)
    assert high == 1.0


def test_a_counter_example_names_where() -> None:
    proof = taylored.certify("nll - 1.5 * power(1)").terms[0]["never_rises"].proof
    side, low, high, sign = proof["cell"][:4]
    p = (low, high) if side == "p" else (1 - high, 1 - low)
    assert sign == "-"
    assert 2 / 3 < p[0] < p[1] < 1  # where the gain 1 - 1.5 p is negative


def test_one_certificate_for_each_class() -> None:
    certificate = taylored.FocalLoss(gamma=[0.0, 2.0, 0.0]).certificate()
    assert [term.applies for term in certificate.terms] == ["classes 0, 2", "class 1"]
    assert [term["proper"].verdict for term in certificate.terms] == [YES, NO]
    assert certificate.verdict("proper") == NO
    certificate.check()


def test_one_certificate_for_each_outcome() -> None:
    certificate = taylored.HillLoss().certificate()
    assert [term.applies for term in certificate.terms] == ["positives", "negatives"]
    assert certificate.terms[1].term == "1.5 * power(2) - power(3)"
    same = taylored.AsymmetricLoss(gamma_positive=0, gamma_negative=0, margin=0).certificate()
    assert {term["proper"].verdict for term in same.terms} == {YES}


def test_terms_objects_and_options() -> None:
    assert taylored.certify(terms.power(2) * terms.nll).link == "softmax"
    loss = taylored.TermLoss(terms.power(2), link="sigmoid")
    assert taylored.certify(loss).verdict("proper") == YES
    loss.link = "softmax"
    assert loss.certificate().verdict("proper") == NO  # as it is now


@pytest.mark.parametrize(
    ("loss", "options", "message"),
    [
        ("ghm", {}, "function of p_t alone"),
        ("foc", {}, "Did you mean 'focal'"),
        ("power(-1)", {}, "`exponent` must be"),
        ("focal(gamma=2)", {"link": "sigmoid"}, "`link` must be"),
        ("nll", {"link": "probit"}, "`link` must be"),
        ("__import__('os')", {}, "no loss is called"),
        (3, {}, "`loss` must be"),
    ],
)
def test_refused(loss: object, options: dict[str, str], message: str) -> None:
    with pytest.raises(ValueError, match=message.replace("(", r"\(")):
        taylored.certify(loss, **options)


def test_a_term_of_the_users_own_is_refused() -> None:

    class Foreign(terms.Term):
        evaluate = evaluate_with_slope = bind = series = lambda self, *given: None
        parameters = tuple

    with pytest.raises(ValueError, match="taylored.terms"):
        taylored.certify(Foreign())
