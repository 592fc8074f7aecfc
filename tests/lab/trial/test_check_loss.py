"""Losses are checked before a run, at a cost that does not grow with the square of the classes."""

from __future__ import annotations

import pytest
import torch.nn.functional as F
from torch import Tensor

from taylored.lab.trial.check_loss import check_loss


@pytest.mark.parametrize(("classes", "rows"), [(3, 8), (71, 71), (1000, 1000), (50_000, 20)])
def test_a_loss_is_checked_on_a_bounded_number_of_logits(classes: int, rows: int) -> None:
    seen: list[tuple[int, ...]] = []

    def recording(logits: Tensor, target: Tensor) -> Tensor:
        seen.append(tuple(logits.shape))
        return F.cross_entropy(logits, target)

    check_loss("recording", recording, classes, "single-label")
    assert seen == [(rows, classes)]
