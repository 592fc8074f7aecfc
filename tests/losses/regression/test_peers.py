"""Losses of real numbers against torch's and scikit-learn's of the same name."""

from __future__ import annotations

import math

import pytest
import torch
import torch.nn.functional as F
from torch import Tensor

from kit.tolerances import close
from references import Call
from taylored import catalog

G = torch.Generator().manual_seed(0)
X, Y = torch.randn(2, 6, 3, generator=G, dtype=torch.float64)
RATE = torch.rand(6, 3, generator=G, dtype=torch.float64)
COUNTS = torch.randint(0, 5, (6, 3), generator=G).double()
VARIANCE = 0.1 + torch.rand(6, 3, generator=G, dtype=torch.float64)
P, Q = torch.randn(2, 6, 3, generator=G, dtype=torch.float64).softmax(-1)

TORCH = [
    ("l1", F.l1_loss(X, Y)),
    ("mse", F.mse_loss(X, Y)),
    ("huber(delta=0.4)", F.huber_loss(X, Y, delta=0.4)),
    ("smooth_l1(beta=0.4)", F.smooth_l1_loss(X, Y, beta=0.4)),
    ("smooth_l1(beta=0)", F.l1_loss(X, Y)),
]


@pytest.mark.parametrize(("text", "expected"), TORCH, ids=[text for text, _ in TORCH])
def test_torch(text: str, expected: Tensor) -> None:
    close(catalog.get(text)(X, Y), expected)


def test_torch_poisson() -> None:
    close(catalog.get("poisson_nll")(X, COUNTS), F.poisson_nll_loss(X, COUNTS))
    with_rates = F.poisson_nll_loss(RATE, COUNTS, log_input=False, eps=1e-300)
    close(catalog.get('poisson_nll(predicts="rate")')(RATE, COUNTS), with_rates)


def test_torch_gaussian() -> None:
    close(catalog.get("gaussian_nll")(X, Y, VARIANCE), F.gaussian_nll_loss(X, Y, VARIANCE))
    full = F.gaussian_nll_loss(X, Y, VARIANCE, full=True)
    close(catalog.get('gaussian_nll(constant="included")')(X, Y, VARIANCE), full)
    rows = VARIANCE[:, :1]
    expected = F.gaussian_nll_loss(X, Y, rows)
    for form in (rows, rows.squeeze(-1)):
        close(catalog.get("gaussian_nll")(X, Y, form), expected)


def test_torch_kl_divergence() -> None:
    expected = F.kl_div(Q.log(), P, reduction="batchmean")
    close(catalog.get("kl_divergence")(Q.log(), P), expected)
    close(catalog.get('kl_divergence(target_form="log_probabilities")')(Q.log(), P.log()), expected)
    swapped = F.kl_div(P.log(), Q, reduction="batchmean")
    close(catalog.get('kl_divergence(direction="model_to_target")')(Q.log(), P), swapped)
    assert not torch.isclose(expected, swapped)


def test_scikit_learn_pinball() -> None:
    metrics = pytest.importorskip("sklearn.metrics")
    for quantile in (0.1, 0.5, 0.9):
        expected = metrics.mean_pinball_loss(Y.flatten(), X.flatten(), alpha=quantile)
        close(
            catalog.get(f"quantile(quantile={quantile})")(X, Y),
            torch.tensor(expected, dtype=torch.float64),
        )


def test_the_general_robust_loss_has_its_named_points() -> None:
    square = (X - Y) ** 2
    named = {
        2.0: square / 2,
        1.0: (square + 1).sqrt() - 1,
        0.0: torch.log(square / 2 + 1),
        -2.0: 2 * square / (square + 4),
    }
    for alpha, expected in named.items():
        loss = catalog.get(f'general_robust(alpha={alpha}, reduction="none")')
        close(loss(X, Y), expected)
        near = catalog.get(f'general_robust(alpha={min(2.0, alpha + 1e-9)}, reduction="none")')
        close(near(X, Y), expected, 1e-6, 1e-6)


def test_large_errors_are_finite() -> None:
    error = torch.tensor([0.0, 1e-20, 1e4, 1e8, -1e8], requires_grad=True)
    for text in ("log_cosh()", "charbonnier()", "general_robust()", "general_robust(alpha=-3)"):
        loss = catalog.get(Call.of(text).having(reduction="none").text())
        values = loss(error, torch.zeros(5))
        (gradient,) = torch.autograd.grad(values.sum(), error)
        assert values.isfinite().all(), text
        assert gradient.isfinite().all(), text
    expected = (error.abs().sum() - 3 * math.log(2.0)) / 5
    close(catalog.get("log_cosh")(error, torch.zeros(5)), expected, 1e-6)
