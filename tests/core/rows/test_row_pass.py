"""One value per position in pieces: the numbers, layouts and derivatives of the whole."""

from __future__ import annotations

import pytest
import torch
from torch import Tensor

from kit.executors import running
from kit.tolerances import close
from taylored.core.plan.options import Options
from taylored.core.rows import row_pass
from taylored.core.rows.row_loss import row_loss, set_loss

SHAPES = ((9, 5), (3, 5, 4), (2, 5, 2, 3))


def squared(z: Tensor, y: Tensor) -> Tensor:
    return ((torch.softmax(z, 1) - y) ** 2).sum(1)


def counted_only(z: Tensor, y: Tensor, counted: Tensor) -> Tensor:
    return torch.where(counted, (z - y) ** 2, 0.0).sum(1)


def drawn(shape: tuple[int, ...]) -> tuple[Tensor, Tensor]:
    generator = torch.Generator().manual_seed(len(shape))
    logits = torch.randn(shape, generator=generator, dtype=torch.float64)
    target = torch.randint(shape[1], shape[:1] + shape[2:], generator=generator)
    target.view(-1)[1] = -100
    return logits, target


def found(path: str, logits: Tensor, target: Tensor, options: Options) -> tuple[Tensor, Tensor]:
    z = logits.clone(memory_format=torch.preserve_format).requires_grad_()
    with running(path):
        loss = row_loss(z, target, squared, options)
        (gradient,) = torch.autograd.grad(loss.sum(), z)
    return loss.detach(), gradient


@pytest.mark.parametrize("shape", SHAPES)
@pytest.mark.parametrize("reduction", ["none", "sum", "mean", "batch_mean"])
@pytest.mark.parametrize("weight", [None, [1.0, 0.0, 2.0, 0.5, 3.0]])
def test_pieces_are_the_whole(
    shape: tuple[int, ...], reduction: str, weight: list[float] | None
) -> None:
    logits, target = drawn(shape)
    for smoothing in (0.0, 0.1):
        options = Options(reduction=reduction, weight=weight, label_smoothing=smoothing)
        for one, other in zip(
            found("blocked", logits, target, options),
            found("composed", logits, target, options),
            strict=True,
        ):
            close(one, other)


def test_the_gradient_has_the_layout_of_the_logits() -> None:
    logits, target = drawn((2, 5, 2, 3))
    last = logits.contiguous(memory_format=torch.channels_last)
    _, gradient = found("blocked", last, target, Options())
    assert gradient.stride() == last.stride()


def test_positions_of_which_no_class_counts_cost_nothing() -> None:
    logits, _ = drawn((4, 5))
    target = torch.zeros(4, 5, dtype=torch.float64)
    target[1], target[2, :2] = -100, -100
    logits[1] = torch.nan
    for path in ("blocked", "composed"):
        with running(path):
            each = set_loss(logits, target, counted_only, Options(link="sigmoid", reduction="none"))
            mean = set_loss(logits, target, counted_only, Options(link="sigmoid"))
        assert each[1] == 0
        close(each[2], (logits[2, 2:] ** 2).sum())
        close(mean, each.sum() / 3)


def check_captured() -> None:
    """A factor inside of the values has a gradient too."""
    factor = torch.ones((), requires_grad=True)
    logits, target = drawn((9, 5))
    z = logits.requires_grad_()
    with running("blocked"):
        loss = row_loss(z, target, lambda z, y: squared(z, y) * factor, Options())
    wanted = torch.autograd.grad(loss, [z, factor], allow_unused=True)
    assert wanted[1] is not None


def test_gradients_of_what_the_values_bring_along() -> None:
    check_captured()


def test_faults_are_noticed(monkeypatch: pytest.MonkeyPatch) -> None:
    """A look at the values left out; the weight of a position forgotten."""
    with monkeypatch.context() as patch:
        patch.setattr(row_pass.Rows, "reaches_further", lambda self, given: False)
        with pytest.raises((AssertionError, RuntimeError)):
            check_captured()
    with monkeypatch.context() as patch:
        whole = row_pass.Rows.each_and_gradient
        patch.setattr(
            row_pass.Rows, "each_and_gradient", lambda self, given: (whole(self, given)[0] * 2,
                                                                     whole(self, given)[1])
        )  # fmt: skip
        with pytest.raises(AssertionError):
            test_pieces_are_the_whole((9, 5), "mean", None)
