"""Distribution focal loss: a real number learned as a distribution over bins."""

from __future__ import annotations

import torch
from torch import Tensor, nn

from taylored.core.checks import debugging, fail
from taylored.core.engine.one_pass import p_t_loss
from taylored.core.inputs.targets import check_input
from taylored.core.plan.options import LinkName, Options, Reduction, check_options
from taylored.core.plan.plan import computing_dtype
from taylored.core.terms.elementary import nll
from taylored.core.terms.term import Term
from taylored.modules.fields import check_fields
from taylored.modules.spec_old import Reference, Spec, describe


def two_point_target(distance: Tensor, bins: int) -> Tensor:
    """Mass on the two bins around each number, so that their mean is the number (eq. 6)."""
    # The last bin is the right neighbour of the one before it: nothing is looked up beyond it.
    left = distance.floor().clamp(0, bins - 2)
    right_mass = (distance - left).unsqueeze(1)
    place = left.long().unsqueeze(1)
    mass = distance.new_zeros((distance.shape[0], bins, *distance.shape[1:]))
    return mass.scatter(1, place, 1.0 - right_mass).scatter(1, place + 1, right_mass)


def distribution_focal_loss(
    input: Tensor,
    target: Tensor,
    *,
    ignore_index: int | None = -100,
    reduction: Reduction = "mean",
    sample_weight: Tensor | None = None,
    normalizer: float | Tensor | None = None,
) -> Tensor:
    r"""DFL, :math:`-(i + 1 - y) \log p_i - (y - i) \log p_{i+1}`, :math:`i = \lfloor y \rfloor`.

    The functional form of `DistributionFocalLoss`, which documents the parameters.

    Example:
        >>> import torch
        >>> distribution_focal_loss(torch.zeros(1, 4), torch.tensor([2.3]))
        tensor(1.3863)
    """
    options = Options(reduction=reduction, sample_weight=sample_weight, normalizer=normalizer)
    check_options(options)
    _check_shapes(input, target)
    bins = input.shape[1]
    distance = target.to(computing_dtype(input))
    if ignore_index is None:
        _check_range(distance, bins)
        return p_t_loss(input, two_point_target(distance, bins), nll, options)
    kept = target != ignore_index
    distance = torch.where(kept, distance, 0.0)
    _check_range(distance, bins)
    rows = kept.to(distance.dtype)
    if sample_weight is not None:
        rows = rows * _per_position(sample_weight, target)
    if normalizer is None and reduction in ("mean", "batch_mean"):
        reduction, normalizer = "mean", kept.sum()
    return p_t_loss(
        torch.where(kept.unsqueeze(1), input, 0.0),
        two_point_target(distance, bins),
        nll,
        Options(reduction=reduction, sample_weight=rows, normalizer=normalizer),
    )


def _check_shapes(input: Tensor, target: Tensor) -> None:
    check_input(input)
    if not isinstance(target, Tensor):
        fail("target", "a tensor", type(target).__name__, "use torch.as_tensor(target)")
    if input.dim() < 2 or input.shape[1] < 2:
        fail(
            "input",
            "logits (N, bins, d1, ...) with at least two bins",
            f"shape {tuple(input.shape)}",
            "bring the bins to axis 1: input.movedim(-1, 1)",
        )
    positions = input.shape[:1] + input.shape[2:]
    if target.shape != positions or target.is_complex() or target.dtype == torch.bool:
        fail(
            "target",
            f"one number per position, shape {tuple(positions)}",
            f"shape {tuple(target.shape)}, dtype {target.dtype}",
            "bins are axis 1 of `input`",
        )


def _check_range(distance: Tensor, bins: int) -> None:
    """Refuse numbers beyond the bins, where looking costs no device sync."""
    if torch.compiler.is_compiling() or torch._C._are_functorch_transforms_active():
        return
    if distance.numel() == 0 or (distance.device.type != "cpu" and not debugging()):
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


class DistributionFocalLoss(nn.Module):
    r"""DFL, :math:`-(i + 1 - y) \log p_i - (y - i) \log p_{i+1}`, :math:`i = \lfloor y \rfloor`.

    A distance (in a detector: from a point to a side of the box) is predicted as the mean of a
    softmax over the bins 0, 1, ..., n, and trained as cross-entropy against the two bins around
    the true number, in proportion to how near they are. It is the cross-entropy of a soft target,
    without a focusing factor, in spite of its name.

    Args:
        ignore_index: positions with this target count for nothing. None: off.
        reduction: "none", "sum", "mean" or "batch_mean" (see `FocalLoss`); both means are over the
            positions that are not ignored.

    Shape:
        input (N, n + 1, d1, ...) logits, bins on axis 1; target (N, d1, ...) numbers in [0, n], n
        itself included. The call also takes `sample_weight`, one number per sample or position, and
        `normalizer` (see `FocalLoss`).

    Returns:
        A scalar, or with reduction="none" one value per position, in [0, inf); float32 for
        half-precision logits.

    Raises:
        ValueError: for shapes that do not fit, or numbers outside of the bins.

    Example:
        >>> import torch
        >>> loss = DistributionFocalLoss()
        >>> logits = torch.tensor([[0.0, 2.0, 2.0, 0.0]])
        >>> loss(logits, torch.tensor([1.5])), loss(logits, torch.tensor([3.0]))
        (tensor(0.8201), tensor(2.8201))
        >>> loss.predict(logits)
        tensor([1.5000])

    Differs from:
        mmdetection: DistributionFocalLoss: equal, with bins on the last of two axes; a label equal
            to the last bin indexes beyond it there, so that its callers clamp to n - 0.01. Its
            boxes average over the four sides before the mean.
        Ultralytics: its DFLoss clamps the target to n - 0.01 and averages over the four sides.

    Reference:
        Li et al., Generalized Focal Loss: Learning Qualified and Distributed Bounding Boxes for
        Dense Object Detection, NeurIPS 2020, equation 6.
    """

    def __init__(self, *, ignore_index: int | None = -100, reduction: Reduction = "mean") -> None:
        super().__init__()
        self.ignore_index = ignore_index
        self.reduction = reduction
        check_fields(self, self.link)

    @property
    def term(self) -> Term:
        """Cross-entropy, of each of the two bins."""
        return nll

    @property
    def link(self) -> LinkName:
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
        """The loss of logits over bins against real numbers."""
        return distribution_focal_loss(
            input,
            target,
            ignore_index=self.ignore_index,
            reduction=self.reduction,
            sample_weight=sample_weight,
            normalizer=normalizer,
        )

    def predict(self, input: Tensor) -> Tensor:
        """The mean of the distribution, one number per position."""
        check_input(input)
        p = torch.softmax(input.to(computing_dtype(input)), dim=1)
        bins = torch.arange(input.shape[1], dtype=p.dtype, device=p.device)
        return (p * bins.reshape(-1, *[1] * (input.dim() - 2))).sum(dim=1)

    def __repr__(self) -> str:
        return describe(self, SPEC)


SPEC = Spec(
    name="distribution_focal",
    family="detection",
    module=DistributionFocalLoss,
    function=distribution_focal_loss,
    summary="cross-entropy on the two bins around a real number, as for the sides of boxes (DFL)",
    formula=r"-(i + 1 - y) \log p_i - (y - i) \log p_{i+1},\quad i = \lfloor y \rfloor",
    parameters=(),
    shared=("ignore_index", "reduction"),
    links=("softmax",),
    targets=("real numbers",),
    value_range="[0, inf)",
    denominator="positions",
    reference=Reference(
        "Li, Wang, Wu, Chen, Hu, Li, Tang, Yang",
        "Generalized Focal Loss: Learning Qualified and Distributed Bounding Boxes",
        "NeurIPS 2020",
        "equation 6",
    ),
    differs=(
        (
            "mmdetection",
            "DistributionFocalLoss: equal, with bins on the last of two axes; a label equal to the "
            "last bin indexes beyond it there, so that its callers clamp to n - 0.01. Its boxes "
            "average over the four sides before the mean",
        ),
        (
            "Ultralytics",
            "its DFLoss clamps the target to n - 0.01 and averages over the four sides",
        ),
    ),
    examples=("distribution_focal()",),
    call="distances",
)
