"""Every example of every loss that gives one value per position, by what its class declares."""

from __future__ import annotations

import math

import pytest
import torch

from kit.checks import direct as checks
from kit.direct import ALONE, EXAMPLES, FIRST, FIRST_OF_KIND, SAME, SHAPED, Direct
from kit.turns import by_family
from taylored import catalog

each_shape = pytest.mark.parametrize("case", SHAPED, ids=str)
each_example = pytest.mark.parametrize("case", EXAMPLES, ids=str)
each_loss = pytest.mark.parametrize("case", FIRST, ids=str)


@each_shape
def test_value(case: Direct) -> None:
    checks.check_value(case)


@each_example
def test_function(case: Direct) -> None:
    checks.check_function(case)


@each_example
def test_derivatives(case: Direct) -> None:
    checks.check_derivatives(case)


@pytest.mark.parametrize(("case", "other"), SAME, ids=str)
def test_identities(case: Direct, other: Direct) -> None:
    checks.check_identity(case, other)


@pytest.mark.parametrize("dtype", [torch.float16, torch.bfloat16])
@each_example
def test_half(case: Direct, dtype: torch.dtype) -> None:
    checks.check_half(case, dtype)


@pytest.mark.parametrize("case", ALONE, ids=str)
def test_weights(case: Direct) -> None:
    checks.check_weights(case)


@each_example
def test_what_counts_for_nothing(case: Direct) -> None:
    checks.check_what_counts_for_nothing(case)


@each_loss
def test_normalizer(case: Direct) -> None:
    checks.check_normalizer(case)


@each_example
def test_nothing(case: Direct) -> None:
    checks.check_nothing(case)


@each_example
def test_inputs_stay(case: Direct) -> None:
    checks.check_inputs_stay(case)


@each_loss
def test_refused(case: Direct) -> None:
    checks.check_refused(case)


@pytest.mark.parametrize("case", [each for each in FIRST if each in ALONE], ids=str)
def test_transforms(case: Direct) -> None:
    checks.check_transforms(case)


@by_family
@each_loss
def test_compiled(case: Direct) -> None:
    """Traced as a compiler sees it, and for one loss of each kind with its backward."""
    checks.check_compiled(case, "aot_eager" if case in FIRST_OF_KIND else "eager")


def test_counts_of_zero_and_rates_of_zero() -> None:
    loss = catalog.get('poisson_nll(predicts="rate", constant="included", reduction="none")')
    rate, counts = torch.tensor([0.0, 2.0, 0.5]), torch.tensor([0.0, 0.0, 3.0])
    expected = torch.tensor([0.0, 2.0, 0.5 - 3 * math.log(0.5) + math.log(6.0)])
    torch.testing.assert_close(loss(rate, counts), expected)


DOMAINS = [
    ("poisson_nll", ([0.0], [-1.0]), "`target` must be counts >= 0, got -1"),
    ('poisson_nll(predicts="rate")', ([-2.0], [1.0]), "`input` must be rates >= 0, got -2"),
    ("gaussian_nll", ([0.0], [0.0], [-3.0]), "`variance` must be numbers >= 0, got -3"),
    ("kl_divergence", ([[0.0, 0.0]], [[1.5, -0.5]]), r"numbers in \[0, 1\], got -0.5"),
    (
        "kl_divergence",
        ([[0.0, 0.0]], [[0.5, 0.6]]),
        "sum to 1 over .* a sum of 1.1",
    ),
    (
        'kl_divergence(target_form="log_probabilities")',
        ([[0.0, 0.0]], [[0.5, 0.5]]),
        'numbers <= 0, got 0.5. Fix: say what they are, target_form="probabilities"',
    ),
]


@pytest.mark.parametrize(("text", "arguments", "message"), DOMAINS)
def test_numbers_that_the_loss_cannot_mean(
    text: str, arguments: tuple[list[float], ...], message: str
) -> None:
    """They are refused on the CPU, but not where they count for nothing."""
    tensors = [torch.tensor(each) for each in arguments]
    loss = catalog.get(text)
    with pytest.raises(ValueError, match=message):
        loss(*tensors)
    assert loss(*tensors, sample_weight=torch.zeros(1)) == 0


def test_broadcasting_is_refused() -> None:
    """torch's MSELoss compares every pair of (N, 1) with (N,), and warns."""
    with pytest.raises(ValueError, match=r"`target` must be the shape of `input`, \(4, 1\)"):
        catalog.get("mse")(torch.zeros(4, 1), torch.zeros(4))
