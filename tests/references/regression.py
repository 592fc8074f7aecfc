"""References of the losses of real numbers."""

from __future__ import annotations

import torch
from torch import Tensor

from references.formulas import Parameters
from references.registry import reference


@reference("smooth_l1")
def smooth_l1(input: Tensor, target: Tensor, parameters: Parameters) -> Tensor:
    beta, d = parameters.get("beta", 1.0), (input - target).abs()
    return torch.where(d < beta, d**2 / (2 * beta) if beta else d, d - beta / 2)
