"""The terms between -log p and 1 - p: right at both ends of p, in every precision and limit."""

from __future__ import annotations

import mpmath as mp
import pytest
import torch

from taylored import terms
from taylored.core.terms.point import Point
from taylored.core.terms.term import Term

MARGINS = (-700.0, -300.0, -40.0, -20.0, -3.0, -1e-9, 0.0, 1e-4, 5.0, 17.0, 36.0, 100.0, 600.0)
EXPONENTS = (0.0, 1e-300, 1e-16, 1e-14, 1e-6, 0.1, 0.7, 1.0, 3.0)
PIS = (1e-9, 1e-6, 1e-3, 0.1, 0.3, 0.49, 0.5, 0.51, 0.9, 0.999, 1 - 1e-9)


def exact_box_cox(exponent: float, x: mp.mpf) -> mp.mpf:
    log_p = -mp.log1p(mp.exp(-x))
    return -log_p if exponent == 0 else -mp.expm1(mp.mpf(exponent) * log_p) / mp.mpf(exponent)


def exact_jensen_shannon(pi: float, x: mp.mpf) -> mp.mpf:
    c = 1 - mp.mpf(pi)
    p, q = 1 / (1 + mp.exp(-x)), 1 / (1 + mp.exp(x))
    mixture = mp.mpf(pi) + c * p
    parts = -c * p * mp.log1p(mp.exp(-x)) - mixture * mp.log(mixture)
    return q + parts / (-c * mp.log(c))


CASES = [
    *[(terms.box_cox(a), exact_box_cox, a) for a in EXPONENTS],
    *[(terms.jensen_shannon(pi), exact_jensen_shannon, pi) for pi in PIS],
]


@pytest.mark.parametrize("dtype", [torch.float64, torch.float32], ids=["float64", "float32"])
@pytest.mark.parametrize(
    ("term", "exact", "parameter"), CASES, ids=[f"{t!r}-{a:g}" for t, _, a in CASES]
)
def test_value_and_slope_at_any_margin(
    term: Term, exact: object, parameter: float, dtype: torch.dtype
) -> None:
    """Relative to the value itself, down to the smallest number of the type."""
    margins = torch.tensor(MARGINS, dtype=dtype)
    values, slopes = term.evaluate_with_slope(Point(margins))
    allowed, tiny = (1e-13, "1e-305") if dtype == torch.float64 else (2e-6, "1e-37")
    with mp.workdps(700):
        for i in range(len(MARGINS)):
            x = mp.mpf(margins[i].item())
            value, slope = exact(parameter, x), -mp.diff(lambda u: exact(parameter, u), x)
            found = mp.mpf(values[i].item())
            assert abs(found - value) <= allowed * abs(value) + mp.mpf(tiny), (MARGINS[i], "value")
            found = mp.mpf(slopes[i].item())
            assert abs(found - slope) <= allowed * abs(slope) + mp.mpf(tiny), (MARGINS[i], "slope")


@pytest.mark.parametrize("term", [t for t, _, _ in CASES], ids=lambda t: repr(t))
def test_finite_to_the_second_derivative_far_out(term: Term) -> None:
    for dtype in (torch.float64, torch.float32):
        x = torch.tensor([-1e4, -104.0, -17.0, 0.0, 17.0, 104.0, 1e4], dtype=dtype)
        x.requires_grad_()
        value = term.evaluate(Point(x))
        (first,) = torch.autograd.grad(value.sum(), x, create_graph=True)
        (second,) = torch.autograd.grad(first.sum(), x)
        for found in (value, first, second):
            assert found.isfinite().all()


def test_limits() -> None:
    p = torch.tensor([1e-3, 0.1, 0.5, 0.9, 0.999], dtype=torch.float64)
    cross_entropy, absolute = terms.nll.value(p), terms.power(1).value(p)
    torch.testing.assert_close(terms.box_cox(1e-12).value(p), cross_entropy, rtol=1e-10, atol=0)
    torch.testing.assert_close(terms.box_cox(1.0).value(p), absolute, rtol=1e-12, atol=0)
    # Their normalisation is logarithmic in 1 - pi: slow on the way to 1 - p.
    torch.testing.assert_close(
        terms.jensen_shannon(1e-9).value(p), cross_entropy, rtol=1e-4, atol=0
    )
    gap = [(terms.jensen_shannon(pi).value(p) - absolute).max() for pi in (0.9, 0.999, 1 - 1e-9)]
    assert gap[0] > gap[1] > gap[2] > 0
    assert gap[2] < 0.05
    for pi in PIS:  # the largest value, at p = 0, is published
        top = terms.jensen_shannon(pi).evaluate(Point(torch.tensor([-1e4]).double())).item()
        with mp.workdps(50):
            expected = 1 + mp.mpf(pi) * mp.log(pi) / ((1 - mp.mpf(pi)) * mp.log(1 - mp.mpf(pi)))
        assert top == pytest.approx(float(expected), rel=1e-9)


def test_gain_of_generalized_cross_entropy_is_a_power_of_p() -> None:
    p = torch.linspace(0.01, 0.99, 9).double()
    torch.testing.assert_close(terms.box_cox(0.7).gain(p), p**0.7, rtol=1e-9, atol=0)


def test_series_at_the_ends_are_those_of_the_limits() -> None:
    order = 6
    harmonic = terms.nll.series(order).coefficients
    assert terms.box_cox(0.0).series(order).coefficients == pytest.approx(harmonic)
    assert terms.jensen_shannon(1e-9).series(order).coefficients == pytest.approx(harmonic)
    assert terms.box_cox(1.0).series(order).coefficients[1:] == (0.0,) * (order - 1)
    rest = terms.jensen_shannon(1 - 1e-9).series(order).coefficients[1:]
    assert max(rest) < 0.05
