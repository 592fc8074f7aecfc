"""Long sums in constant time and memory: against mpmath, and against the sum written out."""

from __future__ import annotations

import math

import mpmath as mp
import pytest
import torch
from hypothesis import given
from hypothesis import strategies as st

from kit.cases import quickly
from taylored import TaylorLoss, taylor_loss, terms, terms_needed
from taylored.core.terms import truncated_sum as module
from taylored.core.terms.point import Point
from taylored.core.terms.truncated_sum import _gauss_legendre, polynomial, truncated_sum

COUNTS = (1, 2, 31, 32, 33, 34, 64, 600, 1000, 10_000)
MARGINS = (-700.0, -60.0, -20.0, -12.0, -9.2, -7.0, -4.6, -2.0, -0.5, 0.0, 1.0, 4.6, 20.0, 300.0)


def exact(q: mp.mpf, count: int) -> mp.mpf:
    total, power = mp.mpf(0), mp.mpf(1)
    for j in range(1, count + 1):
        power *= q
        if power < mp.mpf("1e-340"):
            break
        total += power / j
    return total


@pytest.mark.parametrize("count", COUNTS)
def test_sum_against_mpmath(count: int) -> None:
    at = Point(torch.tensor(MARGINS, dtype=torch.float64))
    found = truncated_sum(at.q, at.log_q, count)
    single = Point(torch.tensor(MARGINS, dtype=torch.float32))
    found_single = truncated_sum(single.q, single.log_q, count)
    with mp.workdps(30):
        for i, margin in enumerate(MARGINS):
            expected = float(exact(1 / (1 + mp.exp(mp.mpf(margin))), count))
            assert found[i].item() == pytest.approx(expected, rel=1e-12, abs=1e-300)
            assert found_single[i].item() == pytest.approx(expected, rel=2e-5, abs=1e-37)


def exact_long(margin: float, count: int) -> mp.mpf:
    """The integral of (1 - t^n) / (1 - t) over [0, q], with 1 - t = e^-s."""
    nll, edge = mp.log1p(mp.exp(-mp.mpf(margin))), mp.log(count)
    cuts = [edge + step for step in (-6, -3, -1, 0, 1, 3, 6, 12)]
    points = [mp.mpf(0), *[cut for cut in cuts if 0 < cut < nll], nll]
    return mp.quad(lambda s: -mp.expm1(count * mp.log1p(-mp.exp(-s))), points)


@pytest.mark.parametrize("count", [10_000, 10_001, 100_000, 1_000_000, 10_000_000])
def test_long_sum_against_mpmath(count: int) -> None:
    margins = (-40.0, -16.1, -14.0, -12.0, -10.0, -8.0, -7.0, -6.0, -5.0, -3.0, 0.0, 3.0)
    at = Point(torch.tensor(margins, dtype=torch.float64))
    found = truncated_sum(at.q, at.log_q, count)
    with mp.workdps(25):
        for i, margin in enumerate(margins):
            expected = float(exact_long(margin, count))
            assert found[i].item() == pytest.approx(expected, rel=1e-12), margin


def test_the_short_rule_would_be_noticed(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(module, "_LONG_RULE", module._RULE)
    with pytest.raises(AssertionError):
        test_long_sum_against_mpmath(1_000_000)


@pytest.mark.parametrize("count", COUNTS)
def test_slope_is_q_times_one_minus_q_to_the_n(count: int) -> None:
    at = Point(torch.tensor(MARGINS, dtype=torch.float64))
    _, slope = terms.truncated(count).evaluate_with_slope(at)
    with mp.workdps(330):
        for i, margin in enumerate(MARGINS):
            q = 1 / (1 + mp.exp(mp.mpf(margin)))
            assert slope[i].item() == pytest.approx(float(q * (1 - q**count)), rel=1e-11)


@quickly
@given(st.integers(1, 3000), st.floats(-15, 15))
def test_one_more_term_adds_one_more_term(count: int, margin: float) -> None:
    at = Point(torch.tensor(margin, dtype=torch.float64))
    step = truncated_sum(at.q, at.log_q, count + 1) - truncated_sum(at.q, at.log_q, count)
    expected = math.exp((count + 1) * at.log_q.item()) / (count + 1)
    assert step.item() == pytest.approx(expected, rel=1e-6, abs=1e-11)


def test_every_count_up_to_200_against_the_sum_written_out() -> None:
    at = Point(torch.linspace(-8, 8, 33, dtype=torch.float64))
    total = torch.zeros_like(at.q)
    for count in range(1, 201):
        total = total + at.q**count / count
        torch.testing.assert_close(
            truncated_sum(at.q, at.log_q, count), total, rtol=1e-12, atol=1e-15
        )


def test_many_terms_approach_cross_entropy() -> None:
    logits = torch.tensor([[0.0, 1.0, 2.0]], dtype=torch.float64)
    target = torch.tensor([0])
    cross_entropy = torch.nn.functional.cross_entropy(logits, target).item()
    gaps = [
        cross_entropy - taylor_loss(logits, target, num_terms=n).item() for n in (1, 10, 100, 1000)
    ]
    assert gaps == sorted(gaps, reverse=True)
    assert 0 <= gaps[-1] + 1e-15 < 1e-14
    assert gaps[0] > 1


@pytest.mark.parametrize("count", [3, 33, 10_000])
@pytest.mark.parametrize("composed", [False, True])
def test_saved_tensors_do_not_grow_with_the_number_of_terms(count: int, composed: bool) -> None:
    def saved(num_terms: int) -> int:
        sizes = []
        logits = torch.randn(16, 8, requires_grad=True)
        weight = torch.ones(8, requires_grad=composed)
        with torch.autograd.graph.saved_tensors_hooks(
            lambda t: (sizes.append(t.numel()), t)[1], lambda t: t
        ):
            taylor_loss(logits, torch.arange(16) % 8, num_terms=num_terms, weight=weight)
        return sum(sizes)

    assert 0 < saved(count) <= saved(2)


def test_ten_thousand_terms_cost_about_what_a_hundred_cost() -> None:
    """Counted in operations, which do not depend on the machine's mood."""
    from torch.utils._python_dispatch import TorchDispatchMode

    class Counting(TorchDispatchMode):
        calls = 0

        def __torch_dispatch__(self, func, types, args=(), kwargs=None):
            self.calls += 1
            return func(*args, **(kwargs or {}))

    def calls(count: int) -> int:
        with Counting() as counting:
            TaylorLoss(num_terms=count)(torch.zeros(4, 3), torch.tensor([0, 1, 2, 0]))
        return counting.calls

    assert calls(10_000) == calls(100)


def test_polynomial_is_horner() -> None:
    q = torch.linspace(0, 1, 7, dtype=torch.float64)
    torch.testing.assert_close(polynomial((1.0, -2.0, 0.5), q), q - 2 * q**2 + 0.5 * q**3)


def test_quadrature_rule() -> None:
    rule = _gauss_legendre(32)
    assert math.fsum(w for _, w in rule) == pytest.approx(2.0, abs=1e-14)
    for degree in (2, 10, 62):
        assert math.fsum(w * x**degree for x, w in rule) == pytest.approx(
            2 / (degree + 1), rel=1e-12
        )
    assert abs(math.fsum(w * x**63 for x, w in rule)) < 1e-14


def test_number_of_terms_of_the_paper() -> None:
    assert terms_needed(0.01, 0.1) == 688


@pytest.mark.parametrize("p", [0.005, 0.05, 0.3, 0.9])
@pytest.mark.parametrize("error", [0.5, 0.1, 1e-3, 1e-8])
def test_terms_needed_against_brute_force(p: float, error: float) -> None:
    """The rest and its derivative stay below the error; one term less breaks the bound."""
    needed = terms_needed(p, error)
    with mp.workdps(30):
        delta, zeta = mp.mpf(p), mp.mpf(error)
        for at in [delta + (1 - delta) * i / 20 for i in range(21)]:
            rest = -mp.log(at) - exact(1 - at, needed)
            assert abs(rest) < zeta
            assert (1 - at) ** needed / at < zeta
        assert (1 - delta) ** (needed - 1) / delta >= zeta
    term = terms.truncated(needed)
    cross_entropy = -math.log(p)
    assert abs(term.value(p).item() - cross_entropy) < error
    assert abs(term.gain(p).item() - 1.0) / p < error


@quickly
@given(st.floats(1e-6, 0.999), st.floats(1e-12, 0.999))
def test_terms_needed_is_the_smallest_that_satisfies_the_bound(p: float, error: float) -> None:
    needed = terms_needed(p, error)
    with mp.workdps(30):
        q = 1 - mp.mpf(p)
        assert q**needed < mp.mpf(p) * mp.mpf(error) * (1 + mp.mpf("1e-9"))
        assert q ** (needed - 1) > mp.mpf(p) * mp.mpf(error) * (1 - mp.mpf("1e-9"))


@pytest.mark.parametrize(
    ("p", "error", "name"),
    [(0.0, 0.1, "p"), (1.0, 0.1, "p"), (0.1, 0.0, "error"), (0.1, 1.0, "error"),
     (float("nan"), 0.1, "p")],
)  # fmt: skip
def test_terms_needed_refuses(p: float, error: float, name: str) -> None:
    with pytest.raises(ValueError, match=rf"`{name}` must be in \(0, 1\).*Fix"):
        terms_needed(p, error)
