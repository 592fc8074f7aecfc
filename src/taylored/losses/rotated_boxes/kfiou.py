"""KFIoU: the overlap of the Gaussians of two rotated boxes, as if their centres agreed."""

from __future__ import annotations

import functools
from typing import Annotated, Literal, Unpack

import torch
from torch import Tensor

from taylored.core.boxes.gaussian import GaussianPair
from taylored.modules.boxes import RotatedBoxLoss, rotated_box_loss
from taylored.modules.fields.parameter import About
from taylored.modules.function import function_of
from taylored.modules.spec import Reference, spec_of
from taylored.modules.values import ValueCall

__all__ = ["KFIoULoss", "kfiou_loss"]

Form = Literal["exp", "log", "linear"]


def kfiou(pair: GaussianPair) -> Tensor:
    """V / (V_1 + V_2 - V), the area V that of the product of the Gaussians; at most 1/3."""
    shared = pair.area * pair.target_area / pair.both.sqrt()
    return shared / (pair.area + pair.target_area - shared)


def kfiou_costs(pair: GaussianPair, form: Form) -> Tensor:
    """A function of KFIoU, and ln(1 + d^T S_t^-1 d) for the centres (Yang et al.)."""
    found = kfiou(pair)
    if form == "exp":
        shape = torch.expm1(1.0 - found)
    else:
        shape = -found.log() if form == "log" else 1.0 - found
    return shape + torch.log1p(4.0 * pair.target_apart)  # covariances of diag(w^2, h^2) / 4


class KFIoULoss(RotatedBoxLoss):
    r"""KFIoU loss, :math:`e^{1 - \mathrm{KFIoU}} - 1 + \ln(1 + d^T \Sigma_t^{-1} d)`.

    The boxes become Gaussians with covariances :math:`\Sigma = R\,\mathrm{diag}(w^2, h^2) R^T / 4`.
    The Kalman filter's product of the two has an area V, and :math:`\mathrm{KFIoU} = V / (V_1 + V_2
    - V)` says how sides and angles agree, whatever the centres are: the offset d has a term of its
    own. KFIoU is at most 1/3, so that equal boxes cost :math:`e^{2/3} - 1 = 0.948`, at a minimum.

    A side counts as at least 1e-6 of the pair's size: a Gaussian without width has no density.

    Example:
        >>> import torch
        >>> box = torch.tensor([0.0, 0.0, 4.0, 2.0, 0.0])
        >>> loss = KFIoULoss()
        >>> loss(box, box), loss(torch.tensor([0.0, 0.0, 4.0, 2.0, 0.5]), box)
        (tensor(0.9477), tensor(0.9985))
    """

    form: Annotated[
        Form,
        About('"exp" e^(1 - KFIoU) - 1, as in the paper; "log" -ln KFIoU, whose gradient grows as '
              'the boxes differ; "linear" 1 - KFIoU'),
    ] = "exp"  # fmt: skip

    def costs(self, pair: GaussianPair) -> Tensor:
        """One value per pair of boxes."""
        return kfiou_costs(pair, self.form)


@function_of(KFIoULoss)
def kfiou_loss(
    input: Tensor, target: Tensor, *, form: Form = "exp", **shared: Unpack[ValueCall]
) -> Tensor:
    r"""KFIoU loss, :math:`e^{1 - \mathrm{KFIoU}} - 1 + \ln(1 + d^T \Sigma_t^{-1} d)`.

    Example:
        >>> import torch
        >>> boxes = torch.tensor([[0.0, 0.0, 4.0, 2.0, 0.5], [0.0, 0.0, 4.0, 2.0, 0.0]])
        >>> kfiou_loss(boxes[:1], boxes[1:])
        tensor(0.9985)
    """
    return rotated_box_loss(functools.partial(kfiou_costs, form=form), input, target, **shared)


SPEC = spec_of(
    "kfiou",
    KFIoULoss,
    kfiou_loss,
    summary="overlap of rotated boxes as Gaussians by the Kalman filter, and the centres apart",
    formula=r"e^{1 - \mathrm{KFIoU}} - 1 + \ln(1 + d^T \Sigma_t^{-1} d)",
    reference=Reference(
        "Yang, Zhou, Zhang, Yang, Wang, Yan, Zhang, Tian",
        "The KFIoU Loss for Rotated Object Detection",
        "ICLR 2023, arXiv 2201.12558",
        "section 3",
    ),
    differs={
        "mmrotate": "KFLoss(fun=None | 'ln' | 'exp'): the same function of KFIoU, but for eps and "
        "sides clamped at 1e-7. Its term of the centres is smooth L1 (beta = 1/9) of the *encoded* "
        "offsets, which depends on anchors; here it is the offset by the target's covariance",
    },
    examples=("kfiou()", 'kfiou(form="log")', 'kfiou(form="linear")'),
)
