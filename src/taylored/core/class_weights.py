"""Weights per class, from how often each class occurs."""

from __future__ import annotations

import math
import warnings
from typing import NoReturn

import torch
from torch import Tensor

from taylored.core.checks import fail, in_range
from taylored.core.context import has_numbers, values_are_known
from taylored.core.labels import PerClass, in_class_order
from taylored.core.numerics import tensor_of


def effective_number_weights(
    counts: PerClass, beta: float, *, dtype: torch.dtype | None = None
) -> Tensor:
    r"""Class-balanced weights, :math:`w_c \propto (1 - \beta) / (1 - \beta^{n_c})`, of sum C.

    Args:
        counts: samples per class, in the order of the classes or by class label (a dict, a
            `Counter`, `pandas.Series.value_counts()`). A class without samples is given the
            weight of a class with one, with a warning: it has no positives to weigh, but the
            sigmoid link and label smoothing use its column.
        beta: in [0, 1]. 0 weighs all classes alike, 1 by inverse frequency; raising it favours
            rare classes more. The effect begins where n_c nears 1 / (1 - beta).
        dtype: of the result; the default dtype if not given. Arithmetic is in float64.

    Returns:
        (C,) weights with mean one.

    Raises:
        ValueError: for beta outside [0, 1], negative or no counts.

    Example:
        >>> effective_number_weights([1000, 100, 10], beta=0.999)
        tensor([0.0422, 0.2800, 2.6778])

    Reference:
        Cui et al., Class-Balanced Loss Based on Effective Number of Samples, CVPR 2019, equation 6.
    """
    in_range("beta", beta, 0.0, 1.0, "0.9, 0.99, 0.999 and 0.9999 are the published choices")
    n = present_counts(counts)
    if beta == 1.0:
        weights = 1.0 / n
    elif beta == 0.0:
        weights = torch.ones_like(n)
    else:
        # 1 - beta^n without cancellation for beta -> 1.
        weights = (1.0 - beta) / -torch.expm1(n * math.log(beta))
    return _normalised(weights, dtype)


def inverse_frequency_weights(
    counts: PerClass, *, power: float = 1.0, dtype: torch.dtype | None = None
) -> Tensor:
    r"""Weights :math:`w_c \propto n_c^{-\text{power}}`, of sum C.

    Args:
        counts: samples per class; a class without samples counts as one, with a warning.
        power: >= 0. 0 weighs all alike, 0.5 is the square-root rule, 1 balances the classes fully;
            raising it favours rare classes more.
        dtype: of the result; the default dtype if not given.

    Returns:
        (C,) weights with mean one.

    Raises:
        ValueError: for a negative power, negative or no counts.

    Example:
        >>> inverse_frequency_weights([100, 25], power=0.5)
        tensor([0.6667, 1.3333])
    """
    in_range("power", power, 0.0, math.inf, "0.5 and 1 are usual", interval="[)")
    return _normalised(present_counts(counts) ** -power, dtype)


def log_prior(counts: PerClass, *, dtype: torch.dtype | None = None) -> Tensor:
    """Log of each class's share of the samples; a class without samples counts as one, and warns.

    Args:
        counts: samples per class.
        dtype: of the result; the default dtype if not given. Arithmetic is in float64.

    Returns:
        (C,) numbers <= 0 whose exponentials sum to one, always finite.

    Example:
        >>> log_prior([75, 25])
        tensor([-0.2877, -1.3863])
    """
    inverse = inverse_frequency_weights(counts, dtype=torch.float64)
    return torch.log_softmax(-torch.log(inverse), dim=0).to(dtype or torch.get_default_dtype())


def balance_alpha(positives: PerClass, total: float, *, dtype: torch.dtype | None = None) -> Tensor:
    r"""The alpha per class at which positives and negatives weigh the same, the negatives' share.

    Args:
        positives: positive samples per class.
        total: number of samples (positions); raising it raises alpha.
        dtype: of the result; the default dtype if not given.

    Returns:
        (C,) numbers in [0, 1].

    Raises:
        ValueError: if a count exceeds `total`.

    Example:
        >>> balance_alpha([10, 50], total=100)
        tensor([0.9000, 0.5000])

    Reference:
        Lin et al., Focal Loss for Dense Object Detection, ICCV 2017, section 3.1 (inverse class
        frequency).
    """
    n = _numbers("positives", positives)
    if bool((n < 0).any()) or bool((n > total).any()):
        fail("positives", f"counts in [0, {total:g}]", n.tolist()[:5], "count over the same data")
    return (1.0 - n / total).to(dtype or torch.get_default_dtype())


def check_counts(counts: PerClass) -> Tensor:
    """Counts in float64; refuse what cannot be counts. Zeros are allowed.

    They are on the CPU, where their values are looked at; a compiler sees them where they are.
    """
    n = _numbers("counts", counts)
    if n.dim() != 1 or n.numel() == 0:
        _refuse_counts(counts)
    if not (values_are_known() and has_numbers(n)):  # a module has checked them when it was built
        return n
    n = n.cpu()
    if not bool((n >= 0).all()) or bool(n.isinf().any()):
        _refuse_counts(counts)
    return n


def _numbers(name: str, given: PerClass) -> Tensor:
    """The numbers in the order of the classes, in float64."""
    listed = in_class_order(name, given, gaps=True)
    try:
        return tensor_of(listed, torch.float64)
    except (TypeError, ValueError):  # words, ragged lists, anything
        fix = "use taylored.class_counts(targets)"
        fail(name, "one number per class", repr(given), fix)


def _refuse_counts(counts: object) -> NoReturn:
    expected = "one finite number >= 0 per class"
    fail("counts", expected, counts, "use taylored.class_counts(targets)")


def present_counts(counts: PerClass) -> Tensor:
    """Counts in float64 with no zeros: a class without samples counts as one, and warns."""
    n = check_counts(counts)
    if values_are_known():
        _refuse_shares(n)
        _warn_of_empty(n)
    return n.clamp_min(1.0)


def _refuse_shares(n: Tensor) -> None:
    """Refuse shares of the samples: as counts they would all be less than one sample."""
    if n.numel() > 1 and bool((n < 1.0).all()) and 0.98 < float(n.sum()) < 1.02:
        fix = "multiply them by the number of samples"
        fail("counts", "numbers of samples", f"shares that sum to {float(n.sum()):g}", fix)


def _warn_of_empty(n: Tensor) -> None:
    empty = (n == 0).nonzero().flatten().tolist()
    if empty:
        shown = ", ".join(map(str, empty[:5])) + (", ..." if len(empty) > 5 else "")
        warnings.warn(
            f"{len(empty)} of {n.numel()} classes have no samples (class {shown}); each is "
            "weighted as if it had one",
            stacklevel=4,
        )


def _normalised(weights: Tensor, dtype: torch.dtype | None) -> Tensor:
    return (weights * (weights.numel() / weights.sum())).to(dtype or torch.get_default_dtype())
