"""AdaCos: cross-entropy of cosines at a scale that follows from the number of classes."""

from __future__ import annotations

import math
from collections.abc import Callable
from typing import Annotated, Literal

import torch
from torch import Tensor, nn

from taylored.core.engine.one_pass import p_t_loss
from taylored.core.engine.sharded.sharded_pass import replicas
from taylored.core.inputs.linear_logits import LinearLogits
from taylored.core.inputs.logits import Logits, outline
from taylored.core.inputs.sharded_logits import ShardedLogits
from taylored.core.inputs.targets import check_input, softmax_kind
from taylored.core.numerics import one_if_zero, widest_dtype
from taylored.core.plan.options import Options
from taylored.core.plan.prepare import prepare
from taylored.core.posterior.calibrated import calibrated_logits
from taylored.core.state.buffers import counted, held, keep_wide
from taylored.core.state.distributed import summed
from taylored.core.state.micro_batches import MicroBatches
from taylored.core.state.side_effects import refuse_side_effects
from taylored.core.terms.elementary import nll
from taylored.core.terms.term import Term
from taylored.modules.class_axis import class_axis
from taylored.modules.fields.parameter import About
from taylored.modules.spec import Reference, spec_of
from taylored.modules.vocabulary import Group, WeightedLoss

__all__ = ["AdaCosLoss"]

_WIDEST = math.pi / 4
"""Medians of the angle above this one count as this one (equation 15)."""
_BINS = 1024
"""Of angles up to the widest, in which the median is found: a sum, over processes too."""


def fixed_scale(classes: int) -> float:
    """sqrt(2) log(C - 1) (Zhang et al. 2019, equation 12); two classes have that of three."""
    return math.sqrt(2.0) * math.log(max(2, classes - 1))


def true_cosines(input: Logits, truth: Tensor) -> Tensor:
    """The cosine to the true class of each position."""
    if isinstance(input, LinearLogits):
        weight = input.weight[truth].to(input.dtype)
        found = (input.features.to(input.dtype) * weight).sum(dim=-1)
        return found if input.bias is None else found + input.bias[truth].to(input.dtype)
    if isinstance(input, ShardedLogits):
        return input.true_logits(truth)
    cosines = check_input(input)
    axis = class_axis(cosines)
    return cosines.gather(axis, truth.unsqueeze(axis)).squeeze(axis)


class AdaCosLoss(WeightedLoss):
    r"""AdaCos: cross-entropy of :math:`s \cos\theta_k`, the scale s found and not chosen.

    The fixed scale, :math:`\sqrt 2 \log(C - 1)`, lets a probability of 1/2 be reached half way to
    the truth. The dynamic one starts there, and falls as the angles to the true classes do, so that
    samples which are right go on being trained: :math:`s = \log B / \cos \min(\pi/4, \theta_m)`,
    of the median angle and B, the mean over samples of :math:`\sum_{k \ne t} e^{s \cos\theta_k}`
    at the last scale. The logits are cosines, of a `taylored.CosineClassifier` or `LinearLogits`.

    Example:
        >>> import torch
        >>> cosines, truth = torch.tensor([[0.9, 0.1, 0.0], [0.2, 0.7, 0.0]]), torch.tensor([0, 1])
        >>> AdaCosLoss(scaling="fixed")(cosines, truth)
        tensor(0.6878)
        >>> loss = AdaCosLoss()
        >>> loss(cosines.requires_grad_(), truth).detach(), loss.scale
        (tensor(0.7328), tensor(0.8557, dtype=torch.float64))

    State: the dynamic form has the buffer `scale`, 0 before the first batch, updated in training
    mode with gradients enabled, before it is read; in evaluation it is only read. Positions that
    are ignored or have the weight 0 are not counted, other weights do not enter; the true class of
    probabilities is the likeliest. The median is that of all ranks of the process group, to a
    thousandth of pi / 4, in one collective a forward, so that every rank has to call the loss.
    Micro-batches (`accumulate`) are scaled by what their group has so far. It cannot train inside
    torch.func transforms or activation checkpointing.
    """

    link = "softmax"
    scaling: Annotated[
        Literal["dynamic", "fixed"],
        About(
            '"dynamic" follows the median angle of the batches, "fixed" is where it starts',
            fixed=True,
        ),
    ] = "dynamic"
    process_group: Group = None

    def setup(self) -> None:
        """Start the scale, if it is to change."""
        if self.scaling == "dynamic":
            self.scale = nn.Buffer(torch.zeros((), dtype=torch.float64, device="cpu"))
            self.group = MicroBatches(_BINS + 2)

    @property
    def term(self) -> Term:
        """The loss as a term of the probability of the scaled cosines."""
        return nll

    def evaluate(self, input: Logits, target: Tensor, options: Options) -> Tensor:
        """The loss of cosines against targets; a dynamic scale is counted in training."""
        if self.scaling == "fixed":
            axis = class_axis(outline(input))
            fixed = options._replace(temperature=1.0 / fixed_scale(input.shape[axis]))
            return p_t_loss(input, target, nll, fixed)
        scale = self._scale(input)
        if self.training and torch.is_grad_enabled():
            scale = self._counted(input, target, options, scale)
        return p_t_loss(input, target, nll, self._scaled(input, options, scale))

    def _scale(self, input: Logits) -> Tensor:
        """The scale so far."""
        start = fixed_scale(input.shape[class_axis(outline(input))])
        known = held(self.scale)
        return torch.where(known > 0.0, known, start)

    def _scaled(self, input: Logits, options: Options, scale: Tensor) -> Options:
        """The options with the same scale for every class."""
        return options._replace(logit_scale=scale.expand(input.shape[class_axis(outline(input))]))

    @torch.no_grad()
    def _counted(self, input: Logits, target: Tensor, options: Options, scale: Tensor) -> Tensor:
        """The scale after this batch, which becomes the state."""
        refuse_side_effects('scaling="fixed" or in eval mode', "call loss.eval() before")
        sums, complete = self._sums(input, target, options, scale), None
        sums = sums / replicas(input, self.process_group)
        sums = counted(summed(sums, self.process_group))
        if self.group.size > 1:
            sums, _, complete = self.group.add(sums)
        found = _scale_of(sums, scale)
        self.scale.copy_(found if complete is None else torch.where(complete, found, self.scale))
        return found

    def _sums(self, input: Logits, target: Tensor, options: Options, scale: Tensor) -> Tensor:
        """B times the number of samples, and how many have their angle in each bin."""
        plain = self._scaled(input, Options(reduction="none", ignore_index=None), scale)
        _, plan = prepare(outline(input), target, nll, options)
        truth = target.long()
        if softmax_kind(outline(input), target) != "index":
            truth = target.argmax(class_axis(target))
        elif options.ignore_index is not None:
            truth = torch.where(target == options.ignore_index, 0, truth)
        wide = widest_dtype(input.device)
        there = plan.rows.reshape(-1) != 0
        # -log p = log(1 + e^-x) at x = s cos_t - log sum_(k != t) e^(s cos_k).
        lost = p_t_loss(input, truth, nll, plain).reshape(-1).to(wide)
        cosine = true_cosines(input, truth).reshape(-1).to(wide)
        against = torch.where(lost > 1.0, lost + torch.log1p(-torch.exp(-lost)),
                              torch.log(torch.expm1(lost.clamp_max(1.0))))  # fmt: skip
        rivals = torch.where(there, torch.exp(scale.to(cosine) * cosine + against), 0.0)
        angle = torch.acos(cosine.clamp(-1.0, 1.0))
        place = (torch.nan_to_num(angle) / _WIDEST * _BINS).long().clamp(max=_BINS)
        counts = rivals.new_zeros(_BINS + 1).index_add_(0, place, there.to(rivals))
        return torch.cat([rivals.sum().reshape(1), counts]).to(self.scale)

    @torch.no_grad()
    def gather(self, micro_batches: int) -> None:
        """Count so many forwards as one batch; an open group is closed as it is."""
        if self.scaling == "dynamic":
            left = self.group.resize(micro_batches)
            if left is not None:
                self.scale.copy_(_scale_of(left, self.scale))

    def calibrated(self, outputs: Tensor, options: Options) -> Tensor:
        """Those of the scaled cosines."""
        if self.scaling == "fixed":
            fixed = fixed_scale(outputs.shape[class_axis(outputs)])
            return calibrated_logits(outputs, nll, options._replace(temperature=1.0 / fixed))
        scaled = self._scaled(outputs, options, self._scale(outputs))
        return calibrated_logits(outputs, nll, scaled)

    def _apply(self, fn: Callable[[Tensor], Tensor], recurse: bool = True) -> AdaCosLoss:
        before = {"scale": self._buffers.get("scale")}
        super()._apply(fn, recurse)
        keep_wide(self, before)
        return self


def _scale_of(sums: Tensor, before: Tensor) -> Tensor:
    """log B / cos(median); as before where there is no sample, or no such scale."""
    counts = sums[1:]
    total = counts.sum()
    log_rivals = torch.log(sums[0] / one_if_zero(total))
    # The lower median, in the middle of the samples of its bin.
    rank = torch.floor((total - 1.0) / 2.0) + 0.5
    reached = torch.cumsum(counts, 0)
    place = (reached < rank).sum().clamp(max=_BINS)
    here = place.reshape(1)
    inside = counts.gather(0, here).squeeze(0)
    within = (rank - (reached.gather(0, here).squeeze(0) - inside)) / one_if_zero(inside)
    median = ((place + within) / _BINS).clamp(max=1.0) * _WIDEST
    found = log_rivals / torch.cos(median)
    return torch.where((total > 0) & (found > 0) & found.isfinite(), found, before)


SPEC = spec_of(
    "adacos",
    AdaCosLoss,
    summary="cross-entropy of cosines whose scale follows from the classes, and from the angles",
    formula=r"-\log \frac{e^{s \cos \theta_t}}{\sum_k e^{s \cos \theta_k}},\quad "
    r"s = \sqrt 2 \log(C - 1) \text{ or } \frac{\log B}{\cos \min(\pi/4, \theta_m)}",
    reference=Reference(
        "Zhang, Zhao, Qiao, Wang, Li",
        "AdaCos: Adaptively Scaling Cosine Logits for Effectively Learning Deep Face "
        "Representations",
        "CVPR 2019",
        "equations 12 to 15",
    ),
    differs={
        "4uiiurz1/pytorch-adacos": "AdaCos holds the class vectors; its scale is in no state dict, "
        "and changes in every call that is given targets, on each rank by its own batch",
    },
    examples=('adacos(scaling="fixed")',),
    head="cosine",
)
