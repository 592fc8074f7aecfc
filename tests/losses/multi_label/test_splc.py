"""When SPLC corrects labels."""

from __future__ import annotations

import torch

from taylored import SPLCLoss


def test_labels_are_corrected_from_the_start_on_and_after_loading() -> None:
    """SPLC follows the progress, and a checkpoint knows it."""
    loss, wrong = SPLCLoss(start=0.5, reduction="sum"), torch.tensor([[3.0]])
    negative = torch.tensor([[0]])
    before = loss(wrong, negative)
    loss.set_progress(0.4)
    assert loss(wrong, negative) == before
    loss.set_progress(0.5)
    after = loss(wrong, negative)
    assert after < before / 100
    again = SPLCLoss(start=0.5, reduction="sum")
    again.load_state_dict(loss.state_dict())
    assert again(wrong, negative) == after
