"""Losses of their own, piece by piece: the same numbers as composed, and nothing large beside."""

from __future__ import annotations

import contextlib
import math
from collections.abc import Iterator
from typing import Any
from unittest import mock

import pytest
import torch
from torch import Tensor
from torch.utils._python_dispatch import TorchDispatchMode
from torch.utils.checkpoint import checkpoint

import taylored
from kit.elementwise import target_of
from taylored.core.engine import blocked, elementwise_pass, executors
from taylored.core.engine.element_loss import element_loss
from taylored.core.engine.elementwise import ElementBatch, Values
from taylored.core.links.margins import margins_and_pullback, margins_of
from taylored.core.plan.options import LinkName, Options, Reduction
from taylored.core.terms.point import Point

LINKS: tuple[LinkName, ...] = ("softmax", "sigmoid")
SHAPES = ((9, 5), (3, 5, 4), (2, 5, 2, 3), (9, 2))
REDUCTIONS: tuple[Reduction, ...] = ("none", "sum", "mean", "batch_mean")


@contextlib.contextmanager
def in_pieces(size: int) -> Iterator[None]:
    """Pieces of about so many logits, and everything in pieces."""
    with mock.patch.object(blocked, "BLOCK_ELEMENTS", size), executors.only("blocked"):
        yield


def everything(at: Point, y: Tensor, size: Tensor) -> Tensor:
    """Uses all that a loss may: p, q, their logarithms, the margin and a number per position."""
    both = y * at.q * at.log_p + (1 - y) * at.p * at.log_q
    return 1e-3 * y * at.margin - both * size + at.complement().q_power(1.5)


def drawn(shape: tuple[int, ...]) -> Tensor:
    generator = torch.Generator().manual_seed(2)
    return 3 * torch.randn(shape, dtype=torch.float64, generator=generator)


def beside(shape: tuple[int, ...]) -> Tensor:
    flat = (shape[0], 1, *([math.prod(shape[2:])] if len(shape) > 2 else []))
    return torch.linspace(0.5, 2, math.prod(flat)).double().reshape(flat)


def check_pieces(link: LinkName, kind: str, shape: tuple[int, ...], reduction: Reduction) -> None:
    logits, target, size = drawn(shape), target_of(kind, link, shape), beside(shape)
    weight = torch.linspace(0, 3, shape[1]).double()
    options = Options(link=link, weight=weight, reduction=reduction)

    def found() -> tuple[Tensor, Tensor, Tensor]:
        z = logits.clone().requires_grad_()
        loss = element_loss(z, target, everything, options, size)
        (gradient,) = torch.autograd.grad((loss * 1.7).sum(), z)
        with torch.no_grad():
            alone = element_loss(z, target, everything, options, size)
        return loss.detach(), gradient, alone

    with executors.only("whole"):
        expected = found()
    for cut in (1, 7, 25):
        with in_pieces(cut):
            for left, right in zip(found(), expected, strict=True):
                torch.testing.assert_close(left, right, rtol=1e-11, atol=1e-14)


@pytest.mark.parametrize("reduction", REDUCTIONS)
@pytest.mark.parametrize("kind", ["index", "dense"])
@pytest.mark.parametrize("link", LINKS)
@pytest.mark.parametrize("shape", SHAPES)
def test_pieces_are_the_whole(
    shape: tuple[int, ...], link: LinkName, kind: str, reduction: Reduction
) -> None:
    check_pieces(link, kind, shape, reduction)


@pytest.mark.parametrize("scale", [1.0, 30.0, 1e4])
@pytest.mark.parametrize("shape", [(6, 5), (2, 5, 3)])
def test_the_way_back_from_the_margins(shape: tuple[int, ...], scale: float) -> None:
    z = scale * drawn(shape)
    z[0, -1] = z[0].max()  # a tie
    plan = mock.Mock(link="softmax")
    margins, pull_back = margins_and_pullback(z.clone(), plan)
    leaf = z.clone().requires_grad_()
    expected = margins_of(leaf)
    torch.testing.assert_close(margins, expected.detach(), rtol=1e-12, atol=1e-12)
    pulls = drawn(shape).flip(0)
    (gradient,) = torch.autograd.grad(expected, leaf, pulls)
    torch.testing.assert_close(pull_back(pulls), gradient, rtol=1e-9, atol=1e-12)


def test_a_fault_is_noticed(monkeypatch: pytest.MonkeyPatch) -> None:
    """The softmax forgotten on the way back; what is beside cut in the wrong place."""
    original = elementwise_pass.margins_and_pullback
    with monkeypatch.context() as patch:
        patch.setattr(
            elementwise_pass,
            "margins_and_pullback",
            lambda z, plan: (original(z, plan)[0], lambda g: g),
        )
        with pytest.raises(AssertionError):
            check_pieces("softmax", "index", (9, 5), "sum")
    with monkeypatch.context() as patch:
        cut = ElementBatch.piece
        first = (slice(0, 1), slice(None))

        def misplaced(given: ElementBatch, place: tuple[slice, ...]) -> ElementBatch:
            piece = cut(given, place)
            return ElementBatch(piece.logits, piece.plan, (cut(given, first).beside[0],))

        patch.setattr(ElementBatch, "piece", misplaced)
        with pytest.raises(AssertionError):
            check_pieces("sigmoid", "dense", (9, 5), "sum")


@pytest.mark.parametrize("link", LINKS)
def test_every_derivative(link: LinkName) -> None:
    target, size = target_of("dense", "softmax", (4, 3)), beside((4, 3))
    options = Options(link=link, ignore_index=None)

    def loss(z: Tensor) -> Tensor:
        return element_loss(z, target, everything, options, size)

    z = drawn((4, 3)).requires_grad_()
    with in_pieces(3):
        assert torch.autograd.gradcheck(loss, (z,), check_forward_ad=True)
        assert torch.autograd.gradgradcheck(loss, (z,))
        (plain,) = torch.autograd.grad(loss(z), z)
        torch.testing.assert_close(torch.func.grad(loss)(z.detach()), plain)
        rows = torch.func.vmap(lambda row, y, s: element_loss(row, y, everything, options, s))(
            z.detach().unsqueeze(1), target.unsqueeze(1), size.unsqueeze(1)
        )
        torch.testing.assert_close(rows.mean(), loss(z).detach())


def test_gradients_to_everything_that_wants_one() -> None:
    """Targets, class weights, what is beside, and numbers that the values bring along."""
    logits, y = drawn((4, 3)), target_of("dense", "softmax", (4, 3))
    weight, size, factor = torch.rand(3).double(), beside((4, 3)), torch.rand(3).double()

    def function(z: Tensor, y: Tensor, weight: Tensor, size: Tensor, factor: Tensor) -> Tensor:
        options = Options(link="sigmoid", weight=weight, ignore_index=None)

        def values(at: Point, y: Tensor, size: Tensor) -> Tensor:
            return everything(at, y, size) * factor

        return element_loss(z, y, values, options, size)

    given = [logits, y, weight, size, factor]
    for chosen in range(1, len(given)):
        inputs = [each.clone().requires_grad_(i in (0, chosen)) for i, each in enumerate(given)]
        with in_pieces(3):
            assert torch.autograd.gradcheck(function, inputs, check_forward_ad=True)


def test_without_a_look_at_the_values_a_gradient_would_be_lost(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    monkeypatch.setattr(elementwise_pass.Elementwise, "reaches_further", lambda self, given: False)
    with pytest.raises(AssertionError):
        check_captured()


def check_captured() -> None:
    factor = torch.rand(5).requires_grad_()
    values: Values = lambda at, y: -y * at.log_p * factor  # noqa: E731
    with in_pieces(7):
        z = drawn((9, 5)).float().requires_grad_()
        loss = element_loss(z, torch.arange(9) % 5, values, Options())
        wanted = torch.autograd.grad(loss, [z, factor], allow_unused=True)
    assert wanted[1] is not None


def test_captured_numbers_get_their_gradient() -> None:
    check_captured()


OWN_LOSSES = (
    "quality_focal",
    "quality_focal(beta=0.7)",
    "varifocal",
    "ghm",
    "ghm(momentum=0.5)",
    "distribution_balanced",
    "equalized_quality_focal",
    "asymmetric_single_label",
)


def built(text: str) -> torch.nn.Module:
    known: dict[str, Any] = {"counts": [50, 20, 9, 4, 1], "num_samples": 60, "num_classes": 5}
    return taylored.get(text, **known)


class Largest(TorchDispatchMode):
    """Counts the new tensors as large as the logits."""

    def __init__(self, least: int) -> None:
        super().__init__()
        self.least, self.seen = least, set[int]()
        self.kept: list[Tensor] = []

    def __torch_dispatch__(
        self, func: Any, types: Any, args: Any = (), kwargs: Any = None
    ) -> object:
        result = func(*args, **(kwargs or {}))
        for each in result if isinstance(result, (tuple, list)) else (result,):
            if isinstance(each, Tensor) and each.untyped_storage().nbytes() >= 4 * self.least:
                self.kept.append(each)  # alive, so that no address is given out twice
                self.seen.add(each.untyped_storage().data_ptr())
        return result


@pytest.mark.parametrize("text", OWN_LOSSES)
@pytest.mark.parametrize("path", ["pieces", "whole"])
def test_one_buffer_as_large_as_the_logits(text: str, path: str) -> None:
    loss = built(text)
    logits, index = drawn((400, 5)).float().requires_grad_(), torch.arange(400) % 5
    ways = {"pieces": in_pieces(50), "whole": executors.only("whole")}
    with ways[path], Largest(logits.numel()) as largest:
        torch.autograd.grad(loss(logits, index), logits)
    given = {each.untyped_storage().data_ptr() for each in (logits, index)}
    count = len(largest.seen - given)
    assert count == 1 if path == "pieces" else count > 5  # the other way round: it can count


@pytest.mark.parametrize("reentrant", [False, True])
def test_hooks_on_saved_tensors_see_what_is_kept(reentrant: bool) -> None:
    loss, index = built("quality_focal"), torch.arange(400) % 5
    packed: list[Tensor] = []
    z = drawn((400, 5)).float().requires_grad_()
    with in_pieces(50):
        keep, back = lambda t: packed.append(t) or t, lambda t: t
        with torch.autograd.graph.saved_tensors_hooks(keep, back):
            value = loss(z, index)
        assert len(packed) == 3  # logits, target, gradient
        (expected,) = torch.autograd.grad(value, z)
        checkpoint(lambda x: loss(x, index), z, use_reentrant=reentrant).backward()
    assert z.grad is not None
    torch.testing.assert_close(z.grad, expected)


@pytest.mark.parametrize("dtype", [torch.float16, torch.bfloat16])
def test_half_precision(dtype: torch.dtype) -> None:
    """Small gradients survive until the loss scale of mixed precision arrives."""
    z = drawn((400, 5)).to(dtype).requires_grad_()
    with in_pieces(50):
        loss = built("varifocal")(z, torch.arange(400) % 5)
        (loss * 4096).backward()
    assert loss.dtype == torch.float32
    assert z.grad is not None
    assert z.grad.dtype == dtype
    wide = z.detach().float().requires_grad_()
    (built("varifocal")(wide, torch.arange(400) % 5) * 4096).backward()
    assert wide.grad is not None
    torch.testing.assert_close(z.grad.float(), wide.grad, rtol=1e-2, atol=1e-3)


def test_compiled_it_is_one_expression() -> None:
    loss = built("quality_focal")
    z = drawn((400, 5)).float().requires_grad_()
    with in_pieces(50):
        compiled = torch.compile(loss, fullgraph=True, backend="aot_eager")
        found = compiled(z, torch.arange(400) % 5)
        torch.testing.assert_close(found, loss(z, torch.arange(400) % 5))
