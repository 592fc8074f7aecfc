"""Losses on features times weight: the numbers of formed logits, without the logits."""

from __future__ import annotations

import copy
import math
import subprocess
import sys
from collections.abc import Callable

import pytest
import torch
from torch import Tensor, nn
from torch.autograd import forward_ad, gradcheck, gradgradcheck

from kit.cases import CLASSES, Case, build, cases, default_dtype, identified
from kit.executors import PATHS, running
from kit.heads import Parts, by_hand, found, parts
from kit.traits import NEED_ALL_LOGITS
from taylored import (
    CrossEntropyLoss,
    FocalLoss,
    GradientRatio,
    LinearLogits,
    PolyLoss,
    SigmoidEQLLoss,
    SoftmaxEQLLoss,
    TermLoss,
    ZLoss,
    focal_loss,
    poly_loss,
    terms,
)
from taylored.core.engine.linear import row_chunks, sizes
from taylored.core.engine.linear.evaluator import OfForm
from taylored.core.engine.linear.products import Products
from taylored.core.engine.whole import Whole
from taylored.core.numerics import softcapped


def agree(loss: nn.Module, given: Parts, target: Tensor, **call: Tensor) -> None:
    expected = found(loss(by_hand(*given), target, **call), given)
    actual = found(loss(LinearLogits(*given), target, **call), given)
    for left, right in zip(actual, expected, strict=True):
        torch.testing.assert_close(left, right, rtol=1e-12, atol=1e-14)


@pytest.fixture(autouse=True)
def few_rows(monkeypatch) -> None:
    """Chunks of three rows, so that there are many, and a shorter one."""
    monkeypatch.setattr(sizes, "CHUNK_ROWS", 3)
    monkeypatch.setattr(sizes, "SMALL_CHUNK", 0)
    monkeypatch.setattr(sizes, "LEAST_ROWS", 1)  # test_linear_tiles.py has the tiles


# --- the whole catalogue ------------------------------------------------------------------------


def reductions(case: Case) -> tuple[str, ...]:
    return ("sum", "mean") if case.call.link() == "sigmoid" else ("none", "sum", "mean")


@pytest.mark.parametrize(**identified(cases(((7, CLASSES), (2, CLASSES, 2, 3)))))
def test_every_loss_agrees_or_says_why_not(case: Case) -> None:
    given, target = parts(case.shape), case.targets()
    name = case.call.innermost().name
    if name in NEED_ALL_LOGITS or case.call.name in NEED_ALL_LOGITS:
        with pytest.raises(ValueError, match=r"computes with all logits at once.*input\.logits"):
            build(case.call)(LinearLogits(*given), target)
        return
    for reduction in reductions(case):
        loss = build(case.call.having(reduction=reduction))
        for path in PATHS:
            with running(path):
                agree(loss, given, target)


@pytest.mark.parametrize("link", ["softmax", "sigmoid"])
@pytest.mark.parametrize("kind", ["index", "probabilities"])
@pytest.mark.parametrize("shape", [(8, CLASSES), (3, CLASSES, 4), (2, CLASSES, 2, 3)])
def test_every_slot(link: str, kind: str, shape: tuple[int, ...]) -> None:
    given = parts(shape)
    positions = shape[:1] + shape[2:]
    target = torch.randint(CLASSES, positions)
    target.view(-1)[[1, 5]] = -100
    if kind == "probabilities":
        target = torch.softmax(torch.randn(shape, dtype=torch.float64), dim=1)
    sigmoid = {"alpha": 0.3, "pos_weight": [1.0, 2.0, 3.0, 1.0, 0.5]} if link == "sigmoid" else {}
    for reduction in ("sum", "mean", "batch_mean"):
        with default_dtype(torch.float64):
            loss = TermLoss(
                terms.power(1.5) * terms.nll + 0.7 * terms.power(2),
                link=link,
                weight=[0.5, 1.0, 2.0, 3.0, 0.1],
                logit_bias=[1.0, 0.0, -1.0, 0.5, 2.0],
                temperature=1.7,
                label_smoothing=0.1,
                reduction=reduction,
                **sigmoid,
            )
        agree(loss, given, target, sample_weight=torch.rand(positions, dtype=torch.float64))
        agree(loss, given, target, sample_weight=torch.rand(shape[:1], dtype=torch.float64))
        if reduction == "mean":
            agree(loss, given, target, normalizer=torch.tensor(3.0))
    if link == "sigmoid":
        agree(loss, given, target, sample_weight=torch.rand(shape, dtype=torch.float64))


def test_without_a_bias_and_with_frozen_parts() -> None:
    features, weight, bias = parts((8, CLASSES))
    target = torch.arange(8) % CLASSES
    loss = PolyLoss()
    expected = found(loss(by_hand(features, weight, None), target), (features, weight))
    actual = found(loss(LinearLogits(features, weight), target), (features, weight))
    for left, right in zip(actual, expected, strict=True):
        torch.testing.assert_close(left, right, rtol=1e-12, atol=1e-14)
    everything = (features, weight, bias)
    whole = torch.autograd.grad(loss(by_hand(*everything), target), everything)
    for wanted in ((0,), (1,), (2,), (0, 2)):
        given = [each if i in wanted else each.detach() for i, each in enumerate(everything)]
        value = loss(LinearLogits(*given), target)
        kept = [each for each in value.grad_fn.saved_tensors[:3] if each is not None]
        assert [each.shape for each in kept] == [everything[i].shape for i in wanted]
        gradients = torch.autograd.grad(value, [given[i] for i in wanted])
        for i, gradient in zip(wanted, gradients, strict=True):
            torch.testing.assert_close(gradient, whole[i])
    with torch.no_grad():
        plain = loss(LinearLogits(*everything), target)
    assert plain.grad_fn is None
    torch.testing.assert_close(plain, loss(by_hand(*everything), target).detach())


@pytest.mark.parametrize("reduction", ["none", "sum", "mean"])
def test_log_partition_of_capped_logits(reduction: str) -> None:
    """The z-loss of a head with a softcap, which no other slot of a plan knows of."""
    given, target = parts((7, CLASSES)), torch.tensor([0, 4, -100, 1, 2, 3, 0])
    loss = ZLoss(reduction=reduction)
    features, weight, bias = given
    expected = found(loss(softcapped(by_hand(*given), 1.5), target), given)
    actual = found(loss(LinearLogits(features, weight, bias, softcap=1.5), target), given)
    for left, right in zip(actual, expected, strict=True):
        torch.testing.assert_close(left, right, rtol=1e-12, atol=1e-14)


# --- negative controls --------------------------------------------------------------------------


def check_mixed() -> None:
    target = torch.arange(8) % CLASSES
    target[3] = -100
    agree(PolyLoss(reduction="none"), parts((8, CLASSES)), target)
    agree(PolyLoss(), parts((8, CLASSES)), target)
    agree(CrossEntropyLoss() + 0.1 * ZLoss(), parts((8, CLASSES)), target)


def lost_chunk(plan, count, most):
    return original_chunks(plan, count, most)[:-1]


def shifted_target(plan, place):
    return original_at(plan, place.roll(1) if isinstance(place, Tensor) else place)


def no_bias_gradient(products, x, g, place):
    original_add(products, x, g, place)
    products._for_bias.zero_()


def last_chunk_only(products, x, g, place):
    products._for_weight.zero_()
    original_add(products, x, g, place)


def twice_the_gradient(form, logits, plan, **options):
    found = original_sweep(form, logits, plan, **options)
    return found._replace(gradient=found.gradient.mul_(2.0))


original_sweep = OfForm.sweep
original_chunks, original_at = row_chunks.chunks, row_chunks.at
original_add = Products.add
FAULTS = {
    "chunks": (row_chunks, "chunks", lost_chunk),
    "at": (row_chunks, "at", shifted_target),
    "bias": (Products, "add", no_bias_gradient),
    "weight": (Products, "add", last_chunk_only),
    "form": (OfForm, "sweep", twice_the_gradient),
}


@pytest.mark.parametrize("fault", FAULTS.values(), ids=FAULTS)
def test_faults_are_seen(fault: tuple[object, str, Callable], monkeypatch) -> None:
    check_mixed()
    monkeypatch.setattr(*fault)
    with pytest.raises(AssertionError):
        check_mixed()


# --- chunks -------------------------------------------------------------------------------------


@pytest.mark.parametrize("rows", [1, 2, 3, 4, 6, 7, 8, 100])
@pytest.mark.parametrize("ignored", [0, 1, 7])
def test_any_number_of_rows(rows: int, ignored: int, monkeypatch) -> None:
    monkeypatch.setattr(sizes, "CHUNK_ROWS", rows)
    target = torch.arange(7) % CLASSES
    target[:ignored] = -100
    for reduction in ("none", "mean"):
        agree(FocalLoss(gamma=1.5, reduction=reduction), parts((7, CLASSES)), target)


@pytest.mark.parametrize("link", ["softmax", "sigmoid"])
@pytest.mark.parametrize("shape", [(0, CLASSES), (2, CLASSES, 0)])
def test_nothing_there(link: str, shape: tuple[int, ...]) -> None:
    target = torch.zeros(shape[:1] + shape[2:], dtype=torch.int64)
    for reduction in ("sum", "mean"):
        agree(FocalLoss(link=link, reduction=reduction), parts(shape), target)


def test_rows_per_chunk() -> None:
    f32 = torch.float32

    def rows(classes: int, dtype: torch.dtype) -> int:
        return sizes.chunk_rows(classes, dtype, None)

    for classes in (1, 10, 1_000, 30_000, 300_000, 10**7, 10**10):
        size = rows(classes, f32) * classes * 4
        assert rows(classes, f32) >= 1
        assert size <= sizes.LARGE_CHUNK or rows(classes, f32) == 1
    assert rows(30_000, torch.bfloat16) == rows(30_000, f32) == sizes.CHUNK_ROWS


@pytest.mark.parametrize("rows", [1, 2, 3, 8])
def test_logits_take_no_more_than_the_memory(rows: int, monkeypatch) -> None:
    taken = []
    original = row_chunks.form

    def form(x: Tensor, weight: Tensor, bias: Tensor | None, out: Tensor) -> None:
        taken.append(out.untyped_storage().nbytes())
        original(x, weight, bias, out)

    monkeypatch.setattr(row_chunks, "form", form)
    x, weight, target = torch.randn(7, 3), torch.randn(CLASSES, 3), torch.arange(7) % CLASSES
    row = CLASSES * x.itemsize
    loss = FocalLoss(label_smoothing=0.1)  # which needs all classes of a position
    some = loss(LinearLogits(x, weight, memory=rows * row + 1), target)
    assert len(taken) == math.ceil(7 / rows)
    assert max(taken) <= rows * row
    torch.testing.assert_close(some, loss(LinearLogits(x, weight), target))


@pytest.mark.parametrize("memory", [CLASSES * 4 - 1, 0, 1e9, True])
def test_memory_is_refused_where_no_logits_fit(memory: object) -> None:
    with pytest.raises(ValueError, match=f"`memory` must be whole bytes, {CLASSES * 4} or more"):
        LinearLogits(torch.randn(7, 3), torch.randn(CLASSES, 3), memory=memory)


def test_positions_without_weight_are_not_formed(monkeypatch) -> None:
    formed = []
    original = Whole.sweep

    def spy(self, logits, plan, **options):
        formed.append(len(logits))
        return original(self, logits, plan, **options)

    monkeypatch.setattr(Whole, "sweep", spy)
    target = torch.full((2, 10), -100)
    target[1, 2:5] = 1
    features, weight, _ = parts((2, CLASSES, 10))
    with torch.no_grad():
        features[0] = torch.nan  # padding may hold anything
    with running("whole"):
        value = PolyLoss()(LinearLogits(features, weight), target)
    assert formed == [3]
    gradient, weight_gradient = torch.autograd.grad(value, (features, weight))
    assert (gradient[target == -100] == 0).all()
    assert weight_gradient.isfinite().all()


@pytest.mark.parametrize("composed", ["compiled", "second derivative"])
def test_anything_where_nothing_counts_in_composed_form(composed: str) -> None:
    target = torch.tensor([[0, 4], [-100, 2]])
    features, weight, bias = parts((2, CLASSES, 2))
    inputs = (features, weight, bias)
    loss = PolyLoss()
    tame = torch.autograd.grad(loss(LinearLogits(*inputs), target), inputs)
    with torch.no_grad():
        features[1, 0] = torch.nan
    if composed == "compiled":
        loss = torch.compile(loss, fullgraph=True, backend="aot_eager")
    further = composed == "second derivative"
    found = torch.autograd.grad(loss(LinearLogits(*inputs), target), inputs, create_graph=further)
    for gradient, expected in zip(found, tame, strict=True):
        torch.testing.assert_close(gradient, expected)
    if further:
        for second in torch.autograd.grad(found[1].square().sum(), (weight, bias)):
            assert second.isfinite().all()


# --- derivatives and modes ----------------------------------------------------------------------


@pytest.mark.parametrize("reduction", ["none", "mean"])
def test_second_derivatives_of_values_of_its_own(reduction: str) -> None:
    target = torch.tensor([[0, 4], [-100, 2]])
    loss = ZLoss(reduction=reduction)
    assert gradgradcheck(lambda *given: loss(LinearLogits(*given), target), parts((2, CLASSES, 2)))


@pytest.mark.parametrize("reduction", ["none", "mean"])
@pytest.mark.parametrize("smoothing", [0.0, 0.1])
def test_first_and_second_derivatives(reduction: str, smoothing: float) -> None:
    target = torch.tensor([[0, 4], [-100, 2]])
    loss = PolyLoss(gamma=1.0, reduction=reduction, label_smoothing=smoothing)

    def function(*given: Tensor) -> Tensor:
        return loss(LinearLogits(*given), target)

    given = parts((2, CLASSES, 2))
    assert gradcheck(function, given)
    assert gradgradcheck(function, given)


def test_transforms_and_forward_mode() -> None:
    given, target = parts((6, CLASSES)), torch.arange(6) % CLASSES
    features, weight, bias = (each.detach() for each in given)
    loss = FocalLoss(gamma=1.5)

    def linear(w: Tensor) -> Tensor:
        return loss(LinearLogits(features, w, bias), target)

    def formed(w: Tensor) -> Tensor:
        return loss(by_hand(features, w, bias), target)

    direction = torch.randn_like(weight)
    for transform in (torch.func.grad, torch.func.jacfwd, torch.func.hessian):
        torch.testing.assert_close(transform(linear)(weight), transform(formed)(weight))
    with forward_ad.dual_level():
        dual = forward_ad.make_dual(weight, direction)
        tangent = forward_ad.unpack_dual(linear(dual)).tangent
    torch.testing.assert_close(tangent, torch.func.jvp(formed, (weight,), (direction,))[1])
    each = torch.func.vmap(lambda x, y: loss(LinearLogits(x[None], weight), y[None]))
    one = FocalLoss(gamma=1.5, reduction="none")(by_hand(features, weight, None), target)
    torch.testing.assert_close(each(features, target), one)


def test_gradients_to_the_options_too() -> None:
    given, target = parts((6, CLASSES)), torch.arange(6) % CLASSES
    gamma = torch.rand(CLASSES, dtype=torch.float64, requires_grad=True)
    expected = found(focal_loss(by_hand(*given), target, gamma=gamma), (*given, gamma))
    actual = found(focal_loss(LinearLogits(*given), target, gamma=gamma), (*given, gamma))
    for left, right in zip(actual, expected, strict=True):
        torch.testing.assert_close(left, right)


def test_compiled_in_one_graph() -> None:
    given, target = parts((6, CLASSES)), torch.arange(6) % CLASSES
    loss = PolyLoss(label_smoothing=0.1)

    def function(features: Tensor, weight: Tensor, bias: Tensor) -> Tensor:
        return loss(LinearLogits(features, weight, bias), target)

    compiled = torch.compile(function, fullgraph=True, backend="aot_eager")
    expected = found(function(*given), given)
    for left, right in zip(found(compiled(*given), given), expected, strict=True):
        torch.testing.assert_close(left, right)


def test_backward_twice_and_accumulated() -> None:
    given, target = parts((6, CLASSES)), torch.arange(6) % CLASSES
    expected = torch.autograd.grad(PolyLoss()(by_hand(*given), target), given)
    for factor in (1.0, 0.25):
        value = PolyLoss()(LinearLogits(*given), target) * factor
        for keep in (True, True, False):
            gradients = torch.autograd.grad(value, given, retain_graph=keep)
            for left, right in zip(gradients, expected, strict=True):
                torch.testing.assert_close(left, right * factor)


# --- dtypes -------------------------------------------------------------------------------------


def large(dtype: torch.dtype) -> tuple[Parts, Tensor]:
    given = parts((600, 50), dtype)
    return given, torch.randint(50, (600,), generator=torch.Generator().manual_seed(1))


def errors(dtype: torch.dtype, function: Callable[[Parts, Tensor], Tensor]) -> list[float]:
    """Relative errors of value and gradients, against float64 on the same numbers."""
    given, target = large(dtype)
    exact = tuple(each.detach().double().requires_grad_() for each in given)
    expected = found(PolyLoss()(by_hand(*exact), target), exact)
    actual = found(function(given, target), given)
    assert [each.dtype for each in actual[1:]] == [dtype] * 3
    return [
        ((left.double() - right).norm() / right.norm()).item()
        for left, right in zip(actual, expected, strict=True)
    ]


def test_float32() -> None:
    assert max(errors(torch.float32, lambda given, y: PolyLoss()(LinearLogits(*given), y))) < 1e-6


@pytest.mark.parametrize("dtype", [torch.bfloat16, torch.float16])
def test_half_precision_is_no_worse_than_formed_logits(dtype: torch.dtype, monkeypatch) -> None:
    monkeypatch.setattr(sizes, "CHUNK_ROWS", 16)  # many, to add up rounded sums
    ours = errors(dtype, lambda given, y: PolyLoss()(LinearLogits(*given), y))
    naive = errors(dtype, lambda given, y: PolyLoss()(by_hand(*given), y))
    assert all(left < 1.1 * right + 1e-6 for left, right in zip(ours, naive, strict=True))


def test_tiny_float16_gradients_wait_for_the_loss_scale() -> None:
    given, target = large(torch.float16)
    scale = 2.0**16
    exact = tuple(each.detach().float().requires_grad_() for each in given)
    expected = torch.autograd.grad(PolyLoss()(by_hand(*exact), target) * 1e-6 * scale, exact)
    value = PolyLoss()(LinearLogits(*given), target, normalizer=600 * 1e6) * scale
    for left, right in zip(torch.autograd.grad(value, given), expected, strict=True):
        torch.testing.assert_close(left.float(), right, rtol=5e-3, atol=1e-5)


@pytest.mark.parametrize("reduction", ["none", "mean"])
def test_autocast_computes_as_the_layer_does(reduction: str) -> None:
    given, target = large(torch.float32)
    loss = CrossEntropyLoss(reduction=reduction)
    results = []
    for form in (by_hand, LinearLogits):
        with torch.autocast("cpu", dtype=torch.bfloat16):
            input = form(*given)
            assert input.dtype == torch.bfloat16
            value = loss(input, target)
        results.append(found(value, given))
    assert [each.dtype for each in results[1]] == [torch.float32] * 4
    torch.testing.assert_close(results[1][0], results[0][0], rtol=1e-5, atol=1e-6)
    for left, right in zip(results[1][1:], results[0][1:], strict=True):
        assert (left - right).norm() < 0.01 * right.norm()
    with torch.autocast("cpu", dtype=torch.bfloat16):
        wide = LinearLogits(*parts((4, 5)))
        assert wide.dtype == torch.float64 == wide.logits().dtype
        second = loss(LinearLogits(*given), target).sum()
        (gradient,) = torch.autograd.grad(second, given[1], create_graph=True)
    assert torch.autograd.grad(gradient.square().sum(), given[0])[0].isfinite().all()


# --- state --------------------------------------------------------------------------------------


@pytest.mark.parametrize("kind", ["softmax", "sigmoid"])
def test_counted_gradients_over_twenty_steps(kind: str) -> None:
    with default_dtype(torch.float64):
        first = SoftmaxEQLLoss(PolyLoss(label_smoothing=0.1), num_classes=CLASSES)
        if kind == "sigmoid":
            first = SigmoidEQLLoss(num_classes=CLASSES)
    losses = [first, copy.deepcopy(first)]
    heads = [tuple(each.detach().clone() for each in parts((8, CLASSES))[1:]) for _ in losses]
    for step in range(20):
        features = parts((8, CLASSES), seed=step)[0].detach()
        target = torch.randint(CLASSES, (8,), generator=torch.Generator().manual_seed(step))
        target[step % 8] = -100
        for loss, form, head in zip(losses, (by_hand, LinearLogits), heads, strict=True):
            weight, bias = (each.requires_grad_() for each in head)
            loss(form(features, weight, bias), target).backward()
            with torch.no_grad():
                for each in head:
                    each -= 0.5 * each.grad
                    each.grad = None
    for name, buffer in losses[0].state_dict().items():
        torch.testing.assert_close(losses[1].state_dict()[name], buffer, rtol=1e-9, atol=1e-12)
    assert losses[1].indicator.steps == 20


WATCHED = {
    "plain": PolyLoss(),
    "weighted": CrossEntropyLoss(label_smoothing=0.2, weight=[1.0, 2.0, 3.0, 4.0, 5.0]),
    "sigmoid": FocalLoss(link="sigmoid", alpha=0.25),
    "unreduced": CrossEntropyLoss(reduction="none"),
    "values of its own": ZLoss(),
}


@pytest.mark.parametrize("loss", WATCHED.values(), ids=WATCHED)
@pytest.mark.parametrize("path", ["whole", "composed"])
def test_gradient_ratio_beside_it(loss: nn.Module, path: str) -> None:
    for shape in ((7, CLASSES), (2, CLASSES, 2, 3)):
        given, target = parts(shape), torch.randint(CLASSES, shape[:1] + shape[2:])
        target.view(-1)[0] = -100
        monitors = [GradientRatio(loss, num_classes=CLASSES) for _ in range(2)]
        with running(path):
            values = [
                monitor(form(*given), target)
                for monitor, form in zip(monitors, (by_hand, LinearLogits), strict=True)
            ]
        torch.testing.assert_close(values[1], values[0])
        torch.testing.assert_close(monitors[1].ratio(), monitors[0].ratio())
        assert monitors[1].indicator.steps == 1


def test_gradient_ratio_of_soft_targets_and_of_several_losses() -> None:
    given, target = parts((2, CLASSES, 2, 3)), torch.rand(2, CLASSES, 2, 3, dtype=torch.float64)
    loss = FocalLoss(link="sigmoid")
    monitors = [GradientRatio(loss, num_classes=CLASSES) for _ in range(2)]
    for monitor, form in zip(monitors, (by_hand, LinearLogits), strict=True):
        monitor(form(*given), target)
    torch.testing.assert_close(monitors[1].ratio(), monitors[0].ratio())
    two = GradientRatio(lambda x, y: loss(x, y) + loss(x, y), num_classes=CLASSES)
    with pytest.raises(ValueError, match="one loss of this library"):
        two(LinearLogits(*given), target)


# --- errors -------------------------------------------------------------------------------------


def test_errors_say_what_to_do() -> None:
    features, weight, bias = parts((4, CLASSES))
    target = torch.zeros(4, dtype=torch.int64)
    with pytest.raises(ValueError, match=r"`features` must be of shape \(N, ..., D\)"):
        LinearLogits(features[0], weight)
    with pytest.raises(ValueError, match=r"`weight` must be of shape \(C, 3\)"):
        LinearLogits(features, weight.t())
    with pytest.raises(ValueError, match="`bias` must be one number per class"):
        LinearLogits(features, weight, bias[:2])
    with pytest.raises(ValueError, match="`weight` must be a floating-point tensor"):
        LinearLogits(features, weight.long())
    with pytest.raises(ValueError, match="`weight` must be of the features' dtype"):
        PolyLoss()(LinearLogits(features, weight.float()), target)
    with pytest.raises(ValueError, match="`reduction`.*as many values as the logits"):
        FocalLoss(link="sigmoid", reduction="none")(LinearLogits(features, weight), target)
    with pytest.raises(ValueError, match="class indices in 0..4"):
        poly_loss(LinearLogits(features, weight), target + CLASSES)
    with pytest.raises(ValueError, match="class indices of shape"):
        poly_loss(LinearLogits(features, weight), target[:2])
    with pytest.raises(ValueError, match="`sample` must be left out, where a loss is no function"):
        ZLoss()(LinearLogits(features, weight, sample=0.5), target)
    with pytest.raises(ValueError, match="input.logits"):
        SoftmaxEQLLoss(num_classes=CLASSES).predict(LinearLogits(features, weight))


# --- memory -------------------------------------------------------------------------------------

SCRIPT = """
import sys, torch, taylored
from pathlib import Path
shape, text, ignored = eval(sys.argv[1]), sys.argv[2], float(sys.argv[3])
torch.set_num_threads(1)
count, width, classes = shape
x, w = (torch.randn(size, width, requires_grad=True) for size in (count, classes))
b = torch.zeros(classes, requires_grad=True)
y = torch.randint(classes, (count,)).masked_fill_(torch.rand(count) < ignored, -100)
loss = taylored.get(text, num_classes=classes, counts=[5] * classes)
def step(x, w, b, y):
    value = loss(taylored.LinearLogits(x, w, b), y)
    (value * 0.5).backward()
taylored.PolyLoss()(taylored.LinearLogits(x[:2], w[:9], b[:9]), y[:2] % 9).backward()
x.grad = w.grad = b.grad = None
def peak():
    lines = Path("/proc/self/status").read_text().splitlines()
    return next(int(line.split()[1]) for line in lines if line.startswith("VmHWM"))
Path("/proc/self/clear_refs").write_text("5")
before = peak()
step(x, w, b, y)
print((peak() - before) * 1024)
"""


@pytest.mark.skipif(sys.platform != "linux", reason="reads /proc")
@pytest.mark.parametrize(
    "text", ["poly(epsilon=2, label_smoothing=0.1)", "softmax_eql(focal(gamma=2))"]
)
def test_memory(text: str) -> None:
    """The logits would be 164 MB; a chunk of them is 41, the gradients are 6."""
    command = [sys.executable, "-c", SCRIPT, "(2048, 64, 20_000)", text, "0.1"]
    done = subprocess.run(command, capture_output=True, text=True, check=True)
    assert int(done.stdout) < 90e6
