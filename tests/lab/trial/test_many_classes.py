"""What must not grow with the square of the number of classes, and must not change for that."""

from __future__ import annotations

import numpy as np
import pytest
import torch
import torch.nn.functional as F
from torch import Tensor

from taylored import GradientRatio, catalog
from taylored.lab.data.dataset import TEST, TRAIN, VALIDATION
from taylored.lab.data.splits import _draw, _held_out
from taylored.lab.trial.check_loss import check_loss
from taylored.lab.trial.watched_loss import WatchedLoss
from taylored.core.written import literal


@pytest.mark.parametrize(("classes", "rows"), [(3, 8), (71, 71), (1000, 1000), (50_000, 20)])
def test_a_loss_is_checked_on_a_bounded_number_of_logits(classes: int, rows: int) -> None:
    seen: list[tuple[int, ...]] = []

    def recording(logits: Tensor, target: Tensor) -> Tensor:
        seen.append(tuple(logits.shape))
        return F.cross_entropy(logits, target)

    check_loss("recording", recording, classes, "single-label")
    assert seen == [(rows, classes)]


@pytest.mark.parametrize("seed", [0, 7])
def test_the_split_is_what_a_look_at_every_class_gives(seed: int) -> None:
    labels = np.random.default_rng(seed).zipf(1.5, 3000) % 40
    labels[labels == 11] = 12  # a class without samples
    generator = np.random.Generator(np.random.PCG64(seed))
    expected = np.full(len(labels), TRAIN)
    for label in range(41):
        rows = np.flatnonzero(labels == label)
        rows = rows[np.argsort(generator.random(len(rows)), kind="stable")]
        test, validation = _held_out(len(rows))
        expected[rows[:test]] = TEST
        expected[rows[test : test + validation]] = VALIDATION
    assert np.array_equal(_draw(labels, 41, seed), expected)


@pytest.mark.parametrize("dtype", [torch.float64, torch.float32, torch.bfloat16, torch.float16])
def test_numbers_are_written_with_the_fewest_digits_that_give_them_back(dtype: torch.dtype) -> None:
    generator = torch.Generator().manual_seed(0)
    wide = torch.randn(300, generator=generator, dtype=torch.float64)
    values = (wide * 10.0 ** torch.arange(-4, 2).repeat(50)).to(dtype)
    values[:6] = torch.tensor([0.0, -0.0, 1.0, 900.0, 0.1, 1 / 3], dtype=torch.float64).to(dtype)
    texts = literal(values)[1:-1].split(", ")
    assert torch.equal(torch.tensor([float(text) for text in texts], dtype=dtype), values)
    assert texts[:4] == ["0", "0", "1", "9e+02"]
    for text, value in zip(texts, values, strict=True):
        digits = len(text.lower().split("e")[0].lstrip("-0.").replace(".", ""))
        shorter = f"{value.item():.{max(digits - 1, 1)}g}"
        assert digits <= 1 or torch.tensor(float(shorter), dtype=dtype) != value
    assert literal(torch.tensor([3, 0])) == "[3, 0]"
    assert literal(values[4]) == texts[4]


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
