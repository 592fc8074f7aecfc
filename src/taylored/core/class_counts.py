"""Weights per class, from how often each class occurs."""

from __future__ import annotations

import math
import warnings
from collections.abc import Iterable, Sequence

import torch
from torch import Tensor

from taylored.core.checks import fail, in_range


def class_counts(
    targets: Tensor | Sequence[int] | Iterable[int],
    *,
    num_classes: int | None = None,
    ignore_index: int = -100,
) -> Tensor:
    """How often each class occurs.

    Args:
        targets: class indices of any shape (integer dtype or a sequence of whole numbers), or
            multi-hot / probability targets (N, C, d1, ...) with bool or floating dtype, whose
            columns are summed.
        num_classes: length of the result for indices; by default the largest class plus one.
        ignore_index: indices that are not counted.

    Returns:
        (C,) whole numbers (int64), or float sums for floating-point targets.

    Raises:
        ValueError: for indices outside 0..num_classes - 1.

    Example:
        >>> class_counts([0, 0, 2, -100])
        tensor([2, 0, 1])
    """
    values = targets if isinstance(targets, Tensor) else torch.as_tensor(list(targets))
    if values.dtype == torch.bool or (values.is_floating_point() and values.numel() > 0):
        if values.dim() < 2:
            fail(
                "targets",
                "class indices (integer dtype), or multi-hot with classes on axis 1",
                f"shape {tuple(values.shape)}, dtype {values.dtype}",
                "use targets.long() for class indices",
            )
        return values.movedim(1, -1).flatten(0, -2).sum(0)
    whole = values.long()  # compared as bytes, -100 would be 156
    kept = whole[whole != ignore_index]
    size = num_classes or (int(kept.max()) + 1 if kept.numel() else 0)
    if kept.numel() and (int(kept.min()) < 0 or int(kept.max()) >= size):
        wrong = int(kept.min()) if int(kept.min()) < 0 else int(kept.max())
        fail("targets", f"classes in 0..{size - 1}", wrong, "raise `num_classes`, or relabel")
    return torch.bincount(kept, minlength=size)


def effective_number_weights(
    counts: Tensor | Sequence[float], beta: float, *, dtype: torch.dtype | None = None
) -> Tensor:
    r"""Class-balanced weights, :math:`w_c \propto (1 - \beta) / (1 - \beta^{n_c})`, of sum C.

    Args:
        counts: samples per class. A class without samples is given the weight of a class with
            one, with a warning: it has no positives to weigh, but the sigmoid link and label
            smoothing use its column.
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
    counts: Tensor | Sequence[float], *, power: float = 1.0, dtype: torch.dtype | None = None
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


def log_prior(counts: Tensor | Sequence[float], *, dtype: torch.dtype | None = None) -> Tensor:
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


def balance_alpha(
    positives: Tensor | Sequence[float], total: float, *, dtype: torch.dtype | None = None
) -> Tensor:
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
    n = torch.as_tensor(positives).double()
    if bool((n < 0).any()) or bool((n > total).any()):
        fail("positives", f"counts in [0, {total:g}]", n.tolist()[:5], "count over the same data")
    return (1.0 - n / total).to(dtype or torch.get_default_dtype())


def check_counts(counts: Tensor | Sequence[float]) -> Tensor:
    """Counts in float64 on the CPU; refuse what cannot be counts. Zeros are allowed."""
    n = torch.as_tensor(counts).double().cpu()
    if n.dim() != 1 or n.numel() == 0 or not bool((n >= 0).all()) or bool(n.isinf().any()):
        fail(
            "counts",
            "one finite number >= 0 per class",
            counts,
            "use taylored.class_counts(targets)",
        )
    return n


def present_counts(counts: Tensor | Sequence[float]) -> Tensor:
    """Counts in float64 with no zeros: a class without samples counts as one, and warns."""
    n = check_counts(counts)
    empty = (n == 0).nonzero().flatten().tolist()
    if empty:
        shown = ", ".join(map(str, empty[:5])) + (", ..." if len(empty) > 5 else "")
        warnings.warn(
            f"{len(empty)} of {n.numel()} classes have no samples (class {shown}); each is "
            "weighted as if it had one",
            stacklevel=3,
        )
    return n.clamp_min(1.0)


def _normalised(weights: Tensor, dtype: torch.dtype | None) -> Tensor:
    return (weights * (weights.numel() / weights.sum())).to(dtype or torch.get_default_dtype())
