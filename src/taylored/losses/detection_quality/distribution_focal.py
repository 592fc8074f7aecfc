"""Distribution focal loss: a real number learned as a distribution over bins."""

from __future__ import annotations

import math
from typing import Unpack

import torch
from torch import Tensor

from taylored.core.checks import fail, seen
from taylored.core.engine.one_pass import p_t_loss
from taylored.core.inputs.logits import Logits
from taylored.core.inputs.targets import check_input
from taylored.core.numerics import computing_dtype
from taylored.core.plan.options import Options, PerClass
from taylored.core.posterior.calibrated import calibrated_logits
from taylored.core.posterior.prior import Prior
from taylored.core.terms.elementary import nll
from taylored.core.terms.term import Term
from taylored.modules.function import function_of
from taylored.modules.spec import Reference, spec_of
from taylored.modules.vocabulary import ReducedCall, ReducedLoss

__all__ = ["DistributionFocalLoss", "distribution_focal_loss"]


def two_point_target(distance: Tensor, bins: int) -> Tensor:
    """Mass on the two bins around each number, so that their mean is the number (eq. 6)."""
    # The last bin is the right neighbour of the one before it: nothing is looked up beyond it.
    left = distance.floor().clamp(0, bins - 2)
    right_mass = (distance - left).unsqueeze(1)
    if not seen(distance):  # beyond the bins there would be a negative mass
        right_mass = torch.where((right_mass >= 0) & (right_mass <= 1), right_mass, math.nan)
    place = left.long().unsqueeze(1)
    mass = distance.new_zeros((distance.shape[0], bins, *distance.shape[1:]))
    return mass.scatter(1, place, 1.0 - right_mass).scatter(1, place + 1, right_mass)


def two_bin_loss(input: Logits, target: Tensor, options: Options) -> Tensor:
    """Cross-entropy against the two bins around each number; ignored numbers count for nothing."""
    logits = _checked(input, target)
    bins = logits.shape[1]
    distance = target.to(computing_dtype(logits))
    if options.ignore_index is None:
        _check_range(distance, bins)
        return p_t_loss(logits, two_point_target(distance, bins), nll, options)
    kept = target != options.ignore_index
    distance = torch.where(kept, distance, 0.0)
    _check_range(distance, bins)
    rows = kept.to(distance.dtype)
    if options.sample_weight is not None:
        rows = rows * _per_position(options.sample_weight, target)
    options = options._replace(sample_weight=rows)
    if options.normalizer is None and options.reduction in ("mean", "batch_mean"):
        options = options._replace(reduction="mean", normalizer=kept.sum())
    logits = torch.where(kept.unsqueeze(1), logits, 0.0)
    return p_t_loss(logits, two_point_target(distance, bins), nll, options)


def _checked(input: Logits, target: Tensor) -> Tensor:
    """Logits with bins on axis 1, and one number of the target for each position."""
    logits = check_input(input)
    if not isinstance(target, Tensor):
        fail("target", "a tensor", type(target).__name__, "use torch.as_tensor(target)")
    if logits.dim() < 2 or logits.shape[1] < 2:
        fail(
            "input",
            "logits (N, bins, d1, ...) with at least two bins",
            f"shape {tuple(logits.shape)}",
            "bring the bins to axis 1: input.movedim(-1, 1)",
        )
    positions = logits.shape[:1] + logits.shape[2:]
    if target.shape != positions or target.is_complex() or target.dtype == torch.bool:
        fail(
            "target",
            f"one number per position, shape {tuple(positions)}",
            f"shape {tuple(target.shape)}, dtype {target.dtype}",
            "bins are axis 1 of `input`",
        )
    return logits


def _check_range(distance: Tensor, bins: int) -> None:
    """Refuse numbers beyond the bins, where looking costs no device sync."""
    if not seen(distance) or distance.numel() == 0:
        return
    low, high = (bound.item() for bound in distance.detach().aminmax())
    if not (low >= 0 and high <= bins - 1):
        fail(
            "target",
            f"numbers in [0, {bins - 1}] (axis 1 of `input` has {bins} entries)",
            high if low >= 0 else low,
            f"divide by the stride, and clamp to {bins - 1}",
        )


def _per_position(sample_weight: Tensor, target: Tensor) -> Tensor:
    if sample_weight.shape == target.shape:
        return sample_weight
    if sample_weight.shape == target.shape[:1]:
        return sample_weight.reshape(-1, *[1] * (target.dim() - 1))
    fail(
        "sample_weight",
        f"one number per position, shape {tuple(target.shape)}, or per sample",
        f"shape {tuple(sample_weight.shape)}",
        "give it the shape of `target`",
    )


class DistributionFocalLoss(ReducedLoss):
    r"""DFL, :math:`-(i + 1 - y) \log p_i - (y - i) \log p_{i+1}`, :math:`i = \lfloor y \rfloor`.

    A distance (in a detector: from a point to a side of the box) is predicted as the mean of a
    softmax over the bins 0, 1, ..., n, and trained as cross-entropy against the two bins around
    the true number, in proportion to how near they are. It is the cross-entropy of a soft target,
    without a focusing factor, in spite of its name. Both means, "mean" and "batch_mean", are over
    the positions that are not ignored.

    Shape:
        input (N, n + 1, d1, ...) logits, bins on axis 1; target (N, d1, ...) numbers in [0, n], n
        itself included. The call also takes `sample_weight`, one number per sample or position, and
        `normalizer`, which replaces the denominator of "mean".

    Example:
        >>> import torch
        >>> loss = DistributionFocalLoss()
        >>> logits = torch.tensor([[0.0, 2.0, 2.0, 0.0]])
        >>> loss(logits, torch.tensor([1.5])), loss(logits, torch.tensor([3.0]))
        (tensor(0.8201), tensor(2.8201))
        >>> loss.predict(logits)
        tensor([1.5000])
    """

    link = "softmax"

    @property
    def term(self) -> Term:
        """Cross-entropy, of each of the two bins."""
        return nll

    @classmethod
    def read_target(cls, input: Logits, target: Tensor, link: str) -> Tensor:
        """Real numbers are what they are, whatever their dtype."""
        return target

    def evaluate(self, input: Logits, target: Tensor, options: Options) -> Tensor:
        """The loss of logits over bins against real numbers."""
        return two_bin_loss(input, target, options)

    def calibrated(self, outputs: Tensor, options: Options) -> Tensor:
        """Those of cross-entropy: the mean of the two-bin targets is the distribution itself."""
        return calibrated_logits(outputs, self.term, options)

    def predict(
        self,
        outputs: Tensor,
        *,
        prior: Prior | None = None,
        counts: PerClass | None = None,
        num_samples: float | None = None,
    ) -> Tensor:
        """The mean of the distribution over the bins, one number per position."""
        p = self.posterior(outputs, prior=prior, counts=counts, num_samples=num_samples)
        p = p.movedim(self.output_dim, -1)
        return p @ torch.arange(p.shape[-1], dtype=p.dtype, device=p.device)


@function_of(DistributionFocalLoss)
def distribution_focal_loss(input: Tensor, target: Tensor, **shared: Unpack[ReducedCall]) -> Tensor:
    r"""DFL, :math:`-(i + 1 - y) \log p_i - (y - i) \log p_{i+1}`, :math:`i = \lfloor y \rfloor`.

    Example:
        >>> import torch
        >>> distribution_focal_loss(torch.zeros(1, 4), torch.tensor([2.3]))
        tensor(1.3863)

    Shape:
        As for `DistributionFocalLoss`.
    """
    return two_bin_loss(input, target, Options(link="softmax", **shared))


SPEC = spec_of(
    "distribution_focal",
    DistributionFocalLoss,
    distribution_focal_loss,
    summary="cross-entropy on the two bins around a real number, as for the sides of boxes (DFL)",
    formula=r"-(i + 1 - y) \log p_i - (y - i) \log p_{i+1},\quad i = \lfloor y \rfloor",
    reference=Reference(
        "Li, Wang, Wu, Chen, Hu, Li, Tang, Yang",
        "Generalized Focal Loss: Learning Qualified and Distributed Bounding Boxes",
        "NeurIPS 2020",
        "equation 6",
    ),
    differs={
        "mmdetection": "DistributionFocalLoss: equal, with bins on the last of two axes; a label "
        "equal to the last bin indexes beyond it there, so that its callers clamp to n - 0.01. Its "
        "boxes average over the four sides before the mean",
        "Ultralytics": "its DFLoss clamps the target to n - 0.01 and averages over the four sides",
    },
    targets=("real numbers",),
    denominator="positions that are not ignored",
    examples=("distribution_focal()",),
    call="distances",
)
