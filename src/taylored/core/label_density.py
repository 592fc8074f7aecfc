"""How densely real labels lie, and weights from it: class counts and their weights, of numbers."""

from __future__ import annotations

import math
from collections.abc import Sequence
from typing import Literal

import torch
from torch import Tensor

from taylored.core.checks import fail, in_range, one_of
from taylored.core.labels import Array
from taylored.core.numerics import tensor_of

Kernel = Literal["gaussian", "triangular", "laplace"]

_MOST_BINS = 10_000_000


def lds_weights(
    labels: Tensor | Array | Sequence[float],
    *,
    bin_width: float = 1.0,
    kernel: Kernel = "gaussian",
    kernel_size: int = 5,
    sigma: float = 2.0,
    power: float = 1.0,
    dtype: torch.dtype | None = None,
) -> Tensor:
    r"""Weights :math:`w_i \propto \tilde p(y_i)^{-\text{power}}` of real labels, of mean one.

    Label distribution smoothing: :math:`\tilde p` is how often labels fall into a bin, smoothed
    over its neighbours, because a label is learnt from those near it as well. Work them out once,
    of all training labels, and give a batch its part: `MSELoss()(x, y, sample_weight=w[index])`.

    Args:
        labels: real numbers of any shape, those of the whole training set.
        bin_width: width of a bin; raising it counts labels farther apart as the same.
        kernel: how neighbouring bins count: "gaussian", "triangular" or "laplace".
        kernel_size: bins under the kernel, an odd number; raising it smooths more, 1 not at all.
        sigma: width of the "gaussian" and "laplace" kernel, in bins; raising it smooths more.
        power: >= 0. 0 weighs all alike, 0.5 is the square-root rule, 1 inverse density; raising it
            favours rare labels more.
        dtype: of the result; the default dtype if not given. Arithmetic is in float64.

    Returns:
        Weights of the shape of `labels`, with mean one.

    Raises:
        ValueError: for labels that are not finite, or numbers out of their domain.

    Example:
        >>> lds_weights([20.0, 20.0, 20.0, 21.0, 40.0])
        tensor([0.6292, 0.6292, 0.6292, 0.6697, 2.4428])
        >>> lds_weights([20.0, 20.0, 40.0], kernel_size=1, power=0.5)
        tensor([0.8787, 0.8787, 1.2426])

    Reference:
        Yang, Zha, Chen, Wang, Katabi, Delving into Deep Imbalanced Regression, ICML 2021,
        equation 1. The authors' code cuts counts off at 5 and 1000, takes the root of a count
        before it smooths, and reflects its Gaussian at the ends of the window.
    """
    in_range("bin_width", bin_width, 0.0, math.inf, "about what a label is exact to", interval="()")
    in_range("sigma", sigma, 0.0, math.inf, "1 to 3 bins are usual", interval="()")
    in_range("power", power, 0.0, math.inf, "0.5 and 1 are usual", interval="[)")
    given = tensor_of(labels)
    values = given.double()
    if values.numel() == 0 or not bool(values.isfinite().all()):
        got = "none" if values.numel() == 0 else "infinity or NaN"
        fail("labels", "finite numbers, at least one", got, "leave out what has no label")
    # A label like 0.7 is 7 bins of 0.1, but for the last digit of its dtype.
    digit = torch.finfo(given.dtype if given.is_floating_point() else torch.float64).eps
    places = values / bin_width
    bins = torch.floor(places + 4.0 * digit * places.abs())
    bins = bins - bins.min()
    if bins.max() > _MOST_BINS:
        fail("bin_width", f"wide enough for at most {_MOST_BINS} bins", bin_width, "raise it")
    bins = bins.long()
    counts = torch.bincount(bins.flatten()).double()
    window = kernel_window(kernel, kernel_size, sigma).to(counts)
    density = torch.nn.functional.conv1d(
        counts.reshape(1, 1, -1), window.reshape(1, 1, -1), padding=len(window) // 2
    ).flatten()
    weights = density[bins] ** -power
    return (weights / weights.mean()).to(dtype or torch.get_default_dtype())


def kernel_window(kernel: Kernel, kernel_size: int, sigma: float) -> Tensor:
    """How much every bin counts for the one in the middle, which counts as one."""
    one_of("kernel", kernel, ("gaussian", "triangular", "laplace"))
    if isinstance(kernel_size, bool) or not isinstance(kernel_size, int) or kernel_size % 2 != 1:
        fail("kernel_size", "an odd number of bins", repr(kernel_size), "5 and 9 are usual")
    in_range("kernel_size", kernel_size, 1, math.inf, "5 and 9 are usual", interval="[)")
    half = kernel_size // 2
    away = torch.arange(-half, half + 1, dtype=torch.float64, device="cpu").abs()
    if kernel == "gaussian":
        return torch.exp(-0.5 * (away / sigma) ** 2)
    return torch.exp(-away / sigma) if kernel == "laplace" else 1.0 - away / (half + 1)
