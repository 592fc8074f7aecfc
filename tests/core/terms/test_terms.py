"""The algebra: value, gain and series of every term against mpmath, and the rules of calculus."""

from __future__ import annotations

import hypothesis.strategies as st
import mpmath as mp
import pytest
import torch
from hypothesis import given

import taylored
from kit.cases import quickly
from taylored import PolyLoss, terms
from taylored.core.terms.elementary import Power
from taylored.core.terms.point import Point
from taylored.core.terms.term import Term

GRID = (1e-6, 0.001, 0.03, 0.25, 0.5, 0.8, 0.97, 0.999, 1 - 1e-9)


def exact_jensen_shannon(pi: float, q: mp.mpf) -> mp.mpf:
    """Divergence of (1, 0) and (p, q) with weights pi and 1 - pi, over its normalisation."""
    pi, p = mp.mpf(pi), 1 - q
    mixture = pi + (1 - pi) * p
    label = -pi * mp.log(mixture)
    predicted = (1 - pi) * (p * mp.log(p / mixture) - q * mp.log(1 - pi))
    return (label + predicted) / (-(1 - pi) * mp.log(1 - pi))


EXPRESSIONS = {
    "-log(p)": (terms.nll, lambda q: -mp.log(1 - q)),
    "(1-p)^2": (terms.power(2), lambda q: q**2),
    "(1-p)": (terms.power(1), lambda q: q),
    "(1-p)^0": (terms.power(0), lambda q: mp.mpf(1)),
    "(1-p)^0.5": (terms.power(0.5), lambda q: mp.sqrt(q)),
    "(1-p)^2.5": (terms.power(2.5), lambda q: q ** mp.mpf(2.5)),
    "3": (terms.constant(3), lambda q: mp.mpf(3)),
    "sum((1-p)^j/j, j=1..7)": (
        terms.truncated(7),
        lambda q: mp.fsum(q**j / j for j in range(1, 8)),
    ),
    "(2*(1-p)^1 + 0*(1-p)^2 + -0.5*(1-p)^3)": (
        terms.series([2, 0, -0.5]),
        lambda q: 2 * q - q**3 / 2,
    ),
    "(1-p)^2 * -log(p)": (terms.power(2) * terms.nll, lambda q: -(q**2) * mp.log(1 - q)),
    "(1-p)^2 * -log(p) + 1.5 * (1-p)^3": (
        terms.power(2) * terms.nll + 1.5 * terms.power(3),
        lambda q: -(q**2) * mp.log(1 - q) + 1.5 * q**3,
    ),
    "2 * (1-p)^0.5 * -log(p)": (
        2 * (terms.power(0.5) * terms.nll),
        lambda q: -2 * mp.sqrt(q) * mp.log(1 - q),
    ),
    "(-log(p) + (1-p)^3) * ((1-p) + 2)": (
        (terms.nll + terms.power(3)) * (terms.power(1) + 2),
        lambda q: (-mp.log(1 - q) + q**3) * (q + 2),
    ),
    "-log(p) + -1 * (1-p)": (terms.nll - terms.power(1), lambda q: -mp.log(1 - q) - q),
    "(1-p^0.7)/0.7": (terms.box_cox(0.7), lambda q: (1 - (1 - q) ** mp.mpf(0.7)) / mp.mpf(0.7)),
    "(1-p^2)/2": (terms.box_cox(2), lambda q: (1 - (1 - q) ** 2) / 2),
    "JS_0.3(p)": (terms.jensen_shannon(0.3), lambda q: exact_jensen_shannon(0.3, q)),
    "JS_0.8(p)": (terms.jensen_shannon(0.8), lambda q: exact_jensen_shannon(0.8, q)),
    "(1-p)^0.5 * (1-p^0.5)/0.5": (
        terms.power(0.5) * terms.box_cox(0.5),
        lambda q: mp.sqrt(q) * (1 - mp.sqrt(1 - q)) * 2,
    ),
}
NAMED = pytest.mark.parametrize("name", EXPRESSIONS)


@NAMED
def test_str_is_the_formula(name: str) -> None:
    assert str(EXPRESSIONS[name][0]) == name


NESTED = {
    "power(2) * nll + 1.5 * power(3)": terms.power(2) * terms.nll + 1.5 * terms.power(3),
    "2 * (3 * nll)": 2 * (3 * terms.nll),
    "2 * nll * power(1)": (2 * terms.nll) * terms.power(1),
    "2 * (nll * power(1))": 2 * (terms.nll * terms.power(1)),
    "nll * (power(1) * power(2))": terms.nll * (terms.power(1) * terms.power(2)),
    "nll + (power(1) + power(2))": terms.nll + (terms.power(1) + terms.power(2)),
    "(nll + power(1)) * (power(2) + constant(1))": (terms.nll + terms.power(1))
    * (terms.power(2) + 1),
    "nll - 0.1 * series([1, 0.25])": terms.nll - 0.1 * terms.series([1.0, 0.25]),
    "power([0, 0.1, 2]) * truncated(3)": terms.power([0.0, 0.1, 2.0]) * terms.truncated(3),
    "shifted(nll, 0.5)": terms.shifted(terms.nll, 0.5),
    "clipped_focal(4, 0.05)": terms.clipped_focal(4, 0.05),
}


@pytest.mark.parametrize("written", NESTED)
def test_repr_keeps_the_order_of_operations(written: str) -> None:
    assert repr(NESTED[written]) == written


@pytest.mark.parametrize("term", [*NESTED.values(), *(term for term, _ in EXPRESSIONS.values())])
def test_repr_builds_the_term_again(term: Term) -> None:
    again = eval(repr(term), vars(terms))  # noqa: S307 - that it can be is the test
    assert repr(again) == repr(term)
    p = torch.tensor([0.1, 0.5, 0.9]).double()
    assert torch.equal(again.value(p), term.value(p))
    assert torch.equal(again.gain(p), term.gain(p))


@NAMED
def test_value_and_gain_against_mpmath(name: str) -> None:
    term, exact = EXPRESSIONS[name]
    grid = torch.tensor(GRID, dtype=torch.float64)
    values, gains = term.value(grid), term.gain(grid)
    assert values.dtype == gains.dtype == torch.float64
    with mp.workdps(50):
        for i, p in enumerate(GRID):
            assert mp.almosteq(values[i].item(), exact(1 - mp.mpf(p)), 1e-7, 1e-14), p
            gain = -p * mp.diff(lambda x: exact(1 - x), mp.mpf(p))
            assert mp.almosteq(gains[i].item(), gain, 1e-7, 1e-14), p


@NAMED
def test_value_and_slope_are_one_thing(name: str) -> None:
    """The slope is minus the derivative of the value in the margin, by autograd, to any order."""
    term = EXPRESSIONS[name][0]
    margin = torch.linspace(-30, 30, 25, dtype=torch.float64).requires_grad_()
    value, slope = term.evaluate_with_slope(Point(margin))
    again = term.evaluate(Point(margin))
    torch.testing.assert_close(value, again, rtol=1e-14, atol=0)
    if again.requires_grad:
        (derivative,) = torch.autograd.grad(again.sum(), margin)
        torch.testing.assert_close(-derivative, slope, rtol=1e-9, atol=1e-15)
        few = margin.detach()[8:17].requires_grad_()
        assert torch.autograd.gradcheck(lambda x: term.evaluate(Point(x)), few)
        assert torch.autograd.gradgradcheck(lambda x: term.evaluate(Point(x)), few)
    else:
        assert (slope == 0).all()


@NAMED
def test_series_sums_to_the_value(name: str) -> None:
    term = EXPRESSIONS[name][0]
    series = term.series(120)
    assert list(series.exponents) == sorted(series.exponents)
    assert len(series) == len(series.coefficients)
    for p in (0.4, 0.7, 0.95):
        assert series(p) == pytest.approx(term.value(p).item(), rel=1e-9)


def test_series_coefficients() -> None:
    focal = (terms.power(0.5) * terms.nll).series(3)
    assert focal.exponents == (1.5, 2.5, 3.5)
    assert focal.coefficients == pytest.approx((1, 1 / 2, 1 / 3))
    poly = taylored.series(PolyLoss(epsilon=[2.0, -0.25]), 4)
    assert poly.exponents == (1, 2, 3, 4)
    assert poly.coefficients == pytest.approx((3, 0.25, 1 / 3, 1 / 4))
    assert len(terms.truncated(3).series(10)) == 3
    # Rounding must not split a power in two.
    split = (terms.power(0.1) * terms.power(0.2) + terms.power(0.3)).series(5)
    assert split.coefficients == (2.0,)


def test_lowest_powers_do_not_depend_on_the_order() -> None:
    product = (terms.power(0.5) + terms.nll) * (terms.nll + terms.series([0, 0, 4.0]))
    few, many = product.series(4), product.series(40)
    assert few.exponents == many.exponents[:4]
    assert few.coefficients == pytest.approx(many.coefficients[:4])


leaves = st.one_of(
    st.just(terms.nll),
    st.floats(0, 4).map(lambda a: terms.power(round(a, 3))),
    st.integers(1, 60).map(terms.truncated),
    st.lists(st.floats(-2, 2), min_size=1, max_size=5).map(terms.series),
    st.floats(-2, 2).map(terms.constant),
    st.floats(0, 2).map(terms.box_cox),
    st.floats(0.01, 0.99).map(terms.jensen_shannon),
)
expressions = st.recursive(
    leaves,
    lambda inner: st.one_of(
        st.tuples(inner, inner).map(lambda ab: ab[0] + ab[1]),
        st.tuples(inner, inner).map(lambda ab: ab[0] * ab[1]),
        st.tuples(st.floats(-2, 2), inner).map(lambda ab: ab[0] * ab[1]),
    ),
    max_leaves=5,
)
probabilities = st.floats(0.01, 0.99)


@quickly
@given(expressions, expressions, probabilities, st.floats(-3, 3))
def test_rules_of_calculus(a: Term, b: Term, p: float, c: float) -> None:
    def same(left: torch.Tensor, right: torch.Tensor) -> None:
        torch.testing.assert_close(left, right, rtol=1e-9, atol=1e-9)

    same((a + b).value(p), a.value(p) + b.value(p))
    same((a + b).gain(p), a.gain(p) + b.gain(p))
    same((a - b).value(p), a.value(p) - b.value(p))
    same((a * b).value(p), a.value(p) * b.value(p))
    same((a * b).gain(p), a.value(p) * b.gain(p) + b.value(p) * a.gain(p))
    same((c * a).value(p), c * a.value(p))
    same((c * a).gain(p), c * a.gain(p))
    same((a * c).gain(p), c * a.gain(p))
    same((a + c).gain(p), a.gain(p))
    same((c + a).value(p), a.value(p) + c)


@quickly
@given(expressions, st.floats(-20, 20))
def test_slope_is_the_derivative_of_the_value(term: Term, x: float) -> None:
    margin = torch.tensor(x, dtype=torch.float64, requires_grad=True)
    value = term.evaluate(Point(margin))
    _, slope = term.evaluate_with_slope(Point(margin.detach()))
    found = torch.zeros_like(margin)
    if value.requires_grad:
        (found,) = torch.autograd.grad(value, margin)
    torch.testing.assert_close(-found, slope, rtol=1e-8, atol=1e-10)


def test_gain_of_cross_entropy_is_one_and_of_poly1_is_one_plus_epsilon_p() -> None:
    p = torch.linspace(0, 1, 11).double()
    torch.testing.assert_close(terms.nll.gain(p), torch.ones_like(p))
    poly = terms.nll + 2.0 * terms.power(1)
    torch.testing.assert_close(poly.gain(p), 1 + 2 * p)
    dropped = terms.truncated(10)
    torch.testing.assert_close(dropped.gain(p), 1 - (1 - p) ** 10)
    assert terms.power(0.5).gain(p).isfinite().all() or p[-1] == 1.0


def test_exponents_per_class() -> None:
    per_class = terms.power([0.0, 0.5, 2.0])
    assert str(per_class) == "(1-p)^[0, 0.5, 2]"
    assert [value.tolist() for value in per_class.parameters()] == [[0.0, 0.5, 2.0]]
    p = torch.tensor([0.3, 0.3, 0.3]).double()
    torch.testing.assert_close(
        per_class.value(p), torch.tensor([1.0, 0.7**0.5, 0.7**2]).double(), rtol=1e-7, atol=0
    )
    with pytest.raises(ValueError, match="one class at a time"):
        per_class.series(3)
    long = str(terms.power([0.0] * 9))
    assert long == "(1-p)^[0, 0, 0, 0, ...]"
    nested = 2 * (per_class * terms.nll) + terms.power([1.0, 2.0, 3.0])
    assert len(nested.parameters()) == 2
    bound = nested.bind(lambda values: values[1])
    assert bound.value(0.4).item() == pytest.approx(
        (2 * (terms.power(0.5) * terms.nll) + terms.power(2.0)).value(0.4).item(), rel=1e-6
    )


def test_whole_exponents_per_class_become_floating_point() -> None:
    term = terms.power(torch.tensor([0, 1, 2]))
    assert isinstance(term, Power)
    assert term.parameters()[0].is_floating_point()


@pytest.mark.parametrize(
    ("make", "name", "value"),
    [
        (lambda: terms.power(-0.1), "exponent", "-0.1"),
        (lambda: terms.power(float("nan")), "exponent", "nan"),
        (lambda: terms.power(float("inf")), "exponent", "inf"),
        (lambda: terms.truncated(0), "count", "0"),
        (lambda: terms.truncated(2.5), "count", "2.5"),
        (lambda: terms.truncated(True), "count", "True"),
        (lambda: terms.series([]), "coefficients", "none"),
        (lambda: terms.box_cox(-0.1), "exponent", "-0.1"),
        (lambda: terms.box_cox(float("nan")), "exponent", "nan"),
        (lambda: terms.jensen_shannon(0.0), "pi", "0.0"),
        (lambda: terms.jensen_shannon(1.0), "pi", "1.0"),
    ],
)
def test_arguments_out_of_domain(make: object, name: str, value: str) -> None:
    with pytest.raises(ValueError, match=f"`{name}`.*got {value}.*Fix: "):
        make()


def test_view_of_a_loss_as_a_series_refuses_other_modules() -> None:
    with pytest.raises(ValueError, match="`loss`.*got MSELoss.*Fix"):
        taylored.series(torch.nn.MSELoss(), 3)
    with pytest.raises(ValueError, match="`order`.*got 0"):
        taylored.series(PolyLoss(), 0)


def test_a_point_far_out_keeps_its_digits() -> None:
    at = Point(torch.tensor([-600.0, -30.0, 30.0, 600.0], dtype=torch.float64))
    torch.testing.assert_close(at.q[2:].log(), at.log_q[2:], rtol=1e-12, atol=0)
    torch.testing.assert_close(at.p[:2].log(), at.log_p[:2], rtol=1e-12, atol=0)
    other = at.complement()
    assert torch.equal(other.p, at.q)
    assert torch.equal(other.log_q, at.log_p)
    _ = at.log_p, at.q
    assert torch.equal(at.complement().log_q, at.log_p)
    assert torch.equal(at.complement().p, at.q)


@pytest.mark.parametrize(("dtype", "tolerance"), [(torch.float64, 1e-12), (torch.float32, 3e-6)])
@NAMED
def test_logarithms_reach_where_the_numbers_underflow(
    name: str, dtype: torch.dtype, tolerance: float
) -> None:
    """Of value and slope, at margins where float32 and even float64 have lost q, or p."""
    term, exact = EXPRESSIONS[name]
    with mp.workdps(700):
        for margin in (-300.0, -95.0, -30.0, -5.0, -0.5, 0.25, 4.0, 15.0, 21.0, 30.0, 95.0, 300.0):
            q = 1 / (1 + mp.exp(mp.mpf(margin)))
            step = q * (1 - q) * mp.mpf(10) ** -30
            slope = q * (1 - q) * (exact(q + step) - exact(q - step)) / (2 * step)
            value, steepness = term.logarithms(Point(torch.tensor(margin, dtype=dtype)))
            pairs = [(value, exact(q)), (steepness, slope)]
            if name == "-log(p) + -1 * (1-p)":  # whose value cancels, as it does without logarithms
                pairs = pairs[1:]
            for got, expected in pairs:
                if expected == 0:
                    assert got.sign == 0
                    continue
                log = float(mp.log(abs(expected)))
                assert float(got.sign) == float(mp.sign(expected)), (margin, got)
                assert abs(float(got.log) - log) <= tolerance * max(1.0, abs(log)), (margin, got)
