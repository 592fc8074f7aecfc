"""What a loss does with the outputs of a model: where they are, and who gets its gradient."""

from __future__ import annotations

import copy
from collections.abc import Sequence
from dataclasses import asdict, dataclass
from typing import Any

import torch
import torch.nn.functional as F
from torch import Tensor

from taylored.analysis.named import LossFunction
from taylored.catalog.lookup import get, needs
from taylored.catalog.parser import LossNameError
from taylored.catalog.term_text import term_of
from taylored.core.checks import fail
from taylored.explain.subject import Subject, quiet
from taylored.losses.classification.term import TermLoss
from taylored.modules.base import Loss
from taylored.modules.classification import ClassificationLoss
from taylored.own import is_reference, own_loss

BINS = 10
"""Of p_t, equally wide."""


@dataclass(frozen=True, eq=False)
class Outputs:
    """What a model gave for some data, and the truth.

    Args:
        logits: (N, C), finite.
        target: class indices (N,), or 0 and 1 (N, C) for the sigmoid link.
        groups: a name for each class ("head", "tail", ...), whose shares are wanted; or None.

    Raises:
        ValueError: for other shapes, logits that are not finite, classes without a column.
    """

    logits: Tensor
    target: Tensor
    groups: Sequence[str] | None = None

    def __post_init__(self) -> None:
        z, y = self.logits, self.target
        if z.dim() != 2 or z.shape[1] < 1 or not len(z) or not bool(z.isfinite().all()):
            fail("logits", "finite numbers (N, C)", f"shape {tuple(z.shape)}", "pass raw outputs")
        if y.shape not in (z.shape, z.shape[:1]):
            expected = f"class indices ({len(z)},), or 0 and 1 {tuple(z.shape)}"
            fail("target", expected, f"shape {tuple(y.shape)}", "one truth per row of the logits")
        if y.dim() == 1 and not (int(y.min()) >= 0 and int(y.max()) < z.shape[1]):
            fail("target", f"classes in 0..{z.shape[1] - 1}", f"{int(y.min())}..{int(y.max())}",
                 "leave other rows out")  # fmt: skip
        if self.groups is not None and len(self.groups) != z.shape[1]:
            fail("groups", f"one name for each of {z.shape[1]} classes", len(self.groups),
                 "name them in the order of the columns")  # fmt: skip

    def of_each_class(self) -> list[int]:
        """How many rows each class is true in."""
        single = self.target.dim() == 1
        hot = F.one_hot(self.target.long(), self.logits.shape[1]) if single else self.target
        return [int(count) for count in hot.sum(0).tolist()]


@dataclass(frozen=True)
class OnData:
    """Shares of a loss on the outputs of a model.

    What is counted is rows with the softmax link, and every class of every row with the sigmoid
    link. The size of a gradient is its 1-norm over the logits of what is counted.

    Args:
        counted: how many there are.
        samples: the share of them in each of ten bins of p_t, from 0 to 1.
        gradient: the share of the gradient in each bin.
        groups: for each group of classes, its share of what is counted and of the gradient.
        first: the share of the first polynomial in the pull on the truths; None without a series.

    """

    counted: int
    samples: tuple[float, ...]
    gradient: tuple[float, ...]
    groups: dict[str, tuple[float, float]]
    first: float | None

    def to_dict(self) -> dict[str, Any]:
        """Plain numbers and lists."""
        return asdict(self)

    def sentences(self) -> list[str]:
        """The same in words."""
        half = BINS // 2
        said = [
            f"easy (p_t > 0.5): {sum(self.samples[half:]):.0%} of {self.counted:,}, with "
            f"{sum(self.gradient[half:]):.0%} of the gradient"
        ]
        for group, (part, gradient) in self.groups.items():
            said.append(f"{group}: {part:.0%}, with {gradient:.0%} of the gradient")
        if self.first is not None:
            said.append(f"the first polynomial is {self.first:.0%} of the pull on the truths")
        return said


def on_data(subject: Subject, loss: str | LossFunction, data: Outputs) -> OnData:
    """The shares of a loss, as it is for these classes."""
    z = data.logits.detach().double().requires_grad_()
    function = _for_classes(loss, data, subject)
    dense = data.target.dim() == 2
    target = data.target.to(z.dtype) if dense else data.target.long()
    with quiet():
        (gradient,) = torch.autograd.grad(function(z, target).sum(), z)
    z, size = z.detach(), gradient.abs()
    truth = data.target if dense else F.one_hot(target, z.shape[1])
    if subject.link == "softmax" and not dense:
        p = torch.softmax(z, 1).gather(1, target.unsqueeze(1)).squeeze(1)
        size, classes = size.sum(1), target
    else:
        p = torch.where(truth > 0, z.sigmoid(), (-z).sigmoid()).flatten()
        size, classes = size.flatten(), torch.arange(z.shape[1]).repeat(len(z))
    where = (p * BINS).long().clamp(max=BINS - 1)
    groups = {}
    for group in dict.fromkeys(data.groups or ()):
        mine = torch.tensor([name == group for name in data.groups or ()])[classes]
        groups[group] = (float(mine.double().mean()), _share(size[mine].sum(), size.sum()))
    ones = torch.ones_like(p)
    return OnData(
        counted=len(p),
        samples=_by_bin(where, ones),
        gradient=_by_bin(where, size),
        groups=groups,
        first=_first(function, p),
    )


def _for_classes(loss: str | LossFunction, data: Outputs, subject: Subject) -> LossFunction:
    """A copy of the loss, told about the data if it asks."""
    if not isinstance(loss, str):
        return copy.deepcopy(loss).eval() if isinstance(loss, Loss) else loss
    if is_reference(loss):
        return own_loss(loss).build([max(1, n) for n in data.of_each_class()])
    try:
        asked = needs(loss)
    except LossNameError:
        term = term_of(loss)
        if term is None:
            raise
        return TermLoss(term, link=subject.link)
    told: dict[str, Any] = {"counts": [max(1, n) for n in data.of_each_class()]}
    told["num_classes"] = data.logits.shape[1]
    return get(loss, **told).eval() if asked else get(loss).eval()


def _first(loss: LossFunction, p: Tensor) -> float | None:
    """Pull of the lowest power of q over that of the loss, both summed."""
    if not isinstance(loss, ClassificationLoss) or not loss.has_term or loss.term.parameters():
        return None
    options = loss.options()
    adjusted = (options.logit_scale, options.logit_bias, options.margin)
    if any(slot is not None for slot in adjusted) or options.temperature != 1.0:
        return None  # its p is not that of the outputs
    try:
        series = loss.term.series(4)
    except ValueError:
        return None
    pairs = zip(series.exponents, series.coefficients, strict=True)
    exponent, coefficient = next(((e, c) for e, c in pairs if e > 0), (0.0, 0.0))
    inside = p.clamp(1e-12, 1.0 - 1e-12)
    pull = (1.0 - inside) * loss.term.gain(inside)
    first = coefficient * exponent * inside * (1.0 - inside) ** exponent
    return _share(first.sum(), pull.sum()) if exponent else None


def _by_bin(where: Tensor, size: Tensor) -> tuple[float, ...]:
    sums = torch.zeros(BINS, dtype=size.dtype).index_add_(0, where, size)
    return tuple(_share(each, sums.sum()) for each in sums)


def _share(part: Tensor, whole: Tensor) -> float:
    return float(part / whole) if float(whole) != 0.0 else 0.0
