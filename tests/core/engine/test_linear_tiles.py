"""Linear heads whose classes are taken a few at a time, as well as the positions."""

from __future__ import annotations

import copy
from collections.abc import Callable

import pytest
import torch
from torch import Tensor, nn

from kit.cases import CLASSES, Case, build, cases, default_dtype, identified
from kit.executors import PATHS, running
from kit.heads import WIDTH, Parts, by_hand, found, parts
from kit.traits import NEED_ALL_LOGITS
from taylored import (
    ArcFaceLoss,
    BinaryCrossEntropyLoss,
    CrossEntropyLoss,
    FocalLoss,
    LinearLogits,
    PolyLoss,
    SigmoidEQLLoss,
    SoftmaxEQLLoss,
    TermLoss,
    ZLoss,
    terms,
)
from taylored.core.engine.linear import sizes, softmax_tiles, tile_walk
from taylored.core.engine.linear.tile import Sink, Tiles


def agree(loss: nn.Module, given: Parts, target: Tensor, **call: Tensor) -> None:
    expected = found(loss(by_hand(*given), target, **call), given)
    actual = found(loss(LinearLogits(*given), target, **call), given)
    for left, right in zip(actual, expected, strict=True):
        torch.testing.assert_close(left, right, rtol=1e-12, atol=1e-14)


@pytest.fixture(autouse=True)
def formed(monkeypatch: pytest.MonkeyPatch) -> list[tuple[int, ...]]:
    """Tiles of three positions and two classes; the shapes of those that were formed."""
    shapes: list[tuple[int, ...]] = []
    original = Tiles.formed

    def forming(self: Tiles, columns: slice) -> Tensor:
        tile = original(self, columns)
        shapes.append(tuple(tile.logits.shape))
        return tile

    monkeypatch.setattr(tile_walk, "few_rows", lambda *given: True)
    monkeypatch.setattr(tile_walk, "tile_shape", lambda *given: (3, 2))
    monkeypatch.setattr(Tiles, "formed", forming)
    return shapes


# --- the whole catalogue ------------------------------------------------------------------------


@pytest.mark.parametrize(**identified(cases(((7, CLASSES), (2, CLASSES, 2, 3)))))
def test_every_loss_agrees(case: Case) -> None:
    if {case.call.innermost().name, case.call.name} & NEED_ALL_LOGITS:
        return
    given, target = parts(case.shape), case.targets()
    unreduced = () if case.call.link() == "sigmoid" else ("none",)
    for reduction in ("sum", "mean", *unreduced):
        loss = build(case.call.having(reduction=reduction))
        for path in PATHS:
            with running(path):
                agree(loss, given, target)


def test_tiles_are_what_runs(formed: list[tuple[int, ...]]) -> None:
    """All for the sums, and all but the last once more for the gradient; rows by themselves."""
    target = torch.arange(7) % CLASSES
    agree(PolyLoss(), parts((7, CLASSES)), target)
    assert formed == [(3, 2), (3, 2), (3, 1), (3, 2), (3, 2)] * 2 + [
        (1, 2), (1, 2), (1, 1), (1, 2), (1, 2)]  # fmt: skip
    formed.clear()
    agree(FocalLoss(link="sigmoid"), parts((4, CLASSES)), target[:4])
    assert formed == [(2, 2), (2, 2), (2, 1)] * 2
    formed.clear()
    for loss in (PolyLoss(label_smoothing=0.1), ZLoss()):
        agree(loss, parts((7, CLASSES)), target)
    assert formed == []


SLOTS = {"weight": [0.5, 1.0, 2.0, 3.0, 0.1], "logit_bias": [1.0, 0.0, -1.0, 0.5, 2.0],
         "temperature": 1.7}  # fmt: skip


@pytest.mark.parametrize("link", ["softmax", "sigmoid"])
@pytest.mark.parametrize("shape", [(8, CLASSES), (3, CLASSES, 4), (2, CLASSES, 2, 3)])
def test_every_slot(link: str, shape: tuple[int, ...]) -> None:
    given, positions = parts(shape), shape[:1] + shape[2:]
    target = torch.randint(CLASSES, positions)
    target.view(-1)[[1, 5]] = -100
    sigmoid = {"alpha": 0.3, "pos_weight": [1.0, 2.0, 3.0, 1.0, 0.5], "label_smoothing": 0.1}
    slots = {
        name: value for name, value in SLOTS.items() if link == "softmax" or "scale" not in name
    }
    slots |= sigmoid if link == "sigmoid" else {}
    gamma = [0.5, 1.0, 1.5, 2.0, 3.0]
    for reduction in ("sum", "mean", "batch_mean"):
        with default_dtype(torch.float64):
            term = terms.power(torch.tensor(gamma)) * terms.nll + 0.7 * terms.power(2)
            loss = TermLoss(term, link=link, reduction=reduction, **slots)
        agree(loss, given, target, sample_weight=torch.rand(positions, dtype=torch.float64))
        if reduction == "mean":
            agree(loss, given, target, normalizer=torch.tensor(3.0))
    if link == "sigmoid":
        dense = torch.rand(shape, dtype=torch.float64)
        agree(loss, given, dense, sample_weight=torch.rand(shape, dtype=torch.float64))
        dense.view(-1)[::3] = -100
        agree(loss, given, dense)


@pytest.mark.parametrize("softcap", [None, 1.5])
@pytest.mark.parametrize("loss", [ArcFaceLoss(scale=3.0), PolyLoss(), FocalLoss(link="sigmoid")])
def test_margins_and_caps(loss: nn.Module, softcap: float | None) -> None:
    given = parts((7, CLASSES))
    target = torch.arange(7) % CLASSES
    input = LinearLogits(*given, softcap=softcap)
    expected = found(loss(input.logits(), target), given)
    for left, right in zip(found(loss(input, target), given), expected, strict=True):
        torch.testing.assert_close(left, right, rtol=1e-12, atol=1e-14)


@pytest.mark.parametrize("kind", ["softmax", "sigmoid"])
def test_counted_gradients(kind: str) -> None:
    with default_dtype(torch.float64):
        first = SoftmaxEQLLoss(FocalLoss(), num_classes=CLASSES)
        if kind == "sigmoid":
            first = SigmoidEQLLoss(num_classes=CLASSES)
    losses = [first, copy.deepcopy(first)]
    for step in range(5):
        given = parts((8, CLASSES), seed=step)
        target = torch.randint(CLASSES, (8,), generator=torch.Generator().manual_seed(step))
        target[step] = -100
        for loss, make in zip(losses, (by_hand, LinearLogits), strict=True):
            loss(make(*given), target).backward()
    for name, buffer in losses[0].state_dict().items():
        torch.testing.assert_close(losses[1].state_dict()[name], buffer, rtol=1e-9, atol=1e-12)
    assert losses[1].indicator.steps == 5


# --- numbers at their ends ----------------------------------------------------------------------


@pytest.mark.parametrize("bias", [None, [0.25, -0.5, 0.0, 0.125, 1.0]])
@pytest.mark.parametrize("temperature", [1.0, 2.0])
def test_a_common_offset_costs_no_digit(bias: list[float] | None, temperature: float) -> None:
    loss = TermLoss(terms.nll, logit_bias=bias, temperature=temperature)
    small = torch.tensor([[1.0, 2.0, -3.0, 0.0, 4.0], [0.0, 1.0, 2.0, 3.0, -4.0]])
    target = torch.tensor([2, 4])
    head = torch.eye(CLASSES, requires_grad=True)
    offset = torch.full((CLASSES,), 2.0**23)
    near = loss(LinearLogits(small, head), target)
    far = loss(LinearLogits(small, head, offset), target)
    torch.testing.assert_close(far, near, rtol=1e-6, atol=0)


@pytest.mark.parametrize("bias", [None, [0.25, -0.5, 0.0, 0.125, 1.0]])
def test_masked_classes(bias: list[float] | None) -> None:
    """Classes at -inf, in the first tile or in all but one; the truth among them."""
    generator = torch.Generator().manual_seed(0)
    weight = torch.randn(CLASSES, WIDTH, generator=generator).requires_grad_()
    features = torch.randn(7, WIDTH, generator=generator).requires_grad_()
    loss = CrossEntropyLoss(reduction="none")
    if bias is not None:
        loss = TermLoss(terms.nll, logit_bias=bias, reduction="none")
    for masked in ([0, 1], [0, 1, 2, 3], [4], [0, 1, 4]):
        mask = torch.zeros(CLASSES).index_fill(0, torch.tensor(masked), -torch.inf)
        free = [c for c in range(CLASSES) if c not in masked]
        target = torch.tensor(free * 7)[:7]
        given = (features, weight)
        expected = found(loss(by_hand(features, weight, mask), target), given)
        actual = found(loss(LinearLogits(features, weight, mask), target), given)
        for left, right in zip(actual, expected, strict=True):
            torch.testing.assert_close(left, right, rtol=1e-5, atol=1e-7)
        lost = loss(LinearLogits(features, weight, mask), torch.full((7,), masked[0]))
        assert (lost == torch.inf).all()


def test_infinite_and_unknown_logits_stay_in_their_position() -> None:
    features, weight, bias = (each.detach() for each in parts((7, CLASSES)))
    target = torch.arange(7) % CLASSES
    for spoilt in (torch.inf, torch.nan):
        features[4] = spoilt
        value = CrossEntropyLoss(reduction="none")(LinearLogits(features, weight, bias), target)
        assert value.isnan().tolist() == [False] * 4 + [True] + [False] * 2


@pytest.mark.parametrize("scale", [1.0, 100.0, 1e4])
def test_float32_is_as_exact_as_rows(scale: float) -> None:
    generator = torch.Generator().manual_seed(1)
    features = (scale * torch.randn(40, WIDTH, generator=generator)).requires_grad_()
    weight = torch.randn(50, WIDTH, generator=generator).requires_grad_()
    target = torch.randint(50, (40,), generator=generator)
    exact = tuple(each.detach().double().requires_grad_() for each in (features, weight))
    loss = PolyLoss()
    expected = found(loss(by_hand(*exact), target), exact)
    whole = found(loss(by_hand(features, weight), target), (features, weight))
    tiled = found(loss(LinearLogits(features, weight), target), (features, weight))
    for left, middle, right in zip(tiled, whole, expected, strict=True):
        error, usual = (left - right).norm(), (middle - right).norm()
        assert error <= 2 * usual + 1e-6 * right.norm()


@pytest.mark.parametrize("softcap", [None, 1.5])
@pytest.mark.parametrize("dtype", [torch.bfloat16, torch.float16])
@pytest.mark.parametrize("loss", [PolyLoss(), FocalLoss(link="sigmoid")])
def test_half_precision(loss: nn.Module, dtype: torch.dtype, softcap: float | None) -> None:
    given = parts((60, 20), dtype)
    target = torch.randint(20, (60,), generator=torch.Generator().manual_seed(1))
    exact = tuple(each.detach().double().requires_grad_() for each in given)
    expected = found(loss(LinearLogits(*exact, softcap=softcap).logits(), target), exact)
    usual = found(loss(LinearLogits(*given, softcap=softcap).logits(), target), given)
    tiled = found(loss(LinearLogits(*given, softcap=softcap), target), given)
    assert [each.dtype for each in tiled] == [torch.float32, dtype, dtype, dtype]
    for left, middle, right in zip(tiled, usual, expected, strict=True):
        error, wrong = (left.double() - right).norm(), (middle.double() - right).norm()
        assert error <= 1.2 * wrong + 2e-3 * right.norm()


# --- negative controls --------------------------------------------------------------------------


def check_mixed() -> None:
    target = torch.arange(8) % CLASSES
    target[3] = -100
    agree(PolyLoss(reduction="none"), parts((8, CLASSES)), target)
    with default_dtype(torch.float64):
        loss = TermLoss(terms.nll, logit_bias=SLOTS["logit_bias"], temperature=2.0)
    agree(loss, parts((8, CLASSES)), target)
    agree(BinaryCrossEntropyLoss(), parts((8, CLASSES)), torch.rand(8, CLASSES).double())


def unscaled_sum(running, z, columns):
    before = running.total
    original_take(running, z, columns)
    running.total = before + z.sum(dim=1, keepdim=True)


def lost_tile(sink, gradient, bend, columns):
    if columns.start:
        original_sink(sink, gradient, bend, columns)


original_take, original_sink = softmax_tiles._Running.take, Sink.add
FAULTS: dict[str, tuple[object, str, Callable]] = {
    "a sum that is not scaled to the new peak": (softmax_tiles._Running, "take", unscaled_sum),
    "offset": (softmax_tiles._Slots, "common", lambda slots, offset: 0.9 * offset),
    "first tile": (Sink, "add", lost_tile),
}


@pytest.mark.parametrize("fault", FAULTS.values(), ids=FAULTS)
def test_faults_are_seen(fault: tuple[object, str, Callable], monkeypatch) -> None:
    check_mixed()
    monkeypatch.setattr(*fault)
    with pytest.raises(AssertionError):
        check_mixed()


# --- memory -------------------------------------------------------------------------------------


@pytest.mark.parametrize("memory", [1 << 16, 1 << 18, 1 << 20, 1 << 24, None])
@pytest.mark.parametrize("classes", [10, 1_000, 100_000, 3_000_000])
@pytest.mark.parametrize("count", [1, 7, 256, 10_000])
def test_tiles_fit_the_memory(memory: int | None, classes: int, count: int) -> None:
    rows, columns = sizes.tile_shape(count, classes, 4, memory)
    assert 1 <= rows <= count
    assert 1 <= columns <= classes
    assert rows * columns * 4 <= (memory or sizes.SMALL_CHUNK)
    whole = columns == classes or rows == count or rows == sizes.TILE_ROWS
    assert whole or abs(rows - columns) <= 0.1 * rows


def test_where_tiles_begin(monkeypatch: pytest.MonkeyPatch) -> None:
    f32 = torch.float32
    assert not sizes.few_rows(4096, 32_000, f32, None)
    assert not sizes.few_rows(256, 100_000, f32, None)
    assert sizes.few_rows(256, 1_000_000, f32, None)
    assert sizes.few_rows(256, 100_000, f32, 1 << 24)
    assert not sizes.few_rows(40, 100_000, f32, 1 << 24)  # all of the forty fit


def test_less_than_one_position(monkeypatch: pytest.MonkeyPatch) -> None:
    """Tiles need no memory for all classes of a position; other losses say how much they need."""
    monkeypatch.undo()
    x, weight = torch.randn(3, WIDTH), torch.randn(20_000, WIDTH)
    target = torch.tensor([1, 19_999, 7])
    small = LinearLogits(x, weight, memory=1 << 16)
    torch.testing.assert_close(FocalLoss()(small, target), FocalLoss()(small.logits(), target))
    with pytest.raises(ValueError, match="`memory` must be 80000 bytes or more for this loss"):
        FocalLoss(label_smoothing=0.1)(small, target)
    with pytest.raises(ValueError, match="`memory` must be whole bytes, 65536 or more"):
        LinearLogits(x, weight, memory=65535)
