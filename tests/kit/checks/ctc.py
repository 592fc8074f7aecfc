"""What CTC owes: the sum over all paths, its gradient, and the weights that all losses share."""

from __future__ import annotations

import torch
from torch import Tensor

from kit.tolerances import close
from references import REFERENCES
from taylored import CTCLoss

G = torch.Generator().manual_seed(2)
INPUT = torch.randn(5, 4, 4, generator=G, dtype=torch.float64)
TARGET = torch.tensor([[1, 2, 3], [1, 1, 0], [3, 0, 0], [0, 0, 0]])
STEPS, LABELS = torch.tensor([5, 4, 5, 3]), torch.tensor([3, 2, 1, 0])
GIVEN = (INPUT, TARGET, STEPS, LABELS)


def gradient(loss: CTCLoss, input: Tensor, *rest: Tensor, **call: Tensor) -> Tensor:
    leaf = input.clone().requires_grad_()
    return torch.autograd.grad(loss(leaf, *rest, **call).sum(), leaf)[0]


def check_values() -> None:
    for blank, target in (
        (0, TARGET),
        (3, torch.tensor([[1, 2, 0], [1, 1, 0], [2, 0, 0], [0, 0, 0]])),
    ):
        leaf = INPUT.clone().requires_grad_()
        expected = REFERENCES["ctc"](leaf, target, STEPS, LABELS, {"blank": blank})
        loss = CTCLoss(blank=blank, reduction="none")
        close(loss(INPUT, target, STEPS, LABELS), expected)
        slope = torch.autograd.grad(expected.sum(), leaf)[0]
        close(gradient(loss, INPUT, target, STEPS, LABELS), slope, 1e-9, 1e-10)
        close(CTCLoss(blank=blank)(INPUT, target, STEPS, LABELS), expected.mean())


def check_weights() -> None:
    values = CTCLoss(reduction="none")(*GIVEN)
    weight = torch.tensor([0.0, 2.0, 1.0, 3.0]).double()
    close(CTCLoss()(*GIVEN, sample_weight=weight), (weight * values).sum() / 4)
    close(CTCLoss()(*GIVEN, normalizer=2.0), values.sum() / 2)
    half = INPUT.half()
    assert CTCLoss()(half, TARGET, STEPS, LABELS).dtype == torch.float32
    close(CTCLoss()(half, TARGET, STEPS, LABELS), CTCLoss()(half.double(), *GIVEN[1:]), 1e-5, 1e-5)
