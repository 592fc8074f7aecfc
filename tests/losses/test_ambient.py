"""A default device or dtype changes nothing about a loss of tensors that have their own."""

from __future__ import annotations

import sys

import pytest
import torch

from kit import copies
from kit.ambient import STATES
from kit.traits import COUNTS
from taylored import FocalLoss, catalog


@pytest.mark.parametrize("state", STATES)
def test_every_loss_where_a_default_is_set(state: str) -> None:
    done = copies.run(
        [sys.executable, "-m", "kit.ambient", state],
        capture_output=True,
        text=True,
    )
    assert done.returncode == 0, done.stderr[-2000:]  # negative: a signal
    assert done.stdout == ""


@pytest.mark.parametrize("name", catalog.SPECS)
def test_losses_go_to_the_meta_device_and_come_back(name: str) -> None:
    spec = catalog.SPECS[name]
    loss = catalog.get(spec.examples[0], counts=COUNTS)
    before = {key: buffer.clone() for key, buffer in loss.named_buffers()}
    gone = loss.to("meta")
    assert all(buffer.is_meta for buffer in gone.buffers())
    assert repr(gone)
    back = gone.to_empty(device="cpu")
    for key, buffer in back.named_buffers():
        assert torch.equal(buffer, before[key])
        assert buffer.dtype == before[key].dtype


def test_a_list_goes_to_the_default_device_and_a_tensor_stays() -> None:
    weight = torch.ones(3)
    with torch.device("meta"):
        assert FocalLoss(weight=[1.0, 2.0, 3.0]).weight.is_meta
        assert FocalLoss(weight=weight).weight.is_cpu
