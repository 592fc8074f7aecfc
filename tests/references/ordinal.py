"""References of the losses of ranks, one sample and one threshold at a time."""

from __future__ import annotations

import math

import torch
from torch import Tensor

from references.formulas import Parameters, sigmoid
from references.registry import reference


def by_row(outputs: Tensor, ranks: Tensor) -> list[tuple[Tensor, int]]:
    rows = outputs.reshape(-1, outputs.shape[-1])
    return list(zip(rows, ranks.reshape(-1).tolist(), strict=True))


@reference("corn")
def corn(outputs: Tensor, ranks: Tensor, parameters: Parameters) -> Tensor:
    """Minus the logarithm of the product of the conditional probabilities."""
    found = []
    for z, y in by_row(outputs, ranks):
        p = math.prod([sigmoid(z[k]) for k in range(y)], start=z.new_ones(()))
        found.append(-torch.log(p * (1 - sigmoid(z[y])) if y < len(z) else p))
    return torch.stack(found).reshape(ranks.shape)


@reference("coral")
def coral(outputs: Tensor, ranks: Tensor, parameters: Parameters) -> Tensor:
    """Cao et al. 2020, equation 4."""
    found = []
    for z, y in by_row(outputs, ranks):
        p = sigmoid(z)
        found.append(-sum(torch.log(p[k] if y > k else 1 - p[k]) for k in range(len(z))))
    return torch.stack(found).reshape(ranks.shape)


@reference("emd")
def emd(outputs: Tensor, ranks: Tensor, parameters: Parameters) -> Tensor:
    power = 1 if parameters.get("distance") == "absolute" else 2
    found = []
    for z, y in by_row(outputs, ranks):
        p = z.exp() / z.exp().sum()
        found.append(sum(abs(p[: k + 1].sum() - float(y <= k)) ** power for k in range(len(z))))
    return torch.stack(found).reshape(ranks.shape)
