"""Counting the gradient in the backward of the training step."""

from __future__ import annotations

import pytest
import torch

from taylored import GradientRatio, catalog
from taylored.lab.trial.watched_loss import WatchedLoss


@pytest.mark.parametrize("text", ["focal(gamma=2)", "sigmoid_eql", "seesaw", "ghm"])
def test_a_watched_step_counts_what_gradient_ratio_counts(text: str) -> None:
    """To the last bit, or a run would depend on who is looking."""
    groups = ["head", "head", "medium", "tail", "tail"]
    generator = torch.Generator().manual_seed(0)
    watched = WatchedLoss(catalog.get(text, num_classes=5), groups)
    monitor = GradientRatio(catalog.get(text, num_classes=5), num_classes=5, groups=groups)
    for _ in range(3):
        x = torch.randn(8, 5, generator=generator, requires_grad=True)
        target = torch.randint(5, (8,), generator=generator)
        watched(x * 1.5, target).backward()
        found, x.grad = x.grad, None
        monitor(x * 1.5, target).backward()
        assert found is not None
        assert x.grad is not None
        assert torch.equal(found, x.grad)
    scalars = monitor.scalars()
    ratio = monitor.ratio()
    assert watched.end_epoch() == {
        f"gradient_ratio_{group}": scalars[f"gradient_ratio/{group}"] for group in set(groups)
    }
    assert watched.ratio() == ratio.tolist()
    assert all(value > 0 for value in watched.ratio())
