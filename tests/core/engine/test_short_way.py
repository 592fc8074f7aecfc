"""Small plain calls on the torch executors: the numbers of a plan, and what is left to one."""

from __future__ import annotations

import contextlib
import math
from collections.abc import Iterator
from unittest import mock

import pytest
import torch
from torch import Tensor
from torch._subclasses.fake_tensor import FakeTensorMode

import taylored
from kit.cases import GENERATED, Case, build, target_kinds
from kit.executors import running
from taylored import GradientIndicator, terms
from taylored.core.engine import executors
from taylored.core.engine.one_pass import p_t_loss
from taylored.core.engine.short_way import MOST_LOGITS, short_way
from taylored.core.plan.options import Options
from taylored.core.terms.term import Term

N, C = 6, 5
TERMS = {
    "cross-entropy": terms.nll,
    "poly focal": terms.power(1.5) * terms.nll + 0.5 * terms.power(2.5),
    "cancelling": terms.nll - terms.power(1),
    "bounded": terms.box_cox(0.7),
    "a constant": terms.nll + 2.0,
}
HALVES = {torch.float64: 1e-10, torch.float32: 2e-5}


def drawn(*shape: int, dtype: torch.dtype = torch.float32) -> tuple[Tensor, Tensor]:
    generator = torch.Generator().manual_seed(0)
    logits = (3 * torch.randn(shape, generator=generator)).to(dtype)
    target = torch.randint(shape[1], (shape[0], *shape[2:]), generator=generator)
    return logits, target


def found_by(path: str, logits: Tensor, target: Tensor, term: Term,
             options: Options) -> list[Tensor]:  # fmt: skip
    """Value, gradient, gradient with a graph, and a second derivative."""
    x = logits.detach().requires_grad_()
    with contextlib.ExitStack() as stack:
        stack.enter_context(running(path))
        if path == "short":
            stack.enter_context(taken())
        value = p_t_loss(x, target, term, options)
    upstream = torch.linspace(0.5, 2.0, value.numel(), dtype=value.dtype).reshape(value.shape)
    (gradient,) = torch.autograd.grad(value, x, upstream, create_graph=True)
    (plain,) = torch.autograd.grad(value, x, upstream, retain_graph=True)
    (second,) = torch.autograd.grad(gradient.double().square().sum(), x)
    return [value, plain, gradient, second]


@contextlib.contextmanager
def taken() -> Iterator[None]:
    """Within it every call has to take the short way."""

    def checked(*given):
        direct = short_way(*given)
        assert direct is not None
        return direct

    with mock.patch.dict(executors._SHORTCUTS, {"whole": checked, "blocked": checked}):
        yield


@pytest.mark.parametrize("dtype", [torch.float32, torch.float64, torch.bfloat16, torch.float16])
@pytest.mark.parametrize("reduction", ["mean", "sum", "batch_mean", "none"])
@pytest.mark.parametrize("term", TERMS.values(), ids=TERMS)
def test_it_finds_what_the_plan_finds(term: Term, reduction, dtype: torch.dtype) -> None:
    for shape in ((N, C), (1, 2), (2, C, 3), (2, C, 2, 2)):
        given = *drawn(*shape, dtype=dtype), term, Options(reduction=reduction)
        rough = HALVES.get(dtype, 2e-2)
        pairs = zip(found_by("short", *given), found_by("whole", *given), strict=True)
        for short, planned in pairs:
            torch.testing.assert_close(short, planned, rtol=rough, atol=1e-2 * rough)


@pytest.mark.parametrize("dtype", [torch.float32, torch.float64])
@pytest.mark.parametrize("scale", [1e-3, 30.0, 1e4])
def test_it_keeps_the_digits_at_both_ends(scale: float, dtype: torch.dtype) -> None:
    logits, target = drawn(40, C, dtype=dtype)
    logits = scale * logits
    logits[0, target[0]] = scale * 50
    logits[1, (target[1] + 1) % C] = -math.inf  # a masked class that is not the truth
    for term in (terms.nll, terms.power(0.5) * terms.nll):
        given = logits.double(), target, term, Options(reduction="none")
        exact = found_by("whole", *given)[:2]
        for short, right in zip(found_by("short", logits, *given[1:])[:2], exact, strict=True):
            torch.testing.assert_close(short, right.to(dtype), rtol=1e-4, atol=1e-30)


def test_losses_of_the_catalogue_give_their_numbers(monkeypatch: pytest.MonkeyPatch) -> None:
    taken_by = set()
    for name in sorted(GENERATED):
        case = Case(GENERATED[name].examples[0], "index", (7, 5))
        if "index" not in target_kinds(case.call):
            continue

        def noted(*given, name=name):
            direct = short_way(*given)
            taken_by.update(() if direct is None else {name})
            return direct

        monkeypatch.setitem(executors._SHORTCUTS, "whole", noted)
        target, found = case.targets().clamp_min(0), []  # an ignored one is left to a plan
        for path in ("short", "whole"):
            logits = case.logits().requires_grad_()
            with running(path):
                value = build(case.call)(logits, target)
                value.sum().backward()
            found.append((value.detach(), logits.grad))
        for short, planned in zip(*found, strict=True):
            torch.testing.assert_close(short, planned, rtol=1e-10, atol=1e-12, msg=name)
    assert taken_by >= {"cross_entropy", "focal", "poly", "taylor", "seesaw", "jensen_shannon"}


PER_CLASS = {
    "a bias": {"logit_bias": torch.linspace(-3, 2, C)},
    "weights": {"weight": torch.linspace(0, 2, C)},
    "both": {"weight": torch.linspace(0, 2, C), "logit_bias": torch.linspace(-3, 2, C).double()},
}


@pytest.mark.parametrize("reduction", ["mean", "sum", "batch_mean", "none"])
@pytest.mark.parametrize("numbers", PER_CLASS.values(), ids=PER_CLASS)
def test_numbers_per_class(numbers: dict[str, Tensor], reduction) -> None:
    for shape in ((N, C), (2, C, 3), (2, C, 2, 2)):
        logits, target = drawn(*shape)
        given = target, TERMS["poly focal"], Options(reduction=reduction, **numbers)
        pairs = zip(
            found_by("short", logits, *given), found_by("whole", logits, *given), strict=True
        )
        for short, planned in pairs:
            torch.testing.assert_close(short, planned, rtol=2e-5, atol=2e-7)
        even = 2 * logits.round()  # which float32 has at 2^24 too
        near, far = (found_by("short", even + offset, *given)[0] for offset in (0.0, 2.0**24))
        torch.testing.assert_close(far, near, rtol=0, atol=0)  # a common offset costs no digits


@pytest.mark.parametrize("reduction", ["mean", "sum", "batch_mean", "none"])
def test_it_counts(reduction) -> None:
    counted = []
    for path in ("short", "whole"):
        indicator = GradientIndicator(C)
        bias = torch.linspace(-3, 2, C)
        options = Options(indicator=indicator, logit_bias=bias, reduction=reduction)
        for shape in ((N, C), (2, C, 3), (2, C, 2, 2)):
            found_by(path, *drawn(*shape), TERMS["cancelling"], options)
        counted.append(torch.stack([indicator.positive, indicator.negative]))
        assert indicator.steps == 3
    torch.testing.assert_close(*counted, rtol=1e-5, atol=1e-7)


def test_without_a_gradient() -> None:
    logits, target = drawn(N, C)
    with taken(), running("short"):
        loss = p_t_loss(logits, target, terms.nll, Options())
    assert not loss.requires_grad
    torch.testing.assert_close(loss, torch.nn.functional.cross_entropy(logits, target))


X, Y = drawn(N, C)
INDICATOR = GradientIndicator(C)
LEFT = {
    "ignored": (X, Y.index_fill(0, torch.tensor([1]), -100), Options()),
    "a class that is ignored": (X, Y, Options(ignore_index=3)),
    "no such class": (X, Y + 1, Options()),
    "infinite": (X.masked_fill(X.max() == X, math.inf), Y, Options()),
    "a masked truth": (X.scatter(1, Y[:, None], -math.inf), Y, Options()),
    "NaN": (X.masked_fill(X.max() == X, math.nan), Y, Options()),
    "soft": (X, torch.softmax(X, 1), Options()),
    "sigmoid": (X, Y, Options(link="sigmoid")),
    "large": (torch.zeros(MOST_LOGITS, 2), torch.zeros(MOST_LOGITS).long(), Options()),
    "empty": (X[:0], Y[:0], Options()),
    "one class": (X[:, :1], 0 * Y, Options()),
    "other integers": (X, Y.int(), Options()),
    "counting with weights": (X, Y, Options(indicator=INDICATOR, weight=torch.ones(C))),
    "classes without a weight": (X, Y, Options(weight=torch.zeros(C))),
    "weights that learn": (X, Y, Options(weight=torch.ones(C, requires_grad=True))),
    "weights of another number of classes": (X, Y, Options(weight=torch.ones(C + 1))),
    "weighted samples": (X, Y, Options(sample_weight=torch.ones(N))),
    "normalised": (X, Y, Options(normalizer=3.0)),
    "a bias of another number of classes": (X, Y, Options(logit_bias=torch.ones(C + 1))),
    "a bias that learns": (X, Y, Options(logit_bias=torch.ones(C, requires_grad=True))),
    "scaled": (X, Y, Options(logit_scale=torch.ones(C))),
    "warm": (X, Y, Options(temperature=2.0)),
    "smoothed": (X, Y, Options(label_smoothing=0.1)),
    "alpha": (X, Y, Options(alpha=0.5)),
    "a reduction that is none": (X, Y, Options(reduction="median")),  # type: ignore[arg-type]
}


@pytest.mark.parametrize(("logits", "target", "options"), LEFT.values(), ids=LEFT)
def test_the_rest_is_left_to_a_plan(logits: Tensor, target: Tensor, options: Options) -> None:
    assert short_way(X, Y, terms.nll, Options()) is not None
    assert short_way(logits, target, terms.nll, options) is None


def test_terms_per_class_and_what_others_watch_are_left_to_a_plan() -> None:
    per_class = terms.power(torch.ones(C)) * terms.nll
    assert short_way(X, Y, per_class, Options()) is None
    with taylored.debug():
        assert short_way(X, Y, terms.nll, Options()) is None
    found = []
    torch.func.vmap(lambda x: found.append(short_way(x, Y, terms.nll, Options())) or x)(X[None])
    with FakeTensorMode() as mode:
        found.append(short_way(mode.from_tensor(X), mode.from_tensor(Y), terms.nll, Options()))
    assert found == [None, None]


def test_a_frozen_indicator_counts_nothing() -> None:
    frozen = GradientIndicator(C)
    frozen.freeze()
    assert short_way(X, Y, terms.nll, Options(indicator=frozen)) is not None
