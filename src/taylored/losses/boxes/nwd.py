"""NWD: boxes as Gaussians, and the distance between them."""

from __future__ import annotations

import functools
from typing import Annotated, Unpack

import torch
from torch import Tensor

from taylored.core.boxes.geometry import Pair
from taylored.modules.boxes import BoxCall, BoxLoss, box_loss
from taylored.modules.fields.parameter import About
from taylored.modules.function import function_of
from taylored.modules.spec import Reference, spec_of

__all__ = ["NWDLoss", "nwd_loss"]


def nwd_costs(pair: Pair, constant: float) -> Tensor:
    """1 - exp(-W_2 / C), W_2 between N(centre, diag(w^2, h^2) / 4) (Wang et al., eq. 7 and 8)."""
    apart = torch.cat([pair.offset, (pair.size - pair.target_size) / 2])
    wasserstein = torch.linalg.vector_norm(apart, dim=0) * pair.unit
    return -torch.expm1(-wasserstein / constant)


class NWDLoss(BoxLoss):
    r"""Normalised Wasserstein distance loss, :math:`1 - e^{-W_2 / C}`, in [0, 1].

    :math:`W_2^2 = d_x^2 + d_y^2 + (\Delta w^2 + \Delta h^2) / 4` is the squared distance of two
    Gaussians that stand for the boxes. It falls smoothly whether the boxes overlap or not, which
    for objects of a few pixels an IoU does not. It knows no scale but C: it is in the unit of the
    boxes, and the same shift costs small and large boxes alike.

    Example:
        >>> import torch
        >>> loss = NWDLoss(constant=12.8)
        >>> loss(torch.tensor([0.0, 0.0, 4.0, 4.0]), torch.tensor([4.0, 0.0, 8.0, 4.0]))
        tensor(0.2684)
    """

    constant: Annotated[
        float,
        About(
            "C, in the unit of the boxes, near the average size of the objects (12.8 pixels for "
            "AI-TOD); raising it makes distant boxes differ more, and close ones less",
            within="(0, inf)",
            search=(1.0, 100.0, "log"),
        ),
    ] = 12.8

    def costs(self, pair: Pair) -> Tensor:
        """One value per pair of boxes."""
        return nwd_costs(pair, self.constant)


@function_of(NWDLoss)
def nwd_loss(
    input: Tensor, target: Tensor, *, constant: float = 12.8, **shared: Unpack[BoxCall]
) -> Tensor:
    r"""Normalised Wasserstein distance loss, :math:`1 - e^{-W_2 / C}`, in [0, 1].

    Example:
        >>> import torch
        >>> nwd_loss(torch.tensor([0.0, 0.0, 4.0, 4.0]), torch.tensor([4.0, 0.0, 8.0, 4.0]))
        tensor(0.2684)
    """
    return box_loss(functools.partial(nwd_costs, constant=constant), input, target, **shared)


SPEC = spec_of(
    "nwd",
    NWDLoss,
    nwd_loss,
    summary="1 - exp(-distance of the boxes as Gaussians / C), for tiny objects",
    formula=r"1 - e^{-W_2 / C}",
    value_range="[0, 1]",
    reference=Reference(
        "Wang, Xu, Yang, Yu",
        "A Normalized Gaussian Wasserstein Distance for Tiny Object Detection",
        "arXiv 2110.13389 (2021)",
        "equations 7 and 8",
    ),
    examples=("nwd()", "nwd(constant=2)", 'nwd(format="cxcywh")'),
)
