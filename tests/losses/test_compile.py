"""torch.compile without graph breaks, and torch.export."""

from __future__ import annotations

import pytest
import torch
from torch import Tensor

from kit.cases import COUNTS, Case, build, call_of, examples, target_kinds
from kit.checks.every_loss import value_and_gradient
from kit.tolerances import close
from kit.turns import by_family
from taylored import FocalLoss, catalog, focal_loss, taylor_loss
from taylored.core.engine import executors
from taylored.kernels import operator

# Generating C++ takes seconds a case: a representative few. `aot_eager` traces forward and
# backward the same way without code generation, and runs for every loss and link.
COMPILED = [
    Case("cross_entropy(label_smoothing=0.1)", "index", (6, 5)),
    Case("focal(gamma=0.5)", "index", (2, 5, 2, 3)),
    Case('focal(gamma=2, link="sigmoid", alpha=0.25)', "soft", (6, 5)),
    Case("poly(epsilon=[2, -0.3, 0.5])", "probabilities", (3, 5, 4)),
    Case("taylor(num_terms=700)", "index", (6, 5)),
    Case('class_balanced(focal(gamma=2, link="sigmoid"), beta=0.99, weighting="class")',
         "multi-hot", (6, 5)),
]  # fmt: skip


@pytest.fixture(autouse=True)
def _fresh_compiler() -> None:
    torch._dynamo.reset()


# A compiler gets the whole expression, or operators of an executor that has them.
PATHS = [path for path in ("whole", "native") if path in executors.asked()]


@pytest.fixture(autouse=True)
def _operators_of_any_size(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(operator, "_FEW", 0)


def check_compiled(case: Case, backend: str, path: str) -> None:
    loss = build(case.call)
    compiled = torch.compile(loss, fullgraph=True, backend=backend)
    expected, expected_gradient = value_and_gradient(loss, case.logits(), case.targets(), "whole")
    value, gradient = value_and_gradient(compiled, case.logits(), case.targets(), path)
    close(value, expected)
    close(gradient, expected_gradient)


def check_compiled_without_gradient(case: Case, backend: str) -> None:
    """This is another program: it is traced anew."""
    loss = build(case.call)
    compiled = torch.compile(loss, fullgraph=True, backend=backend)
    with torch.no_grad():
        close(compiled(case.logits(), case.targets()), loss(case.logits(), case.targets()))


@by_family
@pytest.mark.parametrize("case", COMPILED, ids=[case.id for case in COMPILED])
@pytest.mark.parametrize("path", PATHS)
def test_generated_code(case: Case, path: str) -> None:
    check_compiled(case, "inductor", path)
    check_compiled_without_gradient(case, "inductor")


# One example of each loss and link, and every example that wraps another loss differently.
TRACED = [
    Case(text, target_kinds(call_of(text))[-1 if i % 2 else 0], (6, 5))
    for i, text in enumerate(
        {(c.name, c.link(), len(c.arguments)): t for t in examples() for c in [call_of(t)]}.values()
    )
]


@by_family
@pytest.mark.parametrize("case", TRACED, ids=[case.id for case in TRACED])
@pytest.mark.parametrize("path", PATHS)
def test_traced_forward_and_backward(case: Case, path: str) -> None:
    check_compiled(case, "aot_eager", path)


# Without a gradient the link and the arguments decide less: one example of each loss.
ALONE = {case.call.name: case for case in TRACED}


@by_family
@pytest.mark.parametrize("name", ALONE)
def test_traced_forward_alone(name: str) -> None:
    check_compiled_without_gradient(ALONE[name], "eager")  # what differs is what is traced


def test_traced_cases_cover_every_loss_and_link() -> None:
    found = {(case.call.name, case.call.link()) for case in TRACED}
    assert found == {(call_of(text).name, call_of(text).link()) for text in examples()}


@by_family
@pytest.mark.parametrize(
    ("text", "backend"),
    [
        ("focal(gamma=1.5)", "inductor"),
        ("poly(epsilon=1, label_smoothing=0.1)", "aot_eager"),
        ("taylor(num_terms=100)", "eager"),
        ('focal(link="sigmoid")', "aot_eager"),
        ("class_balanced(cross_entropy)", "aot_eager"),
    ],
)
def test_dynamic_shapes_compile_once(text: str, backend: str) -> None:
    loss = build(call_of(text))
    compiled = torch.compile(loss, fullgraph=True, dynamic=True, backend=backend)
    with torch._dynamo.config.patch(error_on_recompile=True):
        for n in (6, 11, 40):
            case = Case(text, "index", (n, 5))
            expected = value_and_gradient(loss, case.logits(), case.targets(), "whole")
            found = value_and_gradient(compiled, case.logits(), case.targets(), "whole")
            for left, right in zip(found, expected, strict=True):
                close(left, right)


def test_compiled_with_every_option() -> None:
    weight = torch.rand(5).double()

    def function(z: Tensor, y: Tensor, extra: Tensor, total: Tensor) -> Tensor:
        return focal_loss(z, y, weight=weight, sample_weight=extra, normalizer=total)

    case = Case("focal", "index", (6, 5))
    extra, total = torch.rand(6).double(), torch.tensor(3.0).double()
    found = []
    for run in (function, torch.compile(function, fullgraph=True, backend="aot_eager")):
        z = case.logits().requires_grad_()
        value = run(z, case.targets(), extra, total)
        found.append((value.detach(), torch.autograd.grad(value, z)[0]))
    for left, right in zip(*found, strict=True):
        close(left, right)


def test_compiled_gradients_to_other_slots() -> None:
    case = Case("focal", "index", (6, 5))
    found = []
    for run in (focal_loss, torch.compile(focal_loss, fullgraph=True, backend="aot_eager")):
        z, gamma = case.logits().requires_grad_(), torch.ones(5).double().requires_grad_()
        found.append(torch.autograd.grad(run(z, case.targets(), gamma=gamma), [z, gamma]))
    for left, right in zip(*found, strict=True):
        close(left, right)


def test_compiled_gradients_to_weights_of_a_long_sum() -> None:
    case = Case("taylor", "index", (6, 5))
    found = []
    for run in (taylor_loss, torch.compile(taylor_loss, fullgraph=True, backend="aot_eager")):
        z, weight = case.logits().requires_grad_(), torch.ones(5).double().requires_grad_()
        value = run(z, case.targets(), num_terms=50, weight=weight)
        found.append(torch.autograd.grad(value, [z, weight]))
    for left, right in zip(*found, strict=True):
        close(left, right)


@pytest.mark.parametrize("dtype", [torch.bfloat16, torch.float16])
def test_compiled_half_precision(dtype: torch.dtype) -> None:
    case = Case("focal(gamma=0.5)", "index", (6, 5))
    loss = FocalLoss(gamma=0.5)
    compiled = torch.compile(loss, fullgraph=True, backend="aot_eager")
    expected, gradient = value_and_gradient(loss, case.logits(dtype), case.targets(), "whole")
    value, found = value_and_gradient(compiled, case.logits(dtype), case.targets(), "whole")
    assert value.dtype == torch.float32
    assert found.dtype == dtype
    close(value, expected, rtol=1e-5)
    close(found, gradient, rtol=1e-2, atol=1e-3)


@pytest.mark.parametrize("text", ["focal(gamma=1.5)", "taylor(num_terms=50)", "poly"])
def test_compiled_functional_gradient(text: str) -> None:
    loss, case = build(call_of(text)), Case(text, "index", (6, 5))
    target = case.targets()
    gradient = torch.func.grad(lambda z: loss(z, target))
    compiled = torch.compile(gradient, fullgraph=True, backend="aot_eager")
    close(compiled(case.logits()), gradient(case.logits()))


def test_compiled_training_step_with_a_model() -> None:
    torch.manual_seed(0)
    model, loss = torch.nn.Linear(7, 5), FocalLoss()
    features, target = torch.randn(9, 7), torch.arange(9) % 5

    def step(x: Tensor, y: Tensor) -> Tensor:
        return loss(model(x), y)

    step(features, target).backward()
    expected = model.weight.grad.clone()
    model.weight.grad = None
    torch.compile(step, fullgraph=True, backend="aot_eager")(features, target).backward()
    torch.testing.assert_close(model.weight.grad, expected)


class _WithModel(torch.nn.Module):
    def __init__(self, loss: torch.nn.Module) -> None:
        super().__init__()
        self.model = torch.nn.Linear(7, 5)
        self.loss = loss

    def forward(self, x: Tensor, y: Tensor) -> Tensor:
        return self.loss(self.model(x), y)


@by_family
@pytest.mark.parametrize("text", examples()[::3])
def test_export(text: str) -> None:
    """Ahead of time, with a batch size left open."""
    module = _WithModel(catalog.get(text, counts=COUNTS)).eval()
    batch = torch.export.Dim("batch", min=2, max=64)
    with torch.no_grad():
        exported = torch.export.export(
            module,
            (torch.randn(6, 7), torch.arange(6) % 5),
            dynamic_shapes=({0: batch}, {0: batch}),
        ).module()
        for n in (6, 11):
            x, y = torch.randn(n, 7), torch.arange(n) % 5
            torch.testing.assert_close(exported(x, y), module(x, y))


@pytest.mark.parametrize("text", ["cross_entropy", "focal(gamma=1.5)", 'poly(link="sigmoid")'])
def test_export_of_a_training_step(text: str) -> None:
    """The exported program is itself differentiable."""
    module = _WithModel(catalog.get(text))
    x, y = torch.randn(6, 7), torch.arange(6) % 5
    exported = torch.export.export(module, (x, y)).module()
    module(x, y).backward()
    exported(x, y).backward()
    found = dict(exported.named_parameters())
    for name, parameter in module.named_parameters():
        torch.testing.assert_close(found[name].grad, parameter.grad)
