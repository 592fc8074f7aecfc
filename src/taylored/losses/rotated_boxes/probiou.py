"""ProbIoU: how much the Gaussians of two rotated boxes have in common."""

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

__all__ = ["ProbIoULoss", "probiou_loss"]

Form = Literal["hellinger", "bhattacharyya"]


def bhattacharyya(pair: GaussianPair) -> Tensor:
    """d^T S^-1 d / 8 + ln(det S / sqrt(det S_1 det S_2)) / 2, S = (S_1 + S_2) / 2."""
    # Covariances are k R diag(w^2, h^2) R^T with k = 1 / 12, those of an even spread over the box.
    apart = 3.0 * pair.apart / pair.both
    return apart + torch.log1p(pair.excess / (4.0 * pair.area * pair.target_area)) / 2


def root(values: Tensor) -> Tensor:
    """The square root, without a gradient at 0."""
    positive = values > 0
    return torch.where(positive, torch.where(positive, values, 1.0).sqrt(), 0.0)


def probiou_costs(pair: GaussianPair, form: Form) -> Tensor:
    """The Hellinger or the Bhattacharyya distance (Llerena et al., equations 8 to 12)."""
    distance = bhattacharyya(pair)
    return distance if form == "bhattacharyya" else root(-torch.expm1(-distance))


class ProbIoULoss(RotatedBoxLoss):
    r"""ProbIoU loss, :math:`\sqrt{1 - e^{-B_D}}` or :math:`B_D`.

    A box stands for the Gaussian with its centre and the covariance of an even spread over it;
    :math:`B_D` is the Bhattacharyya distance of two of them, 1 minus the Hellinger distance
    :math:`\sqrt{1 - e^{-B_D}}` the ProbIoU. Smooth in the angle and without its jump of a turn. A
    square has no angle for it. The paper starts with the Bhattacharyya distance, whose gradient
    does not vanish far away, and ends with the other.

    A side counts as at least 1e-6 of the pair's size: a Gaussian without width has no density.

    Example:
        >>> import torch
        >>> box = torch.tensor([[0.0, 0.0, 4.0, 2.0, 0.0]])
        >>> turned = torch.tensor([[0.0, 0.0, 4.0, 2.0, angle] for angle in (0.5, 0.5 + torch.pi)])
        >>> ProbIoULoss(reduction="none")(turned, box.expand(2, 5))
        tensor([0.2429, 0.2429])
    """

    form: Annotated[
        Form,
        About('"hellinger", 1 - ProbIoU, in [0, 1]; "bhattacharyya", whose gradient does not '
              "vanish for boxes far apart"),
    ] = "hellinger"  # fmt: skip

    def costs(self, pair: GaussianPair) -> Tensor:
        """One value per pair of boxes."""
        return probiou_costs(pair, self.form)


@function_of(ProbIoULoss)
def probiou_loss(
    input: Tensor, target: Tensor, *, form: Form = "hellinger", **shared: Unpack[ValueCall]
) -> Tensor:
    r"""ProbIoU loss, :math:`\sqrt{1 - e^{-B_D}}` or :math:`B_D`.

    Example:
        >>> import torch
        >>> boxes = torch.tensor([[0.0, 0.0, 4.0, 2.0, 0.5], [0.0, 0.0, 4.0, 2.0, 0.0]])
        >>> probiou_loss(boxes[:1], boxes[1:])
        tensor(0.2429)
    """
    return rotated_box_loss(functools.partial(probiou_costs, form=form), input, target, **shared)


SPEC = spec_of(
    "probiou",
    ProbIoULoss,
    probiou_loss,
    summary="Hellinger or Bhattacharyya distance of rotated boxes as Gaussians",
    formula=r"\sqrt{1 - e^{-B_D}}",
    reference=Reference(
        "Llerena, Zeni, Kristen, Jung",
        "Gaussian Bounding Boxes and Probabilistic Intersection-over-Union for Object Detection",
        "arXiv 2106.06072 (2021)",
        "equations 8 to 12",
    ),
    differs={
        "ultralytics": "probiou is 1 minus this loss, but for eps and its clamps: boxes that agree "
        "keep a distance of sqrt(2 eps), and beyond a distance of 100 the gradient ends",
    },
    examples=("probiou()", 'probiou(form="bhattacharyya")'),
)
