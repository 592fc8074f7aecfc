"""Seesaw loss: rare classes are pushed down less, unless they are mistaken for the truth."""

from __future__ import annotations

import math
from typing import Annotated

import torch
from torch import Tensor, nn

from taylored.core.checks import fail
from taylored.core.class_weights import log_prior
from taylored.core.engine.one_pass import p_t_loss
from taylored.core.inputs.logits import Logits
from taylored.core.inputs.targets import check_indices, check_input, softmax_kind
from taylored.core.numerics import computing_dtype, without_offset
from taylored.core.plan.options import Options, PerClass
from taylored.core.plan.sample_weight import per_position
from taylored.core.state.buffers import counted, held
from taylored.core.state.distributed import summed
from taylored.core.state.side_effects import refuse_side_effects
from taylored.core.terms.elementary import nll
from taylored.modules.class_axis import along, class_axis
from taylored.modules.fields.parameter import About
from taylored.modules.spec import Reference, spec_of
from taylored.modules.vocabulary import Group, NumClasses, WeightedLoss

__all__ = ["SeesawLoss"]

_LOWEST_TRUTH = math.log(1e-2)
"""Log of the probability of the truth below which compensation does not grow, as published."""


@torch.no_grad()
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
    wide = logits.detach().to(computing_dtype(logits))
    axis = class_axis(logits)
    rank = (p * along(log_counts, logits)).expand(wide.shape)
    # In place, on tensors of our own: these are as large as the logits.
    bias = (rank - rank.gather(axis, truth)).clamp_max_(0.0)
    log_p = torch.log_softmax(wide, dim=axis)
    reached = log_p.gather(axis, truth).clamp_min(_LOWEST_TRUTH)
    return bias.add_(log_p.sub_(reached).clamp_min_(0.0), alpha=q)


def _weighs_something(logits: Tensor, truth: Tensor, options: Options) -> Tensor:
    """Whether neither the class nor the sample of a position has the weight 0."""
    found = torch.ones_like(truth, dtype=torch.bool)
    if options.weight is not None:
        weight = torch.as_tensor(options.weight, device=truth.device)
        found = found & (weight.reshape(-1).expand(logits.shape[class_axis(logits)])[truth] != 0)
    if options.sample_weight is not None:
        batch = logits if logits.dim() > 1 else logits.unsqueeze(0)
        positions = batch.shape[:1] + batch.shape[2:]
        weights = per_position(options.sample_weight, batch, positions)
        found = found & (weights != 0).reshape(found.shape).to(found.device)
    return found


class SeesawLoss(WeightedLoss):
    r"""Seesaw loss, :math:`-\log \left(e^{z_t} / (e^{z_t} + \sum_k S_{tk} e^{z_k})\right)`.

    Every sample of a frequent class pushes the logits of the rare ones down; mitigation,
    :math:`\min(1, n_k / n_t)^p`, weakens that push by the ratio of the counts. Where a wrong class
    is ahead of the truth, compensation, :math:`\max(1, p_k / \max(p_t, 0.01))^q`, strengthens it
    again. S is their product, a constant for the gradient, which is p - y of the adjusted p.

    The counts are given, or counted while training: each training forward with gradients enabled
    adds its targets to `seen` first and then uses it, as published; what has a weight of 0 does not
    count. Evaluation and `no_grad` leave it alone. It is in the state dict; the batches of all
    ranks of the process group are added in one collective a forward (none with one process), so
    every rank of it has to call the loss, with an empty batch if need be. With gradient
    accumulation each micro-batch adds its targets and sees those of the earlier ones: after the
    last, `seen` is what it is after the whole batch. Keep the loss outside of activation
    checkpointing, which runs forwards twice: it is refused there.

    Shape:
        input (N, C, d1, ...) logits; target (N, d1, ...) class indices: S belongs to a single
        truth, for a mixture it would take C of them. The call also takes `sample_weight` and
        `normalizer` (see `FocalLoss`). The adjusted logits are a tensor of their own, kept for
        backward.

    Example:
        >>> import torch
        >>> loss = SeesawLoss(num_classes=2)
        >>> logits, truth = torch.zeros(4, 2, requires_grad=True), torch.tensor([0, 0, 0, 1])
        >>> loss(logits, truth)
        tensor(0.4338, grad_fn=...)
        >>> loss.seen
        tensor([3, 1])
        >>> loss.predict(torch.tensor([[0.0, 1.0]]))
        tensor([1])

    Inference: `predict` is the largest logit.
    """

    unreadable = "its factors depend on the truth and the other classes of each sample together"
    link = "softmax"
    p: Annotated[
        float,
        About(
            "exponent of the mitigation; raising it spares rare classes more",
            within="[0, inf)",
            fix="0 switches the factor off",
            search=(0.2, 1.6),
        ),
    ] = 0.8
    q: Annotated[
        float,
        About(
            "exponent of the compensation; raising it punishes confusions more",
            within="[0, inf)",
            fix="0 switches the factor off",
            search=(0.5, 4.0),
        ),
    ] = 2.0
    num_classes: NumClasses
    counts: Annotated[
        PerClass | None,
        About(
            "training samples per class (`taylored.class_counts`), a class without samples counts "
            "as if it had one, with a warning; None counts them while training, a class not seen "
            "yet as one",
            within="[0, inf)",
            fix="let num_classes=len(counts)",
            needs="counts",
            fixed=True,
        ),
    ] = None
    process_group: Group = None

    def setup(self) -> None:
        """Start to count, unless the counts are known."""
        # Whole numbers: a float stops counting single samples after 16 million (pixels, say).
        online = torch.zeros(self.num_classes, dtype=torch.int64, device="cpu")
        self.seen = nn.Buffer(online) if self.counts is None else None

    def derive(self) -> None:
        """The log of the counts, where they are known."""
        if self.counts is not None:
            self.log_counts = nn.Buffer(
                log_prior(self.counts, dtype=torch.float64), persistent=False
            )

    def evaluate(self, input: Logits, target: Tensor, options: Options) -> Tensor:
        """The loss of logits against targets; in training mode the targets are counted."""
        logits = check_input(input)
        truth, kept = self._truth(logits, target, options.ignore_index)
        if self.seen is not None and self.training and torch.is_grad_enabled():
            self._count(self.seen, truth, kept & _weighs_something(logits, truth, options))
        truth = truth.unsqueeze(class_axis(logits))
        bias = seesaw_bias(logits, truth, self._log_counts(logits), self.p, self.q)
        # In place, on a tensor of our own: two are as large as the logits at any time.
        moved = without_offset(logits.to(bias.dtype), class_axis(logits)).add_(bias)
        del bias
        return p_t_loss(moved, target, nll, options)

    def _truth(self, logits: Tensor, target: Tensor, ignored: int | None) -> tuple[Tensor, Tensor]:
        """Class of each position, 0 where it is ignored, and where it is not."""
        if softmax_kind(logits, target) == "dense":
            expected = "class indices (integer dtype): the factors belong to a single truth"
            got = f"probabilities, shape {tuple(target.shape)}"
            fail("target", expected, got, "use balanced_softmax for mixed targets")
        whole = target.long()
        kept = torch.ones_like(whole, dtype=torch.bool) if ignored is None else whole != ignored
        truth = torch.where(kept, whole, 0)
        check_indices(truth, self.num_classes, ignored)
        return truth, kept

    def _log_counts(self, logits: Tensor) -> Tensor:
        if self.seen is None:
            return self.log_counts
        return torch.log(held(self.seen).clamp_min(1).to(computing_dtype(logits)))

    @torch.no_grad()
    def _count(self, seen: Tensor, truth: Tensor, kept: Tensor) -> None:
        fix = "call loss.eval() before, or pass counts=..."
        refuse_side_effects("in eval mode, or given `counts`,", fix)
        batch = torch.zeros_like(seen).index_add_(0, truth.flatten(), kept.flatten().to(seen))
        seen.add_(counted(summed(batch, self.process_group)))


SPEC = spec_of(
    "seesaw",
    SeesawLoss,
    summary="cross-entropy that spares rare classes the push of frequent ones, unless confused",
    formula=r"-\log \frac{e^{z_t}}{e^{z_t} + \sum_{k \ne t} S_{tk} e^{z_k}},\quad "
    r"S_{tk} = \min(1, n_k / n_t)^p \max(1, p_k / p_t)^q",
    reference=Reference(
        "Wang, Zhang, Zang, Cao, Pang, Gong, Chen, Liu, Loy, Lin",
        "Seesaw Loss for Long-Tailed Instance Segmentation",
        "CVPR 2021",
        "mitigation and compensation factors",
    ),
    differs={
        "mmdetection": "SeesawLoss is for detection heads: two more columns judge objectness, with "
        "a loss of their own, and background rows train only those; here every class is a class. "
        "Its counts are those of each rank's own samples, ours those of all ranks; it counts in "
        "evaluation too. Value and gradient on the classes are equal",
    },
    targets=("index",),
    examples=(
        "seesaw(counts=[900, 250, 40, 7, 1])",
        "seesaw(counts=[900, 250, 40, 7, 1], p=0.5, q=0)",
    ),
    identities={"seesaw(counts=[900, 250, 40, 7, 1], p=0, q=0)": "cross_entropy()"},
)
