"""CrossEntropyLoss and BinaryCrossEntropyLoss are torch's, over every combination of options."""

from __future__ import annotations

import itertools

import pytest
import torch
import torch.nn.functional as F
from torch import Tensor

from kit.executors import PATHS, running
from taylored import (
    BalancedCrossEntropyLoss,
    BinaryCrossEntropyLoss,
    CrossEntropyLoss,
    binary_cross_entropy_loss,
    cross_entropy_loss,
)

C = 4
SHAPES = {2: (7, C), 3: (5, C, 3), 4: (3, C, 2, 3), 5: (2, C, 2, 3, 2)}
REDUCTIONS = ("none", "sum", "mean")
WEIGHT = torch.tensor([0.2, 1.0, 0.0, 3.5], dtype=torch.float64)


def draw(shape: tuple[int, ...], seed: int = 0) -> Tensor:
    generator = torch.Generator().manual_seed(seed)
    return 3 * torch.randn(shape, generator=generator, dtype=torch.float64)


def agree(ours, theirs, logits: Tensor) -> None:
    """Value and gradient, the gradient under an uneven upstream gradient."""
    a, b = (logits.clone().requires_grad_() for _ in range(2))
    left, right = ours(a), theirs(b)
    torch.testing.assert_close(left, right, rtol=1e-10, atol=1e-13)
    upstream = torch.linspace(0.5, 2, left.numel(), dtype=left.dtype).reshape(left.shape)
    left.backward(upstream)
    right.backward(upstream)
    torch.testing.assert_close(a.grad, b.grad, rtol=1e-10, atol=1e-13)


@pytest.mark.parametrize("path", PATHS)
@pytest.mark.parametrize("reduction", REDUCTIONS)
@pytest.mark.parametrize("weight", [None, WEIGHT], ids=["unweighted", "weighted"])
@pytest.mark.parametrize("dims", SHAPES)
def test_cross_entropy_with_class_indices(
    dims: int, weight: Tensor | None, reduction: str, path: str
) -> None:
    shape = SHAPES[dims]
    positions = shape[:1] + shape[2:]
    logits = draw(shape)
    classes = torch.randint(C, positions, generator=torch.Generator().manual_seed(1))
    for ignore, smoothing in itertools.product((-100, -1, 1, 255), (0.0, 0.1, 0.7, 1.0)):
        target = classes.clone()
        target.view(-1)[::3] = ignore
        options = {
            "weight": weight,
            "ignore_index": ignore,
            "label_smoothing": smoothing,
            "reduction": reduction,
        }
        with running(path):
            agree(
                lambda z, y=target, o=options: CrossEntropyLoss(**o)(z, y),
                lambda z, y=target, o=options: F.cross_entropy(z, y, **o),
                logits,
            )


@pytest.mark.parametrize("path", PATHS)
@pytest.mark.parametrize("reduction", REDUCTIONS)
@pytest.mark.parametrize("weight", [None, WEIGHT], ids=["unweighted", "weighted"])
@pytest.mark.parametrize("dims", SHAPES)
def test_cross_entropy_with_probabilities(
    dims: int, weight: Tensor | None, reduction: str, path: str
) -> None:
    logits = draw(SHAPES[dims])
    target = torch.softmax(draw(SHAPES[dims], seed=2), dim=1)
    for ignore, smoothing in itertools.product((-100, 1, None), (0.0, 0.1, 0.7, 1.0)):
        options = {"weight": weight, "label_smoothing": smoothing, "reduction": reduction}
        with running(path):
            agree(
                # torch refuses an ignore_index >= 0 here; it must make no difference.
                lambda z, i=ignore, o=options: CrossEntropyLoss(**o, ignore_index=i)(z, target),
                lambda z, o=options: F.cross_entropy(z, target, **o),
                logits,
            )


@pytest.mark.parametrize("reduction", REDUCTIONS)
def test_cross_entropy_of_one_unbatched_sample(reduction: str) -> None:
    logits = draw((C,))
    soft = torch.softmax(draw((C,), seed=3), dim=0)
    for target in (torch.tensor(3), torch.tensor(-100), soft):
        if reduction == "mean" and target.dim() == 0 and target == -100:
            assert cross_entropy_loss(logits, target).item() == 0.0  # torch gives nan
            continue
        agree(
            lambda z, y=target: cross_entropy_loss(z, y, weight=WEIGHT, reduction=reduction),
            lambda z, y=target: F.cross_entropy(z, y, weight=WEIGHT, reduction=reduction),
            logits,
        )


@pytest.mark.parametrize("dtype", [torch.uint8, torch.int8, torch.int16, torch.int32])
def test_class_indices_of_any_whole_dtype(dtype: torch.dtype) -> None:
    logits, target = draw((7, C)), torch.arange(7) % C
    expected = F.cross_entropy(logits, target)
    torch.testing.assert_close(cross_entropy_loss(logits, target.to(dtype)), expected)


def test_bytes_are_not_taken_for_negative_markers() -> None:
    logits, target = draw((3, 200)), torch.tensor([156, 3, 199])  # 156 is -100 modulo 256
    expected = F.cross_entropy(logits, target, reduction="none")
    found = cross_entropy_loss(logits, target.to(torch.uint8), reduction="none")
    torch.testing.assert_close(found, expected)


def test_a_batch_of_ignored_positions_is_zero_where_torch_gives_nan() -> None:
    logits, target = draw((7, C)).requires_grad_(), torch.full((7,), -100)
    assert F.cross_entropy(logits, target).isnan()
    loss = cross_entropy_loss(logits, target)
    loss.backward()
    assert loss.item() == 0.0
    assert logits.grad.abs().max() == 0.0


BINARY_SHAPES = {1: (6,), **SHAPES}


@pytest.mark.parametrize("path", PATHS)
@pytest.mark.parametrize("reduction", REDUCTIONS)
@pytest.mark.parametrize("kind", ["hard", "soft"])
@pytest.mark.parametrize("dims", BINARY_SHAPES)
def test_binary_cross_entropy(dims: int, kind: str, reduction: str, path: str) -> None:
    shape = BINARY_SHAPES[dims]
    logits, target = draw(shape), torch.sigmoid(draw(shape, seed=4))
    target = (target > 0.5).double() if kind == "hard" else target
    classes = shape[1] if dims > 1 else 1
    per_class = torch.tensor([0.3, 1.0, 0.0, 4.0], dtype=torch.float64)[:classes]

    def broadcast(values: Tensor | None) -> Tensor | None:
        return None if values is None else values.reshape(-1, *[1] * max(0, dims - 2))

    for weight, positive in itertools.product((None, per_class), (None, 2.5, per_class + 0.5)):
        scale = torch.as_tensor(positive, dtype=torch.float64) if positive is not None else None
        with running(path):
            agree(
                lambda z, w=weight, p=positive: BinaryCrossEntropyLoss(
                    weight=w, pos_weight=p, reduction=reduction
                )(z, target),
                lambda z, w=weight, p=scale: F.binary_cross_entropy_with_logits(
                    z, target, broadcast(w), pos_weight=broadcast(p), reduction=reduction
                ),
                logits,
            )


@pytest.mark.parametrize("dtype", [torch.bool, torch.uint8, torch.int64, torch.float32])
def test_hard_targets_of_any_dtype(dtype: torch.dtype) -> None:
    logits, target = draw((6, C)), (draw((6, C), seed=5) > 0).to(dtype)
    expected = F.binary_cross_entropy_with_logits(logits, target.double())
    torch.testing.assert_close(
        binary_cross_entropy_loss(logits, target, ignore_index=None), expected
    )
    torch.testing.assert_close(binary_cross_entropy_loss(logits, target), expected)


def test_element_weights_of_torch_are_sample_weights() -> None:
    logits, target = draw((6, C)), torch.sigmoid(draw((6, C), seed=6))
    weight = torch.rand((6, C), generator=torch.Generator().manual_seed(7), dtype=torch.float64)
    agree(
        lambda z: binary_cross_entropy_loss(z, target, sample_weight=weight),
        lambda z: F.binary_cross_entropy_with_logits(z, target, weight),
        logits,
    )


def test_alpha_is_a_rescaled_pos_weight() -> None:
    logits, target = draw((6, C)), torch.sigmoid(draw((6, C), seed=8))
    for alpha in (0.1, 0.5, 0.75):
        ratio = torch.tensor(alpha / (1 - alpha), dtype=torch.float64)
        agree(
            lambda z, a=alpha: BalancedCrossEntropyLoss(alpha=a)(z, target),
            lambda z, a=alpha, r=ratio: (
                (1 - a) * F.binary_cross_entropy_with_logits(z, target, pos_weight=r)
            ),
            logits,
        )
