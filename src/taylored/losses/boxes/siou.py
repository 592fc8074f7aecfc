"""SIoU: IoU, a distance that knows its direction, and the differences of the sides."""

from __future__ import annotations

import functools
from typing import Annotated, Unpack

import torch
from torch import Tensor

from taylored.core.boxes.geometry import Pair, ratio, unit_of
from taylored.modules.boxes import BoxCall, BoxLoss, box_loss
from taylored.modules.fields.parameter import About
from taylored.modules.function import function_of
from taylored.modules.spec import Reference, spec_of

__all__ = ["SIoULoss", "siou_loss"]


def angle(pair: Pair) -> Tensor:
    """sin(2 arcsin(|dy| / sigma)) = 2 |dx dy| / sigma^2: 1 on a diagonal, 0 along an axis."""
    # That form needs neither arcsin, whose derivative is infinite at 1, nor a switch at 45 degrees.
    dx, dy = (pair.offset.abs() / unit_of(pair.offset.abs())).unbind(0)
    return ratio(2.0 * dx * dy, dx.square() + dy.square())


def shape_cost(mismatch: Tensor, theta: float) -> Tensor:
    """The sum of (1 - e^-omega)^theta over the axes, omega the relative difference of the sides."""
    return (-torch.expm1(-mismatch)).pow(theta).sum(0)


def siou_costs(pair: Pair, theta: float = 4.0) -> Tensor:
    """1 - IoU + (Delta + Omega) / 2 (Gevorgyan, equations 1 to 6)."""
    distance = -torch.expm1((angle(pair) - 2.0) * ratio(pair.offset, pair.hull).square())
    return 1.0 - pair.iou + (distance.sum(0) + shape_cost(pair.mismatch, theta)) / 2


class SIoULoss(BoxLoss):
    r"""SIoU loss, :math:`1 - \mathrm{IoU} + (\Delta + \Omega) / 2`.

    The distance :math:`\Delta = \sum_{x, y} (1 - e^{-\gamma \rho})` measures the offset of the
    centres along each axis, :math:`\rho = (d / c)^2` by the side c of the enclosing box, with
    :math:`\gamma = 2 - \Lambda` and the angle cost :math:`\Lambda = 2 |d_x d_y| / (d_x^2 + d_y^2)`.
    The shape cost is :math:`\Omega = \sum_{w, h} (1 - e^{-\omega})^\theta` with
    :math:`\omega = |w - w_t| / \max(w, w_t)`. Equal boxes cost more the further they move apart;
    at the same :math:`\rho` they cost less on a diagonal than along an axis.

    Example:
        >>> import torch
        >>> loss = SIoULoss(reduction="none")
        >>> boxes = torch.tensor([[0.0, 0.0, 2.0, 2.0]]).expand(4, 4)
        >>> moved = torch.tensor([0.5, 2.0, 4.0, 8.0]).unsqueeze(1) * torch.tensor([1.0, 0, 1, 0])
        >>> loss(boxes + moved, boxes)
        tensor([0.4384, 1.1967, 1.2944, 1.3610])
    """

    theta: Annotated[
        float,
        About(
            "exponent of the shape cost; raising it leaves small differences of the sides alone, "
            "1 reacts to all",
            within="[1, inf)",
            search=(2.0, 6.0),
        ),
    ] = 4.0

    def costs(self, pair: Pair) -> Tensor:
        """One value per pair of boxes."""
        return siou_costs(pair, self.theta)


@function_of(SIoULoss)
def siou_loss(
    input: Tensor, target: Tensor, *, theta: float = 4.0, **shared: Unpack[BoxCall]
) -> Tensor:
    r"""SIoU loss, :math:`1 - \mathrm{IoU} + (\Delta + \Omega) / 2`.

    Example:
        >>> import torch
        >>> siou_loss(torch.tensor([2.0, 0.0, 4.0, 2.0]), torch.tensor([0.0, 0.0, 2.0, 2.0]))
        tensor(1.1967)
    """
    return box_loss(functools.partial(siou_costs, theta=theta), input, target, **shared)


SPEC = spec_of(
    "siou",
    SIoULoss,
    siou_loss,
    summary="1 - IoU, an offset that knows its direction, and the differences of the sides",
    formula=r"1 - \mathrm{IoU} + (\Delta + \Omega) / 2",
    reference=Reference(
        "Gevorgyan",
        "SIoU Loss: More Powerful Learning for Bounding Box Regression",
        "arXiv 2205.12740 (2022)",
        "equations 1 to 6",
    ),
    differs={
        "mmdetection": "siou_loss(neg_gamma=False), its default, has the distance cost with the "
        "other sign: it falls as boxes move apart. neg_gamma=True is this loss, but for eps",
        "YOLOv6": "the same; before its pull request 582 boxes with one centre gave NaN",
    },
    examples=("siou()", "siou(theta=2.5)", 'siou(format="cxcywh")'),
)
