"""The native sweeps inside of torch.compile: operators that give what eager calls give."""

from __future__ import annotations

import copy
import functools
from collections.abc import Callable, Iterator
from typing import Any

import pytest
import torch
from torch import Tensor, nn
from torch.utils.checkpoint import checkpoint

import taylored as ty
from taylored.kernels import NATIVE, Library, operator

pytestmark = pytest.mark.skipif(not isinstance(NATIVE, Library), reason="there is no library")

CLASSES = 5
WEIGHT = torch.linspace(0.2, 1.0, CLASSES)
COUNTS = [50, 20, 10, 5, 2]

Step = Callable[[Tensor, Tensor], Tensor]


@pytest.fixture(autouse=True)
def _fresh_compiler(monkeypatch: pytest.MonkeyPatch) -> Iterator[None]:
    monkeypatch.setattr(operator, "_FEW", 0)
    torch._dynamo.reset()
    yield
    torch._dynamo.reset()


def logits(*shape: int) -> Tensor:
    torch.manual_seed(0)
    return torch.randn(*(shape or (7, CLASSES)))


def target(*shape: int) -> Tensor:
    return torch.randint(0, CLASSES, shape or (7,), generator=torch.Generator().manual_seed(2))


def value_and_gradient(step: Step, z: Tensor, y: Tensor) -> tuple[Tensor, Tensor]:
    leaf = z.detach().clone().requires_grad_()
    loss = step(leaf, y)
    (gradient,) = torch.autograd.grad(loss.sum(), leaf)
    return loss.detach(), gradient


def looked_at(step: Step, backend: str) -> tuple[Step, list[str]]:
    """A compiled step, and the operators of ours that its compiler finds in forward."""
    found: list[str] = []

    def look(graph: torch.fx.GraphModule, given: list[Tensor]) -> Any:
        parts = [each for each in graph.modules() if isinstance(each, torch.fx.GraphModule)]
        names = (str(node.target) for part in parts for node in part.graph.nodes)
        found.extend(name for name in names if name.startswith("taylored."))
        return torch._dynamo.lookup_backend(backend)(graph, given)

    return torch.compile(step, fullgraph=True, backend=look), found


def operators_in(step: Step, z: Tensor, y: Tensor) -> list[str]:
    """The operators of ours that a compiler finds in forward."""
    compiled, found = looked_at(step, "eager")
    compiled(z, y)
    return found


def check(step: Step, z: Tensor, y: Tensor, *, backend: str = "aot_eager") -> None:
    """A compiled step calls an operator, and gives the eager numbers in the same layout."""
    loss, gradient = value_and_gradient(step, z, y)
    compiled, operators = looked_at(step, backend)
    found, found_gradient = value_and_gradient(compiled, z, y)
    assert any("sweep" in name for name in operators)
    assert found.dtype == loss.dtype
    assert found_gradient.dtype == gradient.dtype
    torch.testing.assert_close(found, loss, rtol=1e-6, atol=1e-7)
    torch.testing.assert_close(found_gradient, gradient, rtol=1e-5, atol=1e-7)


STEPS: dict[str, Step] = {
    "mean": ty.poly_loss,
    "every value": lambda z, y: ty.focal_loss(z, y, reduction="none"),
    "every element": lambda z, y: ty.focal_loss(z, y, link="sigmoid", reduction="none"),
    "scaled": lambda z, y: 0.5 * ty.focal_loss(z, y),
    "weights": lambda z, y: ty.focal_loss(z, y, weight=WEIGHT, label_smoothing=0.1),
    "ignored": lambda z, y: ty.focal_loss(z, y, ignore_index=2),
    "power per class": lambda z, y: ty.focal_loss(z, y, gamma=WEIGHT),
    "margins": lambda z, y: ty.ldam_loss(z, y, counts=COUNTS),
    "biases": lambda z, y: ty.logit_adjusted_loss(z, y, counts=COUNTS),
    "background": lambda z, y: ty.focal_loss(z, y, link="sigmoid", background_index=2),
    "two losses": lambda z, y: 2 * ty.poly_loss(z, y) + ty.focal_loss(z, y),
    "one loss twice": lambda z, y: 3 * ty.poly_loss(z, y) + ty.poly_loss(z, y).exp(),
    "transposed": lambda z, y: ty.poly_loss(z.t().contiguous().t(), y),
    "every second class": lambda z, y: ty.poly_loss(z.repeat_interleave(2, 1)[:, ::2], y),
    "one row for all": lambda z, y: ty.poly_loss(z[:1].expand(7, CLASSES), y),
}


@pytest.mark.parametrize("step", STEPS.values(), ids=STEPS)
def test_compiled_steps_equal_eager_ones(step: Step) -> None:
    check(step, logits(), target())


def focal(**options: Any) -> Step:
    return functools.partial(ty.focal_loss, **options)


def shares() -> Tensor:
    return torch.softmax(logits(7, CLASSES) * 2, 1)


def outcomes(*, ignored: float | None = None) -> Tensor:
    found = (shares() > 0.2).float()
    if ignored is not None:
        found[1:3] = ignored
    return found


PLAIN: dict[str, tuple[Step, Tensor]] = {
    "class indices": (focal(), target()),
    "sum": (focal(reduction="sum"), target()),
    "every value": (focal(reduction="none"), target()),
    "a bias": (functools.partial(ty.logit_adjusted_loss, counts=COUNTS), target()),
    "factors": (functools.partial(ty.vector_scaling_loss, counts=COUNTS), target()),
    "weights": (focal(weight=WEIGHT, ignore_index=2), target()),
    "probabilities": (focal(label_smoothing=0.1), shares()),
    "ignored rows of probabilities": (focal(), shares().masked_fill(target()[:, None] == 2, -100)),
    "sigmoid, class indices": (focal(link="sigmoid", alpha=0.3, ignore_index=2), target()),
    "sigmoid, per positive": (focal(link="sigmoid", reduction="batch_mean"), outcomes()),
    "sigmoid, weights": (focal(link="sigmoid", weight=WEIGHT, pos_weight=WEIGHT), outcomes()),
    "sigmoid, ignored": (focal(link="sigmoid"), outcomes(ignored=-100)),
}


@pytest.mark.parametrize(("step", "truth"), PLAIN.values(), ids=PLAIN)
def test_a_plain_call_is_one_operator(step: Step, truth: Tensor) -> None:
    """It needs none of the compiler's loops over the targets."""
    check(step, logits(), truth)
    assert operators_in(step, logits().requires_grad_(), truth) == ["taylored.plain_sweep"]


def test_a_plain_call_with_axes_that_lie_anywhere() -> None:
    z = logits(3, 2, 4, CLASSES).permute(0, 3, 2, 1)
    check(focal(ignore_index=2), z, target(3, 2, 4).permute(0, 2, 1))


@pytest.mark.parametrize("ignore", [-100, 2])
def test_what_was_counted_is_divided_by_the_same_number(ignore: int) -> None:
    loss = ty.SigmoidEQLLoss(num_classes=CLASSES, ignore_index=ignore)
    eager, compiled = loss, copy.deepcopy(loss)
    run = torch.compile(compiled, fullgraph=True, backend="aot_eager")
    for step in (eager, run):
        step(logits().requires_grad_(), target())
    for name in ("positive", "negative", "steps"):
        found, expected = (getattr(each.indicator, name) for each in (compiled, eager))
        torch.testing.assert_close(found, expected)


def test_a_truth_that_is_none() -> None:
    compiled = torch.compile(focal(link="sigmoid"), fullgraph=True, backend="aot_eager")
    with pytest.raises(ValueError, match=r"target.*\[0, 1\]"):
        compiled(logits(), outcomes() + 0.5)


@pytest.mark.parametrize("dtype", [torch.float16, torch.bfloat16, torch.float64])
def test_dtypes(dtype: torch.dtype) -> None:
    check(ty.poly_loss, logits().to(dtype), target())


def test_generated_code_around_them() -> None:
    """Layouts that the compiler chooses, memory that it reuses, and one loss called twice."""
    torch.manual_seed(0)
    layer = nn.Conv2d(CLASSES, CLASSES, 3, padding=1)

    def step(z: Tensor, y: Tensor) -> Tensor:
        out = layer(z)
        return ty.focal_loss(out, y, ignore_index=2) * 3 + ty.focal_loss(out, y, ignore_index=2)

    z = logits(2, CLASSES, 8, 8).contiguous(memory_format=torch.channels_last)
    check(step, z, target(2, 8, 8), backend="inductor")


def test_an_empty_batch() -> None:
    check(lambda z, y: ty.poly_loss(z, y, reduction="sum"), logits()[:0], target()[:0])


def test_one_program_for_every_batch() -> None:
    compiled = torch.compile(ty.poly_loss, fullgraph=True, dynamic=True, backend="aot_eager")
    with torch._dynamo.config.patch(error_on_recompile=True):
        for n in (6, 9, 30):
            z, y = logits(n, CLASSES), target(n)
            for found, expected in zip(
                value_and_gradient(compiled, z, y),
                value_and_gradient(ty.poly_loss, z, y),
                strict=True,
            ):
                torch.testing.assert_close(found, expected)


def test_without_a_gradient_there_is_none() -> None:
    with torch.no_grad():
        assert operators_in(ty.poly_loss, logits(), target()) == ["taylored.plain_value"]


def test_few_logits_are_left_to_the_compiler(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(operator, "_FEW", 1 << 14)
    assert operators_in(ty.poly_loss, logits(), target()) == []


def test_transforms_get_operations_that_they_can_transform() -> None:
    def per_row(z: Tensor, y: Tensor) -> Tensor:
        one = torch.func.grad(lambda row, t: ty.focal_loss(row[None], t[None]))
        return torch.vmap(one)(z, y)

    compiled = torch.compile(per_row, fullgraph=True, backend="aot_eager")
    torch.testing.assert_close(compiled(logits(), target()), per_row(logits(), target()))


def test_counting_losses_count_once() -> None:
    eager, compiled = (ty.SoftmaxEQLLoss(num_classes=CLASSES) for _ in range(2))
    run = torch.compile(compiled, fullgraph=True, backend="aot_eager")
    assert any("counting" in name for name in operators_in(ty.SoftmaxEQLLoss(num_classes=CLASSES),
               logits().requires_grad_(), target()))  # fmt: skip
    for _ in range(3):
        for found, expected in zip(
            value_and_gradient(run, logits(), target()),
            value_and_gradient(eager, logits(), target()),
            strict=True,
        ):
            torch.testing.assert_close(found, expected)
    for name, buffer in eager.named_buffers():
        torch.testing.assert_close(dict(compiled.named_buffers())[name], buffer)


def test_backward_in_a_checkpoint() -> None:
    layer = nn.Linear(CLASSES, CLASSES)

    def step(z: Tensor, y: Tensor) -> Tensor:
        kept: Tensor = checkpoint(lambda x, t: ty.poly_loss(layer(x), t), z, y, use_reentrant=False)
        return kept

    check(step, logits(), target())


def test_a_graph_that_is_kept_gives_its_gradient_again() -> None:
    z = logits().requires_grad_()
    loss = torch.compile(ty.poly_loss, fullgraph=True, backend="aot_eager")(z, target())
    first, second = (torch.autograd.grad(loss, z, retain_graph=True)[0] for _ in range(2))
    assert first.data_ptr() != second.data_ptr()
    assert torch.equal(first, second)


def test_a_parcel_is_opened_once() -> None:
    z = logits().requires_grad_()
    saved: list[Tensor] = []

    class Twice(torch.autograd.Function):
        @staticmethod
        def forward(ctx, loss, parcel):  # type: ignore[no-untyped-def]
            saved.append(parcel)
            return loss.clone()

        @staticmethod
        def backward(ctx, grad_loss):  # type: ignore[no-untyped-def]
            args = (saved[0], grad_loss, z.shape, z.stride(), z.dtype, z.dtype)
            torch.ops.taylored.opened(*args)
            return torch.ops.taylored.opened(*args), None

    given = [z, target(), torch.ones(7, 1), *[None] * 7, "softmax", True, None, 0.0, 1.0, 0.0]
    loss, parcel = torch.ops.taylored.sweep(*given, [1.0], [], 0, False)
    with pytest.raises(RuntimeError, match="must run once"):
        Twice.apply(loss, parcel).backward()


def test_copies_of_a_parcel_are_refused() -> None:
    z = logits().requires_grad_()
    with torch.autograd.graph.saved_tensors_hooks(lambda x: x.clone(), lambda x: x):
        loss = torch.compile(ty.poly_loss, fullgraph=True, backend="aot_eager")(z, target())
    with pytest.raises(RuntimeError, match="saved_tensors_hooks"):
        loss.backward()


@pytest.mark.parametrize(("link", "wrong"), [("softmax", 7), ("softmax", -1), ("sigmoid", -2)])
def test_a_class_without_a_column(link: str, wrong: int) -> None:
    compiled = torch.compile(ty.focal_loss, fullgraph=True, backend="aot_eager")
    with pytest.raises(ValueError, match=rf"class indices in 0\.\.4 .* the class {wrong}"):
        compiled(logits(), torch.full((7,), wrong), link=link)
