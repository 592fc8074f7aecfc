"""The forward error bound of native softmax cross-entropy, as docs/accuracy.md derives it."""

from __future__ import annotations

import math
from typing import NamedTuple

import torch
from torch import Tensor

U = 2.0**-24
"""Half the distance from 1 to the next float32."""

FLUSHED = 2.0**-125
"""What exponentials that are 0 below 2^-126 may make out."""


class Bounded(NamedTuple):
    """The exact numbers in float64, and how far float32 may be from them."""

    value: Tensor
    value_bound: Tensor
    gradient: Tensor
    gradient_bound: Tensor


def bounded(logits: Tensor, target: Tensor) -> Bounded:
    """Of float32 logits (N, C) with class indices, unreduced."""
    z, hot = logits.double(), target.unsqueeze(1)
    classes = z.shape[1]
    others = z.scatter(1, hot, -math.inf)
    peak = others.amax(1, keepdim=True)
    mass = (others - peak).exp().sum(1, keepdim=True)
    margin = z.gather(1, hot) - peak - mass.log()
    q, nll = torch.sigmoid(-margin), -torch.nn.functional.logsigmoid(margin)
    share = (others - peak).exp() / mass
    of_mass = 37 + classes / 16 + math.log(classes)
    of_margin = of_mass + 3 * math.log(classes) + 2 * margin.abs()
    value_bound = U * (q * of_margin + 7 * nll)
    gradient = (q * share).scatter(1, hot, -q)
    distance = (peak - others).masked_fill(others.isinf(), 0.0)
    relative = (of_margin + of_mass + 12 + distance).scatter(1, hot, of_margin + 6)
    gradient_bound = U * relative * gradient.abs() + FLUSHED
    return Bounded(nll.squeeze(1), (value_bound + FLUSHED).squeeze(1), gradient, gradient_bound)
