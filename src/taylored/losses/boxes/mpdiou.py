"""MPDIoU: IoU, and how far the corners lie apart, measured by the image."""

from __future__ import annotations

import functools
import math
from typing import Annotated, Unpack

from torch import Tensor

from taylored.core.boxes.geometry import Pair
from taylored.modules.boxes import BoxCall, BoxLoss, box_loss
from taylored.modules.fields.parameter import About
from taylored.modules.function import function_of
from taylored.modules.spec import Reference, spec_of

__all__ = ["MPDIoULoss", "mpdiou_loss"]


def mpdiou_costs(pair: Pair, image_width: float, image_height: float) -> Tensor:
    """1 - IoU + (d_1^2 + d_2^2) / (W^2 + H^2) (Ma and Xu, equations 3 to 7)."""
    # The corners lie at offset -/+ half the difference of the sides: their squares add up to this.
    image = pair.unit / math.hypot(image_width, image_height)
    offset, sides = pair.offset * image, (pair.size - pair.target_size) * image
    return 1.0 - pair.iou + 2.0 * offset.square().sum(0) + sides.square().sum(0) / 2


class MPDIoULoss(BoxLoss):
    r"""Minimum point distance IoU loss, :math:`1 - \mathrm{IoU} + (d_1^2 + d_2^2) / (W^2 + H^2)`.

    :math:`d_1` and :math:`d_2` are the distances between the first and between the second corners,
    W and H the sides of the *image*, not of the enclosing box: the further term is small for small
    objects, and grows without bound for boxes outside the image.

    Example:
        >>> import torch
        >>> loss = MPDIoULoss(image_width=640, image_height=480)
        >>> loss(torch.tensor([0.0, 0.0, 40.0, 20.0]), torch.tensor([0.0, 0.0, 20.0, 40.0]))
        tensor(0.6679)
    """

    image_width: Annotated[
        float,
        About(
            "W, in the unit of the boxes; raising it lowers the weight of the distances. 1 is for "
            "boxes in shares of the image",
            within="(0, inf)",
        ),
    ] = 1.0
    image_height: Annotated[
        float,
        About(
            "H, in the unit of the boxes; raising it lowers the weight of the distances",
            within="(0, inf)",
        ),
    ] = 1.0

    def costs(self, pair: Pair) -> Tensor:
        """One value per pair of boxes."""
        return mpdiou_costs(pair, self.image_width, self.image_height)


@function_of(MPDIoULoss)
def mpdiou_loss(
    input: Tensor,
    target: Tensor,
    *,
    image_width: float = 1.0,
    image_height: float = 1.0,
    **shared: Unpack[BoxCall],
) -> Tensor:
    r"""Minimum point distance IoU loss, :math:`1 - \mathrm{IoU} + (d_1^2 + d_2^2) / (W^2 + H^2)`.

    Example:
        >>> import torch
        >>> mpdiou_loss(torch.tensor([0.0, 0.0, 0.4, 0.2]), torch.tensor([0.0, 0.0, 0.2, 0.4]))
        tensor(0.7067)
    """
    costs = functools.partial(mpdiou_costs, image_width=image_width, image_height=image_height)
    return box_loss(costs, input, target, **shared)


SPEC = spec_of(
    "mpdiou",
    MPDIoULoss,
    mpdiou_loss,
    summary="1 - IoU, and the distances of the corners over the diagonal of the image",
    formula=r"1 - \mathrm{IoU} + (d_1^2 + d_2^2) / (W^2 + H^2)",
    reference=Reference(
        "Ma, Xu",
        "MPDIoU: A Loss for Efficient and Accurate Bounding Box Regression",
        "arXiv 2307.07662 (2023)",
        "equations 3 to 7",
    ),
    differs={
        "YOLO forks": "some divide by the enclosing box in place of the image, which is not the "
        "paper's loss",
    },
    examples=("mpdiou()", "mpdiou(image_width=4, image_height=3)"),
)
