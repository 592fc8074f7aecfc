"""Sums whose leading powers cancel: all their digits, on every path, against mpmath."""

from __future__ import annotations

import gc
import weakref

import mpmath as mp
import pytest
import torch

from kit.executors import PATHS, running
from taylored import TermLoss, terms
from taylored.core.plan import prepare
from taylored.core.terms.point import Point
from taylored.core.terms.power_series import merged
from taylored.core.terms.summands import settled, summands_of
from taylored.core.terms.term import Term

MARGINS = (-30.0, -5.0, -1.2, -1.0, -0.9, 0.0, 0.1, 1.0, 1.2, 3.0, 8.0, 11.8, 20.0, 40.0)
CANCELLING = {
    "poly(-1)": terms.nll - terms.power(1),
    "poly(-0.9)": terms.nll - 0.9 * terms.power(1),
    "two powers": terms.nll - terms.power(1) - 0.5 * terms.power(2),
    "two, and one more": terms.nll - terms.power(1) - 0.5 * terms.power(2) + 3.0 * terms.power(3),
    "of focal": terms.power(2) * terms.nll - terms.power(3),
    "half a power": terms.power(0.5) * terms.nll - terms.power(1.5),
    "in a product": terms.power(1) * (terms.nll - terms.truncated(8)),
    "scaled": 3.0 * (terms.nll - terms.truncated(3)),
    "the other way round": terms.power(1) - terms.nll,
    "polynomials": terms.truncated(5) - terms.power(1),
}


def exact(term: Term, margin: mp.mpf) -> mp.mpf:
    q, nll = 1 / (1 + mp.exp(margin)), mp.log1p(mp.exp(-margin))
    return mp.fsum(c * q ** mp.mpf(e) * nll**k for (k, e), c in exact_summands(term).items())


def exact_summands(term: Term) -> dict[tuple[int, float], mp.mpf]:
    """1/3 in all its digits, where it stands for 1/3."""
    found = summands_of(term)
    assert found is not None
    thirds = {round(float(c), 12): c for j in range(1, 9) for c in (mp.mpf(1) / j, -mp.mpf(1) / j)}
    thirds |= {round(float(3 * c), 12): 3 * c for c in list(thirds.values())}
    return {key: thirds.get(round(c, 12), mp.mpf(c)) for key, c in found.items()}


def check_digits(name: str, path: str, dtype: torch.dtype) -> None:
    term = CANCELLING[name]
    loss = TermLoss(term, reduction="none")
    logits = torch.tensor([[x, 0.0] for x in MARGINS], dtype=dtype, requires_grad=True)
    with running(path):
        value = loss(logits, torch.zeros(len(MARGINS), dtype=torch.long))
        (gradient,) = torch.autograd.grad(value.sum(), logits)
    allowed = 2e-13 if dtype == torch.float64 else 5e-5
    with mp.workdps(400):
        for i in range(len(MARGINS)):
            x = mp.mpf(float(logits.detach()[i, 0]))
            right, slope = exact(term, x), mp.diff(lambda u: exact(term, u), x)
            lost = torch.finfo(dtype).tiny  # below which numbers lose digits, or vanish
            assert abs(value[i].item() - right) <= allowed * abs(right) + lost, MARGINS[i]
            assert abs(gradient[i, 0].item() - slope) <= allowed * abs(slope) + lost, MARGINS[i]


@pytest.mark.parametrize("dtype", [torch.float64, torch.float32], ids=["f64", "f32"])
@pytest.mark.parametrize("path", PATHS)
@pytest.mark.parametrize("name", CANCELLING)
def test_all_digits(name: str, path: str, dtype: torch.dtype) -> None:
    check_digits(name, path, dtype)


@pytest.mark.parametrize("path", ["whole", "blocked", "composed"])
def test_a_sum_as_it_is_written_is_noticed(path: str, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(prepare, "settled", lambda term: term)
    with pytest.raises(AssertionError):
        check_digits("poly(-1)", path, torch.float64)


LONG = {
    "long": (terms.truncated(1000) - terms.power(1), 1000, (1.0,)),
    "just too long": (terms.truncated(33) - terms.power(1), 33, (1.0,)),
    "two powers": (terms.truncated(100) - terms.truncated(2), 100, (1.0, 0.5)),
    "in three parts": (terms.power(1) + (terms.truncated(50) - 2.0 * terms.power(1)), 50, (1.0,)),
    "scaled": (0.5 * (2.0 * terms.truncated(40) - 2.0 * terms.power(1)), 40, (1.0,)),
}


@pytest.mark.parametrize("name", LONG)
def test_long_sums_keep_their_digits(name: str) -> None:
    """Less the first powers, of which as many as are named are taken off."""
    term, count, off = LONG[name]
    margins = torch.tensor([-5.0, -1.0, 0.0, 1.0, 3.0, 8.0, 11.8, 20.0, 40.0], dtype=torch.float64)
    at = Point(margins)
    value, slope = settled(term).evaluate_with_slope(at)
    logs = settled(term).logarithms(at)
    with mp.workdps(60):
        for i, margin in enumerate(margins.tolist()):
            q = 1 / (1 + mp.exp(mp.mpf(margin)))
            left = {j: mp.mpf(1) / j for j in range(1, count + 1)}
            left |= {j: left[j] - mp.mpf(c) for j, c in enumerate(off, start=1)}
            right = mp.fsum(c * q**j for j, c in left.items())
            steep = (1 - q) * mp.fsum(j * c * q**j for j, c in left.items())
            assert abs(value[i].item() - right) <= 2e-12 * abs(right)
            assert abs(slope[i].item() - steep) <= 2e-12 * abs(steep)
            for found, exactly in zip(logs, (right, steep), strict=True):
                assert abs(found.log[i].item() - mp.log(abs(exactly))) <= 1e-10


def test_higher_derivatives() -> None:
    for term in (*CANCELLING.values(), *(term for term, _, _ in LONG.values())):
        logits = torch.randn(4, 3, dtype=torch.float64, requires_grad=True)
        loss = TermLoss(term)
        target = torch.tensor([0, 1, 2, 0])
        assert torch.autograd.gradcheck(
            lambda z, loss=loss, y=target: loss(z, y), (logits,), check_forward_ad=True
        )
        assert torch.autograd.gradgradcheck(lambda z, loss=loss, y=target: loss(z, y), (logits,))


def test_what_does_not_cancel_is_left_alone() -> None:
    for term in (
        terms.nll,
        terms.nll + 2.0 * terms.power(1),
        terms.power(2) * terms.nll + terms.truncated(4),
        terms.box_cox(0.5) - terms.power(1),
        1.5 * terms.power(2) - terms.power(3),
    ):
        assert settled(term) is term


def test_merging_is_exact() -> None:
    skipped, left = merged({(1, 0.0): 1.0, (0, 1.0): -1.0, (0, 2.0): -0.5})
    assert skipped == 2
    assert left == {(1, 0.0): 1.0}


def test_the_series_and_the_summands_are_those_of_what_was_written() -> None:
    written = CANCELLING["two, and one more"]
    term = settled(written)
    assert term is not written
    assert summands_of(term) == pytest.approx({**summands_of(written), (0, 3.0): 3.0})
    ours, theirs = term.series(5), written.series(5)
    kept = [(e, c) for e, c in zip(theirs.exponents, theirs.coefficients, strict=True) if c]
    for exponent, coefficient in kept:
        place = ours.exponents.index(exponent)
        assert ours.coefficients[place] == pytest.approx(coefficient)


def test_terms_are_not_kept_alive() -> None:
    for build in (lambda: terms.nll - terms.power(1), lambda: terms.nll + terms.power(1)):
        term = build()
        alive = weakref.ref(term)
        TermLoss(term)(torch.randn(2, 3), torch.tensor([0, 1]))
        assert settled(term) is settled(term)
        del term
        gc.collect()
        assert alive() is None


def test_a_class_of_its_own_exponent_beside_a_sum_that_cancels() -> None:
    gamma = torch.tensor([0.5, 2.0, 0.0], dtype=torch.float64)
    term = terms.power(gamma) * (terms.nll - terms.power(1))
    logits = torch.tensor([[20.0, 0.0, 0.0]] * 3, dtype=torch.float64)
    for path in PATHS:
        with running(path), torch.no_grad():
            value = TermLoss(term, reduction="none")(logits.roll(1, 1), torch.ones(3).long())
        with mp.workdps(60):
            q = 2 * mp.exp(-20) / (1 + 2 * mp.exp(-20))
            right = q**2 * (-mp.log1p(-q) - q)
        assert value[0].item() == pytest.approx(float(right), rel=1e-12), path
