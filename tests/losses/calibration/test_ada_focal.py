"""AdaFocal's gammas: where they go, and that every executor reads them alike."""

from __future__ import annotations

import math

import pytest
import torch

from kit.executors import PATHS, running
from taylored import AdaFocalLoss


def validation(size: int = 300) -> tuple[torch.Tensor, torch.Tensor]:
    generator = torch.Generator().manual_seed(5)
    logits = 3.0 * torch.randn(size, 4, generator=generator, dtype=torch.float64)
    return logits, torch.randint(4, (size,), generator=generator)


def stepped(gamma: float, gap: float, rate: float = 1.0) -> float:
    """Algorithm 1 of the paper, for one bin."""
    moved = gamma * math.exp(rate * gap if gamma > 0 else -rate * gap)
    if abs(moved) < 0.2:
        moved = -0.2 if moved > 0 else 0.2
    return max(min(moved, 20.0), -2.0)


@pytest.mark.parametrize("initial", [1.0, 0.21, -0.25, 19.0, -1.9])
def test_each_bin_takes_the_published_step(initial: float) -> None:
    logits, target = validation()
    loss = AdaFocalLoss(initial=initial, bins=6)
    loss.adapt(logits, target)
    probability = logits.softmax(1)
    ranked = sorted(range(300), key=lambda i: probability[i].max().item())
    for number in range(6):
        members = ranked[50 * number : 50 * number + 50]
        confident = sum(probability[i].max().item() for i in members) / 50
        right = sum(int(probability[i].argmax() == target[i]) for i in members) / 50
        assert loss.gammas[number].item() == pytest.approx(stepped(initial, confident - right))


@pytest.mark.parametrize("gap", [0.5, -0.5])
@pytest.mark.parametrize("gamma", [0.25, -0.25, 15.0, -1.9])
def test_small_gammas_change_sides_and_large_ones_are_bounded(gamma: float, gap: float) -> None:
    loss = AdaFocalLoss(initial=gamma, bins=1)
    moved = loss._moved(torch.tensor([gap], dtype=torch.float64))
    assert moved.item() == pytest.approx(stepped(gamma, gap))


@pytest.mark.parametrize("path", PATHS)
def test_a_gamma_per_bin_on_every_executor(path: str) -> None:
    logits, target = validation(40)
    loss = AdaFocalLoss(bins=4, reduction="none")
    loss.gammas.copy_(torch.tensor([2.5, -0.5, 0.7, -2.0]))
    p = logits.softmax(1)[torch.arange(40), target]
    given = logits.clone().requires_grad_()
    with running(path):
        value = loss(given, target)
        value.sum().backward()
    gammas = [[2.5, -0.5, 0.7, -2.0][min(3, int(4 * x))] for x in p]
    expected = [
        -((1 - x) ** g if g >= 0 else (1 + x) ** -g) * math.log(x)
        for x, g in zip(p.tolist(), gammas, strict=True)
    ]
    torch.testing.assert_close(value.detach(), torch.tensor(expected, dtype=torch.float64))
    free = logits.clone().requires_grad_()
    chosen, kept = torch.tensor(gammas), free.softmax(1)[torch.arange(40), target]
    base = torch.where(chosen >= 0, 1 - kept, 1 + kept)
    (-(base ** chosen.abs()) * kept.log()).sum().backward()
    torch.testing.assert_close(given.grad, free.grad)


def test_ignored_samples_do_not_adapt() -> None:
    logits, target = validation()
    apart, whole = AdaFocalLoss(ignore_index=3), AdaFocalLoss(ignore_index=3)
    apart.adapt(logits[target != 3], target[target != 3])
    whole.adapt(logits, target)
    assert torch.equal(apart.gammas, whole.gammas)
    assert not torch.equal(apart.gammas, AdaFocalLoss().gammas)


def test_nothing_is_ignored_where_no_class_is() -> None:
    every, usual = AdaFocalLoss(ignore_index=None), AdaFocalLoss()
    for loss in (every, usual):
        loss.adapt(*validation())
    assert torch.equal(every.gammas, usual.gammas)


def test_the_state_is_kept() -> None:
    loss, again = AdaFocalLoss(), AdaFocalLoss()
    loss.adapt(*validation())
    again.load_state_dict(loss.half().state_dict())
    assert again.gammas.dtype == torch.float64
    assert torch.equal(again.gammas, loss.gammas)
    assert torch.equal(again(*validation()), loss(*validation()))


def test_what_does_not_fit_is_refused() -> None:
    logits, target = validation(10)
    with pytest.raises(ValueError, match="`logits` must be at least 15 samples that count"):
        AdaFocalLoss().adapt(logits, target)
    with pytest.raises(ValueError, match="`target` must be"):
        AdaFocalLoss(bins=2).adapt(logits, logits.softmax(1))
