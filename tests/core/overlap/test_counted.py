"""What the positions of regions count; no tensor of their size is made where all count alike."""

from __future__ import annotations

import pytest
import torch

from taylored.core.overlap.batch import read_batch
from taylored.core.overlap.options import OverlapOptions
from taylored.core.plan.options import LinkName


@pytest.mark.parametrize("link", ["softmax", "sigmoid"])
@pytest.mark.parametrize("shape", [(4, 3), (2, 3, 5), (2, 3, 5, 7)])
@pytest.mark.parametrize("average", ["class", "sample"])
def test_class_indices_that_all_count(link: LinkName, shape: tuple[int, ...], average: str) -> None:
    target = torch.randint(shape[1], (shape[0], *shape[2:]))
    options = OverlapOptions(link=link, average=average)
    batch = read_batch(torch.zeros(shape), target, options)
    positions = target[0].numel() if average == "sample" else target.numel()
    groups = shape[0] if average == "sample" else 1
    assert batch.counted().tolist() == [[positions] * 3] * groups
    assert batch.plan.rows.untyped_storage().nbytes() == batch.plan.rows.itemsize
    assert batch.plan.target.data_ptr() == target.data_ptr()


@pytest.mark.parametrize("average", ["class", "sample"])
def test_weights_and_ignored_positions(average: str) -> None:
    target = torch.tensor([[0, 1, -100], [2, 2, 1]])
    options = OverlapOptions(average=average, sample_weight=torch.tensor([[1.0, 2, 4], [0, 1, 3]]))
    by_sample = read_batch(torch.zeros(2, 3, 3), target, options).counted()[:, 0]
    assert by_sample.tolist() == ([3.0, 4.0] if average == "sample" else [7.0])


def test_truths_that_are_ignored_one_by_one() -> None:
    truths = torch.tensor([[[1, 0, -100], [0, 0, 1], [-100, -100, -100]]])
    batch = read_batch(torch.zeros(1, 3, 3), truths, OverlapOptions(link="sigmoid"))
    assert batch.counted().tolist() == [[2.0, 3.0, 0.0]]


@pytest.mark.parametrize("wrong", [-1, 3])
def test_classes_without_a_column(wrong: int) -> None:
    target = torch.tensor([[0, wrong]])
    with pytest.raises(ValueError, match=f"the class {wrong}"):
        read_batch(torch.zeros(1, 3, 2), target, OverlapOptions())


def test_weights_of_samples_with_one_position() -> None:
    """(N, 1) are those of the positions where the logits are (N, C, 1), and not of the samples."""
    options = OverlapOptions(average="sample", sample_weight=torch.tensor([[0.5], [2.0]]))
    batch = read_batch(torch.zeros(2, 3, 1), torch.tensor([[0], [1]]), options)
    assert batch.samples is None
    assert batch.counted()[:, 0].tolist() == [0.5, 2.0]
