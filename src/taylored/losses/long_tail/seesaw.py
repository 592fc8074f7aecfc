"""Seesaw loss: rare classes are pushed down less, unless they are mistaken for the truth."""

from __future__ import annotations

import math
from collections.abc import Sequence
from typing import cast

import torch
from torch import Tensor, nn

from taylored.core.checks import check_num_classes, fail, in_range
from taylored.core.inputs.targets import check_indices, check_input, softmax_kind
from taylored.core.plan.options import PerClass, Reduction
from taylored.core.plan.plan import computing_dtype
from taylored.core.state.distributed import summed
from taylored.core.state.held import held
from taylored.core.terms.elementary import nll
from taylored.losses.classification.term import term_loss
from taylored.modules.fields import check_fields
from taylored.modules.priors_old import along, check_fit, class_axis, log_prior, softmax_of
from taylored.modules.spec_old import REQUIRED, Parameter, Reference, Search, Spec, describe, hold

_LOWEST_TRUTH = math.log(1e-2)
"""Log of the probability of the truth below which compensation does not grow, as published."""


def seesaw_bias(logits: Tensor, truth: Tensor, log_counts: Tensor, p: float, q: float) -> Tensor:
    """The log of S, what is added to each logit: 0 at the truth (Wang et al. 2021).

    Args:
        logits: (N, C, d1, ...).
        truth: class of each position, (N, 1, d1, ...).
        log_counts: log of the samples per class, up to a constant, (C,).
        p: exponent of the mitigation min(1, n_j / n_t).
        q: exponent of the compensation max(1, p_j / max(p_t, 0.01)).

    Returns:
        A constant for autograd, in the shape of `logits`.
    """
    with torch.no_grad():
        wide = logits.detach().to(computing_dtype(logits))
        axis = class_axis(logits)
        rank = (p * along(log_counts, logits)).expand(wide.shape)
        # In place, on tensors of our own: these are as large as the logits.
        bias = (rank - rank.gather(axis, truth)).clamp_max_(0.0)
        log_p = torch.log_softmax(wide, dim=axis)
        reached = log_p.gather(axis, truth).clamp_min(_LOWEST_TRUTH)
        return bias.add_(log_p.sub_(reached).clamp_min_(0.0), alpha=q)


class SeesawLoss(nn.Module):
    r"""Seesaw loss, :math:`-\log \left(e^{z_t} / (e^{z_t} + \sum_k S_{tk} e^{z_k})\right)`.

    Every sample of a frequent class pushes the logits of the rare ones down; mitigation,
    :math:`\min(1, n_k / n_t)^p`, weakens that push by the ratio of the counts. Where a wrong class
    is ahead of the truth, compensation, :math:`\max(1, p_k / \max(p_t, 0.01))^q`, strengthens it
    again. S is their product, a constant for the gradient, which is p - y of the adjusted p.

    The counts are given, or counted while training: each training forward with gradients enabled
    adds its targets to `seen` first and then uses it, as published. Evaluation and `no_grad` leave
    it alone. It is in the state dict; under a process group the batches of all ranks are added in
    one collective a forward (none with one process), so every rank has to call the loss, with an
    empty batch if need be. With gradient accumulation each micro-batch counts. Keep the loss
    outside of activation checkpointing, which runs forwards twice.

    Args:
        num_classes: C.
        counts: training samples per class (`taylored.class_counts`); a class without samples counts as
            one, with a warning. None: counted while training, a class not seen yet as one.
        p: exponent of the mitigation, >= 0; raising it spares rare classes more.
        q: exponent of the compensation, >= 0; raising it punishes confusions more.
        weight: one number per class; raising a class's weight favours it.
        ignore_index: positions with this target count for nothing, in `seen` neither. None: off.
        reduction: "none", "sum", "mean" or "batch_mean" (see `FocalLoss`).

    Shape:
        input (N, C, d1, ...) logits; target (N, d1, ...) class indices: S belongs to a single
        truth, for a mixture it would take C of them. The call also takes `sample_weight` and
        `normalizer` (see `FocalLoss`). The adjusted logits are a tensor of their own, kept for
        backward.

    Returns:
        A scalar, or with reduction="none" one value per position, in [0, inf); float32 for
        half-precision logits.

    Raises:
        ValueError: for a parameter out of its domain, or shapes that do not fit.

    Example:
        >>> import torch
        >>> loss = SeesawLoss(num_classes=2)
        >>> logits, truth = torch.zeros(4, 2, requires_grad=True), torch.tensor([0, 0, 0, 1])
        >>> loss(logits, truth)
        tensor(0.4338, grad_fn=...)
        >>> loss.seen
        tensor([3, 1])
        >>> loss.predict(torch.zeros(1, 2))
        tensor([[0.5000, 0.5000]])

    Inference: the plain softmax of the logits, `predict`.

    Differs from:
        mmdetection: SeesawLoss is for detection heads: two more columns judge objectness, with a
            loss of their own, and background rows train only those; here every class is a class.
            Its counts are those of each rank's own samples, ours those of all ranks; it counts in
            evaluation too. Value and gradient on the classes are equal.

    Reference:
        Wang et al., Seesaw Loss for Long-Tailed Instance Segmentation, CVPR 2021, mitigation and
        compensation factors.
    """

    counts: Tensor | None
    log_counts: Tensor | None
    seen: Tensor | None
    weight: Tensor | None

    def __init__(
        self,
        *,
        num_classes: int,
        counts: Tensor | Sequence[float] | None = None,
        p: float = 0.8,
        q: float = 2.0,
        weight: PerClass | None = None,
        ignore_index: int | None = -100,
        reduction: Reduction = "mean",
    ) -> None:
        super().__init__()
        check_num_classes(num_classes)
        for name, value in (("p", p), ("q", q)):
            in_range(name, value, 0.0, math.inf, "0 switches the factor off", interval="[)")
        self.num_classes = num_classes
        self.p = p
        self.q = q
        self.ignore_index = ignore_index
        self.reduction = reduction
        given = None if counts is None else torch.as_tensor(counts)
        if given is not None and given.shape != (num_classes,):
            fail("counts", f"one number per class: shape ({num_classes},)",
                 f"shape {tuple(given.shape)}", "let num_classes=len(counts)")  # fmt: skip
        self.register_buffer("counts", given, persistent=False)
        self.register_buffer("log_counts", None if given is None else log_prior(given))
        # Whole numbers: a float stops counting single samples after 16 million (pixels, say).
        online = torch.zeros(num_classes, dtype=torch.int64) if given is None else None
        self.register_buffer("seen", online)
        hold(self, "weight", weight)
        check_fields(self, self.link)

    @property
    def link(self) -> str:
        """How logits become probabilities."""
        return "softmax"

    def forward(
        self,
        input: Tensor,
        target: Tensor,
        *,
        sample_weight: Tensor | None = None,
        normalizer: float | Tensor | None = None,
    ) -> Tensor:
        """The loss of logits against targets; in training mode the targets are counted."""
        truth, kept = self._truth(input, target)
        if self.seen is not None and self.training and torch.is_grad_enabled():
            self._count(self.seen, truth, kept)
        bias = seesaw_bias(
            input, truth.unsqueeze(class_axis(input)), self._log_counts(input), self.p, self.q
        )
        return term_loss(
            input + bias,
            target,
            nll,
            weight=self.weight,
            ignore_index=self.ignore_index,
            reduction=self.reduction,
            sample_weight=sample_weight,
            normalizer=normalizer,
        )

    def _truth(self, input: Tensor, target: Tensor) -> tuple[Tensor, Tensor]:
        """Class of each position, 0 where it is ignored, and where it is not."""
        check_input(input)
        check_fit(cast(Tensor, self.log_counts if self.seen is None else self.seen), input)
        if not isinstance(target, Tensor):
            fail("target", "a tensor", type(target).__name__, "use torch.as_tensor(target)")
        if softmax_kind(input, target) == "dense":
            fail("target", "class indices (integer dtype): the factors belong to a single truth",
                 f"probabilities, shape {tuple(target.shape)}",
                 "use balanced_softmax for mixed targets")  # fmt: skip
        whole = target.long()
        kept = torch.ones_like(whole, dtype=torch.bool)
        if self.ignore_index is not None:
            kept = whole != self.ignore_index
        truth = torch.where(kept, whole, 0)
        check_indices(truth, self.num_classes, self.ignore_index)
        return truth, kept

    def _log_counts(self, input: Tensor) -> Tensor:
        if self.seen is None:
            return cast(Tensor, self.log_counts)
        return torch.log(held(self.seen).clamp_min(1).to(computing_dtype(input)))

    @torch.no_grad()
    def _count(self, seen: Tensor, truth: Tensor, kept: Tensor) -> None:
        if not torch.compiler.is_compiling() and torch._C._are_functorch_transforms_active():
            fail(
                "loss",
                "in eval mode, or given `counts`, inside torch.func transforms (they allow no side "
                "effects)",
                "a training forward that counts",
                "call loss.eval() before, or pass counts=...",
            )
        batch = torch.zeros_like(seen).index_add_(0, truth.flatten(), kept.flatten().to(seen))
        seen.add_(summed(batch))

    def predict(self, input: Tensor) -> Tensor:
        """Probabilities of the classes: the softmax of the logits as they are."""
        return softmax_of(input)

    def __repr__(self) -> str:
        return describe(self, SPEC)


SPEC = Spec(
    name="seesaw",
    family="long-tail",
    module=SeesawLoss,
    function=None,
    summary="cross-entropy that spares rare classes the push of frequent ones, unless confused",
    formula=r"-\log \frac{e^{z_t}}{e^{z_t} + \sum_{k \ne t} S_{tk} e^{z_k}},\quad "
    r"S_{tk} = \min(1, n_k / n_t)^p \max(1, p_k / p_t)^q",
    parameters=(
        Parameter(
            "p",
            0.8,
            "number >= 0",
            "exponent of the mitigation; raising it spares rare classes more",
            Search(0.2, 1.6),
        ),
        Parameter(
            "q",
            2.0,
            "number >= 0",
            "exponent of the compensation; raising it punishes confusions more",
            Search(0.5, 4.0),
        ),
        Parameter(
            "num_classes",
            REQUIRED,
            "whole number >= 1",
            "number of classes; taken from the data where that is known",
        ),
        Parameter(
            "counts",
            None,
            "one number >= 0 per class, or None",
            "training samples per class; None counts them while training",
        ),
    ),
    shared=("weight", "ignore_index", "reduction"),
    links=("softmax",),
    targets=("index",),
    value_range="[0, inf)",
    denominator="sum of the targets' weights",
    reference=Reference(
        "Wang, Zhang, Zang, Cao, Pang, Gong, Chen, Liu, Loy, Lin",
        "Seesaw Loss for Long-Tailed Instance Segmentation",
        "CVPR 2021",
        "mitigation and compensation factors",
    ),
    differs=(
        (
            "mmdetection",
            "SeesawLoss is for detection heads: two more columns judge objectness, with a loss of "
            "their own, and background rows train only those; here every class is a class. Its "
            "counts are those of each rank's own samples, ours those of all ranks; it counts in "
            "evaluation too. Value and gradient on the classes are equal",
        ),
    ),
    examples=(
        "seesaw(counts=[900, 250, 40, 7, 1])",
        "seesaw(counts=[900, 250, 40, 7, 1], p=0.5, q=0)",
    ),
    identities=(("seesaw(counts=[900, 250, 40, 7, 1], p=0, q=0)", "cross_entropy()"),),
    needs=frozenset({"num_classes"}),
)
