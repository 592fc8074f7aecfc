"""Long-tailed labels: balanced MSE and weights by smoothed density against their authors' code."""

from __future__ import annotations

import math

import pytest
import torch
import torch.nn.functional as F
from torch import Tensor, nn

import taylored
from kit.tolerances import close

G = torch.Generator().manual_seed(0)
X, Y = torch.randn(2, 8, 1, generator=G, dtype=torch.float64)


def of_the_authors(pred: Tensor, target: Tensor, noise_sigma: Tensor) -> Tensor:
    """BalancedMSE, loss.py: `bmc_loss`, with the factor kept from the noise."""
    noise = noise_sigma**2
    logits = -(pred - target.T).pow(2) / (2 * noise)
    return F.cross_entropy(logits, torch.arange(len(pred))) * (2 * noise).detach()


def test_the_authors_value_and_gradients() -> None:
    sigma = nn.Parameter(torch.tensor(0.7, dtype=torch.float64))
    loss = taylored.BalancedMSELoss(sigma=sigma)
    assert dict(loss.named_parameters()).keys() == {"sigma"}
    mine, theirs = (X.clone().requires_grad_() for _ in range(2))
    loss(mine, Y).backward()
    found, sigma.grad = sigma.grad, None
    expected = of_the_authors(theirs, Y, sigma)
    expected.backward()
    close(loss(X, Y), expected)
    close(mine.grad, theirs.grad)
    close(found, sigma.grad)


def test_labels_of_weight_0_are_no_rivals() -> None:
    """Whatever they hold; the others have the loss that they have alone."""
    weight = torch.tensor([0.0, 1.0, 2.0, 1.0, 0.0, 1.0, 1.0, 3.0])
    kept = weight > 0
    spoilt, labels = X.clone(), Y.clone()
    spoilt[0], labels[4] = math.nan, math.inf
    for call in (taylored.BalancedMSELoss(reduction="sum"), taylored.balanced_mse_loss):
        given = spoilt.clone().requires_grad_()
        options = {} if isinstance(call, nn.Module) else {"reduction": "sum"}
        value = call(given, labels, sample_weight=weight, **options)
        alone = call(X[kept], Y[kept], sample_weight=weight[kept], **options)
        close(value, alone)
        (gradient,) = torch.autograd.grad(value, given)
        assert (gradient[~kept] == 0).all()
    assert taylored.BalancedMSELoss()(spoilt, labels, sample_weight=torch.zeros(8)) == 0


def test_far_labels_are_finite() -> None:
    x = torch.tensor([1e4, -1e4, 0.0], requires_grad=True)
    value = taylored.balanced_mse_loss(x, torch.tensor([-1e4, 1e4, 0.0]))
    (gradient,) = torch.autograd.grad(value, x)
    assert value.isfinite()
    assert gradient.isfinite().all()
    with pytest.raises(ValueError, match="`sigma` must be one number"):
        taylored.BalancedMSELoss(sigma=[1.0, 2.0])


def test_the_lean_towards_frequent_labels_is_taken_back() -> None:
    """Least squares on noisy inputs shrinks predictions; the balanced optimum does not."""
    generator = torch.Generator().manual_seed(1)
    y = torch.randn(400, generator=generator) * 0.5
    x = y + 0.5 * torch.randn(400, generator=generator)
    slopes = {}
    for loss in (taylored.MSELoss(), taylored.BalancedMSELoss(sigma=0.5)):
        slope = torch.zeros((), requires_grad=True)
        optimizer = torch.optim.LBFGS([slope], max_iter=15)

        def step(loss=loss, slope=slope, optimizer=optimizer) -> Tensor:
            optimizer.zero_grad()
            value = loss(slope * x, y)
            value.backward()
            return value

        optimizer.step(step)
        slopes[type(loss).__name__] = slope.item()
    assert slopes["MSELoss"] == pytest.approx(0.5, abs=0.05)
    assert slopes["BalancedMSELoss"] > 0.8


def lds_of_the_authors(labels: list[int], kernel: str, size: int, sigma: float) -> list[float]:
    """imbalanced-regression, datasets.py and utils.py, for inverse density without its limits."""
    numpy = pytest.importorskip("numpy")
    half = (size - 1) // 2
    away = numpy.abs(numpy.arange(-half, half + 1))
    if kernel == "triangular":  # scipy.signal.windows.triang
        window = 1 - away / (half + 1)
    else:
        window = numpy.exp(-away / sigma) / (2 * sigma)
        window = window / window.max()
    counts = numpy.zeros(121)
    for label in labels:
        counts[label] += 1
    smoothed = numpy.convolve(counts, window, mode="same")
    weights = numpy.float64([1 / smoothed[label] for label in labels])
    return list(weights * len(weights) / weights.sum())


@pytest.mark.parametrize(("kernel", "size", "sigma"), [("triangular", 5, 2), ("laplace", 9, 1.5)])
def test_lds_weights_of_the_authors(kernel: str, size: int, sigma: float) -> None:
    labels = (30 + 8 * torch.randn(200, generator=G)).round().clamp(0, 120).long()
    expected = torch.tensor(lds_of_the_authors(labels.tolist(), kernel, size, sigma))
    found = taylored.lds_weights(
        labels, kernel=kernel, kernel_size=size, sigma=sigma, dtype=torch.float64
    )
    close(found, expected)


def test_lds_weights_without_smoothing_are_inverse_frequencies() -> None:
    labels = torch.tensor([[0.1, 0.3], [0.3, 0.3], [0.9, 0.1]])
    found = taylored.lds_weights(labels, bin_width=0.1, kernel_size=1)
    counts = torch.tensor([[2.0, 3.0], [3.0, 3.0], [1.0, 2.0]])
    close(found, (1 / counts) / (1 / counts).mean(), 1e-6)
    assert torch.equal(taylored.lds_weights(labels, power=0.0), torch.ones(3, 2))
    near = torch.tensor([0.6] * 9 + [0.7], dtype=torch.float64)
    for given in (near, near.float(), near.half(), (10 * near).round().long()):
        width = 0.1 if given.is_floating_point() else 1.0
        alone, smooth = (
            taylored.lds_weights(given, bin_width=width, kernel_size=size) for size in (1, 5)
        )
        close(alone[-1] / alone[0], torch.tensor(9.0), 1e-6)
        assert 1 < smooth[-1] / smooth[0] < 9
        close(smooth.mean(), torch.ones(()), 1e-6)


@pytest.mark.parametrize(
    ("given", "options", "message"),
    [
        ([1.0, math.nan], {}, "`labels` must be finite numbers"),
        ([], {}, "`labels` must be finite numbers, at least one, got none"),
        ([1.0], {"kernel_size": 4}, "`kernel_size` must be an odd number of bins, got 4"),
        ([1.0], {"kernel": "box"}, "`kernel` must be one of"),
        ([0.0, 1e9], {"bin_width": 1e-3}, "`bin_width` must be wide enough"),
        ([1.0], {"sigma": 0.0}, "`sigma` must be in"),
    ],
)
def test_what_lds_weights_refuse(given: list[float], options: dict, message: str) -> None:
    with pytest.raises(ValueError, match=message):
        taylored.lds_weights(given, **options)
