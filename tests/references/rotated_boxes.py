"""References of the losses of rotated boxes: Gaussians by their matrices."""

from __future__ import annotations

import torch
from torch import Tensor

from references.formulas import Parameters
from references.registry import reference


def gaussian(boxes: Tensor, spread: float) -> tuple[Tensor, Tensor]:
    """Centre and covariance R diag(w^2, h^2) R^T / spread."""
    centre, sides, angle = boxes[..., :2], boxes[..., 2:4], boxes[..., 4]
    cos, sin = torch.cos(angle), torch.sin(angle)
    rotation = torch.stack([torch.stack([cos, -sin], -1), torch.stack([sin, cos], -1)], -2)
    return centre, rotation @ torch.diag_embed(sides**2 / spread) @ rotation.mT


def mahalanobis(offset: Tensor, covariance: Tensor) -> Tensor:
    return (offset * torch.linalg.solve(covariance, offset.unsqueeze(-1)).squeeze(-1)).sum(-1)


@reference("probiou")
def probiou(input: Tensor, target: Tensor, parameters: Parameters) -> Tensor:
    (one, first), (other, second) = gaussian(input, 12), gaussian(target, 12)
    both = (first + second) / 2
    determinants = first.det() * second.det()
    distance = mahalanobis(one - other, both) / 8 + torch.log(both.det() / determinants**0.5) / 2
    if parameters.get("form") == "bhattacharyya":
        return distance
    return torch.sqrt(1 - torch.exp(-distance))


@reference("kfiou")
def kfiou(input: Tensor, target: Tensor, parameters: Parameters) -> Tensor:
    (one, first), (other, second) = gaussian(input, 4), gaussian(target, 4)
    gain = first @ torch.linalg.inv(first + second)
    shared, v_1, v_2 = (4 * s.det() ** 0.5 for s in (first - gain @ first, first, second))
    found = shared / (v_1 + v_2 - shared)
    shapes = {"exp": torch.exp(1 - found) - 1, "log": -torch.log(found), "linear": 1 - found}
    centres = torch.log(1 + mahalanobis(one - other, second))
    return shapes[parameters.get("form", "exp")] + centres
