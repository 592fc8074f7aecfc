"""`class_dim`: every loss, in both its forms and on every executor, with classes on any axis."""

from __future__ import annotations

import pytest
import torch

from kit.cases import SHAPES, Case, cases, examples, identified, target_kinds
from kit.catalogued import CLASSIFICATION
from kit.checks import class_dim as checks
from kit.executors import PATHS
from kit.other_calls import SUBJECTS, Subject
from kit.tolerances import close
from kit.traits import NEED_ALL_LOGITS, arguments_of, loss_of
from kit.turns import by_family
from taylored import CrossEntropyLoss, FocalLoss, GradientRatio, focal_loss
from taylored.modules import class_axis
from taylored.modules.classification import ClassificationLoss

each_path = pytest.mark.parametrize("path", PATHS)
FUNCTIONS = [case for case in cases(SHAPES[1:2]) if checks.has_function(case)]
FIRST = [c for c in cases(SHAPES[2:]) if c.text in {s.examples[0] for s in CLASSIFICATION.values()}]


def test_every_loss_says_where_its_classes_are() -> None:
    for name in CLASSIFICATION:
        loss = loss_of(name)
        assert isinstance(loss, ClassificationLoss)
        inner = loss.inner if hasattr(loss, "inner") else loss
        assert "class_dim" in inner._fields, name
        assert loss.class_dim == inner.class_dim


@each_path
@pytest.mark.parametrize(**identified(cases(SHAPES[2:])))
def test_modules(case: Case, path: str) -> None:
    for dim in (-1, 0, 2):
        checks.check_case(case, dim, path, "module")


@pytest.mark.parametrize(**identified(FUNCTIONS))
def test_functions(case: Case) -> None:
    for dim in (-1, 0):
        checks.check_case(case, dim, PATHS[-1], "function")


@each_path
@pytest.mark.parametrize("form", checks.FORMS)
@pytest.mark.parametrize("shape", [(3, 4), (2, 2, 3)], ids=str)
@pytest.mark.parametrize("subject", SUBJECTS, ids=lambda s: s.text)
def test_other_calls(subject: Subject, shape: tuple[int, ...], form: str, path: str) -> None:
    for dim in (-1, subject.class_axis, subject.class_axis - 1):
        checks.check_subject(subject, shape, dim, path, form)


@pytest.mark.parametrize("dim", [-1, 0])
@pytest.mark.parametrize(**identified(FIRST))
def test_predictions(case: Case, dim: int) -> None:
    checks.check_predictions(case, dim)


@pytest.mark.parametrize(**identified([c for c in FIRST if c.call.name not in NEED_ALL_LOGITS]))
def test_substitutes(case: Case) -> None:
    checks.check_substitutes(case)


@by_family
@pytest.mark.parametrize("text", examples())
def test_compiled(text: str) -> None:
    torch._dynamo.reset()
    case = Case(text, target_kinds(Case(text, "index", SHAPES[1]).call)[0], SHAPES[1])
    loss = checks.build(case.call.having(class_dim=-1))
    logits = case.logits().movedim(1, -1).contiguous()
    target = checks.moved(case.targets(), 3, 1, -1)
    expected = loss(logits, target)
    if expected.isnan():
        pytest.fail("the case says nothing")
    close(torch.compile(loss, fullgraph=True, backend="eager")(logits, target), expected)


def test_a_compiled_function_and_its_gradient() -> None:
    z = torch.randn(2, 4, 5, requires_grad=True)
    y = torch.randint(5, (2, 4))

    @torch.compile(fullgraph=True, backend="aot_eager")
    def run(z: torch.Tensor) -> torch.Tensor:
        return focal_loss(z, y, class_dim=-1, link="sigmoid", reduction="none")

    value = run(z)
    assert value.shape == z.shape
    expected = focal_loss(z, y, class_dim=-1, link="sigmoid", reduction="none")
    close(value, expected, 1e-5, 1e-6)
    (gradient,) = torch.autograd.grad(value.sum(), z)
    summed = focal_loss(z, y, class_dim=-1, link="sigmoid", reduction="sum")
    close(gradient, torch.autograd.grad(summed, z)[0], 1e-5, 1e-6)


@pytest.mark.parametrize("name", CLASSIFICATION)
def test_a_class_axis_that_is_not_there(name: str) -> None:
    logits, target, further = arguments_of(name)
    loss = loss_of(name)
    inner = loss.inner if hasattr(loss, "inner") else loss
    for dim in (7, -7):
        inner.class_dim = dim
        with pytest.raises(
            ValueError, match="`class_dim` must be the axis of the classes in input"
        ):
            loss(logits, target, *further)


@pytest.mark.parametrize("link", ["softmax", "sigmoid"])
def test_the_kernels_write_the_gradient_in_the_layout_of_the_logits(link: str) -> None:
    z, y = torch.randn(2, 3, 4, 5, requires_grad=True), torch.randint(5, (2, 3, 4))
    for dtype in (torch.float32, torch.bfloat16):
        leaf = z.detach().to(dtype).requires_grad_()
        focal_loss(leaf, y, link=link, class_dim=-1).backward()
        assert leaf.grad.stride() == leaf.stride()


def test_one_axis_is_the_class_axis() -> None:
    z, y = torch.randn(5), torch.tensor(3)
    for dim in (0, 1, -1):
        close(CrossEntropyLoss(class_dim=dim)(z, y), CrossEntropyLoss()(z, y))
        close(FocalLoss(link="sigmoid", class_dim=dim)(z, z.sigmoid()),
              FocalLoss(link="sigmoid")(z, z.sigmoid()))  # fmt: skip
    with pytest.raises(ValueError, match="0 or -1"):
        CrossEntropyLoss(class_dim=2)(z, y)


@pytest.mark.parametrize("wrong", [1.5, "last", None, True])
def test_what_is_no_axis(wrong: object) -> None:
    with pytest.raises(ValueError, match="`class_dim` must be a whole number"):
        CrossEntropyLoss(class_dim=wrong)
    with pytest.raises(ValueError, match="`class_dim` must be a whole number"):
        focal_loss(torch.zeros(2, 3), torch.tensor([0, 1]), class_dim=wrong)


def test_errors_say_which_shapes_they_speak_of() -> None:
    with pytest.raises(ValueError, match=r"these shapes have the classes, class_dim=-1 of yours"):
        CrossEntropyLoss(class_dim=-1)(torch.zeros(2, 4, 5), torch.zeros(3, 4).long())
    with pytest.raises(ValueError, match="`weight` must be one number per class: 5 columns"):
        CrossEntropyLoss(class_dim=-1, weight=[1.0] * 4)(
            torch.zeros(2, 4, 5), torch.zeros(2, 4).long()
        )
    with pytest.raises(ValueError, match="`weight` must be one number per class: 5 columns"):
        focal_loss(torch.zeros(2, 4, 5), torch.zeros(2, 4).long(), weight=[1.0] * 4, class_dim=-1)


def test_a_monitor_counts_the_classes_of_its_loss() -> None:
    z, y = torch.randn(2, 4, 3, requires_grad=True), torch.randint(3, (2, 4))
    there, here = (
        GradientRatio(FocalLoss(class_dim=-1), num_classes=3),
        GradientRatio(FocalLoss(), num_classes=3),
    )
    there(z, y)
    here(z.movedim(-1, 1), y)
    close(there.ratio(), here.ratio(), 1e-5, 1e-6)


def test_controls(monkeypatch: pytest.MonkeyPatch) -> None:
    """A loss that reads axis 1 whatever is said; a result left where it was; a target left so."""
    index = Case("focal(gamma=2)", "index", SHAPES[1])
    soft = Case('focal(gamma=2, link="sigmoid")', "soft", SHAPES[1])

    def unmoved(run, class_dim, home, input, *beside):
        return run(input, *beside)

    real = class_axis.at_home

    def result_left(run, class_dim, home, input, *beside):
        value = real(run, class_dim, home, input, *beside)
        return value.movedim(class_dim, home) if value.dim() == input.dim() else value

    def target_left(run, class_dim, home, input, target, *beside):
        def inside(input, _target, *beside):
            return run(input, target, *beside)

        return real(inside, class_dim, home, input, target, *beside)

    for case, fault in ((index, unmoved), (soft, result_left), (soft, target_left)):
        with monkeypatch.context() as patch:
            patch.setattr("taylored.modules.classification.at_home", fault)
            with pytest.raises((AssertionError, ValueError)):
                checks.check_case(case, -1, "whole", "module")
        checks.check_case(case, -1, "whole", "module")
