"""Weights from class counts."""

from __future__ import annotations

import warnings

import hypothesis.strategies as st
import mpmath as mp
import pytest
import torch
from hypothesis import given

from kit.cases import quickly
from taylored import (
    balance_alpha,
    class_counts,
    effective_number_weights,
    inverse_frequency_weights,
)

SIZES = [120_000, 5000, 300, 12, 1]


@pytest.mark.parametrize("beta", [0.0, 0.5, 0.9, 0.99, 0.999, 0.9999, 1 - 1e-12, 1.0])
def test_effective_number_against_mpmath(beta: float) -> None:
    found = effective_number_weights(SIZES, beta, dtype=torch.float64)
    with mp.workdps(60):
        b = mp.mpf(beta)
        raw = [mp.mpf(1) / n if beta == 1 else (1 - b) / (1 - b**n) for n in SIZES]
        expected = [float(w * len(SIZES) / mp.fsum(raw)) for w in raw]
    torch.testing.assert_close(
        found, torch.tensor(expected, dtype=torch.float64), rtol=1e-10, atol=0
    )


def test_limits_of_beta() -> None:
    assert torch.equal(effective_number_weights(SIZES, 0.0), torch.ones(5))
    near = effective_number_weights(SIZES, 1 - 1e-12, dtype=torch.float64)
    inverse = inverse_frequency_weights(SIZES, dtype=torch.float64)
    torch.testing.assert_close(near, inverse, rtol=1e-6, atol=0)
    torch.testing.assert_close(
        effective_number_weights(SIZES, 1.0, dtype=torch.float64), inverse, rtol=1e-14, atol=0
    )


sizes = st.lists(st.integers(1, 10**7), min_size=1, max_size=30)


@quickly
@given(sizes, st.one_of(st.floats(0, 1), st.just(1 - 1e-12)), st.floats(0, 3))
def test_sum_and_order(ns: list[int], beta: float, power: float) -> None:
    for weights in (
        effective_number_weights(ns, beta, dtype=torch.float64),
        inverse_frequency_weights(ns, power=power, dtype=torch.float64),
    ):
        assert weights.sum().item() == pytest.approx(len(ns), rel=1e-12)
        assert (weights > 0).all()
        order = sorted(range(len(ns)), key=lambda i: ns[i])
        ranked = weights[order]
        assert (ranked.diff() <= 1e-12 * ranked[:-1]).all()  # rarer never weighs less


def test_inverse_frequency() -> None:
    found = inverse_frequency_weights([100, 25], power=0.5, dtype=torch.float64)
    torch.testing.assert_close(found, torch.tensor([2 / 3, 4 / 3], dtype=torch.float64))
    assert torch.equal(inverse_frequency_weights(SIZES, power=0.0), torch.ones(5))


def test_classes_without_samples_count_as_one_and_are_named() -> None:
    for weigh in (lambda n: effective_number_weights(n, 0.99), inverse_frequency_weights):
        with pytest.warns(UserWarning, match=r"2 of 4 classes have no samples \(class 1, 3\)"):
            found = weigh([10, 0, 5, 0])
        torch.testing.assert_close(found, weigh([10, 1, 5, 1]))
    with pytest.warns(UserWarning, match=r"7 of 8 .*class 1, 2, 3, 4, 5, \.\.\.\)"):
        inverse_frequency_weights([3] + [0] * 7)
    with warnings.catch_warnings():
        warnings.simplefilter("error")
        effective_number_weights([1, 2], 0.9)


def test_warning_points_at_the_caller() -> None:
    with pytest.warns(UserWarning) as caught:
        effective_number_weights([1, 0], 0.9)
    assert caught[0].filename == __file__


def test_dtype_of_the_result() -> None:
    assert effective_number_weights(SIZES, 0.9).dtype == torch.get_default_dtype()
    assert effective_number_weights(torch.tensor(SIZES), 0.9, dtype=torch.float16).dtype == (
        torch.float16
    )


@pytest.mark.parametrize(
    ("make", "name"),
    [
        (lambda: effective_number_weights(SIZES, -0.1), "beta"),
        (lambda: effective_number_weights(SIZES, 1.1), "beta"),
        (lambda: effective_number_weights(SIZES, float("nan")), "beta"),
        (lambda: effective_number_weights([], 0.9), "counts"),
        (lambda: effective_number_weights([3, -1], 0.9), "counts"),
        (lambda: effective_number_weights([3, float("nan")], 0.9), "counts"),
        (lambda: effective_number_weights([3, float("inf")], 0.9), "counts"),
        (lambda: effective_number_weights([[3, 1]], 0.9), "counts"),
        (lambda: inverse_frequency_weights(SIZES, power=-1.0), "power"),
        (lambda: balance_alpha([5, 11], total=10), "positives"),
        (lambda: balance_alpha([-1], total=10), "positives"),
    ],
)
def test_arguments_out_of_domain(make: object, name: str) -> None:
    with pytest.raises(ValueError, match=f"`{name}` must be .*got .*Fix: "):
        make()


def test_alpha_that_balances() -> None:
    alpha = balance_alpha([10, 50], total=100, dtype=torch.float64)
    torch.testing.assert_close(alpha, torch.tensor([0.9, 0.5], dtype=torch.float64))
    positives = torch.tensor([10.0, 50.0]).double()
    torch.testing.assert_close(alpha * positives, (1 - alpha) * (100 - positives))


def test_counts_of_indices() -> None:
    assert class_counts([0, 0, 2, -100]).tolist() == [2, 0, 1]
    picture = torch.tensor([[1, 1], [3, 255]])
    found = class_counts(picture, num_classes=5, ignore_index=255)
    assert found.tolist() == [0, 2, 0, 1, 0]
    assert class_counts(x % 3 for x in range(7)).tolist() == [3, 2, 2]
    assert class_counts(torch.tensor([1, 2], dtype=torch.uint8)).tolist() == [0, 1, 1]
    assert class_counts([], num_classes=3).tolist() == [0, 0, 0]
    assert class_counts([]).tolist() == []
    assert class_counts([-100]).tolist() == []


def test_counts_of_multi_hot_targets() -> None:
    hot = torch.tensor([[1, 0, 1], [1, 0, 0]])
    assert class_counts(hot.bool()).tolist() == [2, 0, 1]
    assert class_counts(hot.float()).tolist() == [2.0, 0.0, 1.0]
    maps = torch.zeros(2, 3, 4, 4)
    maps[:, 1] = 0.5
    assert class_counts(maps).tolist() == [0, 16, 0]


@pytest.mark.parametrize(
    ("targets", "classes"),
    [([0, -1], None), ([0, 5], 3), ([0.5, 1.0], None), (torch.tensor([True, False]), None)],
)
def test_counts_refuse(targets: object, classes: int | None) -> None:
    with pytest.raises(ValueError, match="`targets` must be .*Fix: "):
        class_counts(targets, num_classes=classes)


def test_bytes_are_not_negative_markers() -> None:
    assert class_counts(torch.tensor([156, 156], dtype=torch.uint8))[156].item() == 2
