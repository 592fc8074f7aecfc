"""Blocks: every way through them is as exact as the reference, also over the logits themselves."""

from __future__ import annotations

from dataclasses import replace
from unittest import mock

import pytest
import torch
from torch import Tensor

from kit.native import counted
from taylored.core.engine import blocked
from taylored.core.engine.blocked import Blocked
from taylored.core.engine.whole import Whole
from taylored.core.links import sigmoid, softmax
from taylored.core.links.scratch import Scratch, empty_result
from taylored.core.plan.options import Options
from taylored.core.plan.plan import Plan
from taylored.core.plan.prepare import prepare
from taylored.core.terms.elementary import nll, power
from taylored.core.terms.noise_robust import box_cox, jensen_shannon
from taylored.core.terms.sums_of_powers import truncated
from taylored.core.terms.term import Term

TERMS = {
    "nll": nll,
    "focal": power(2) * nll,
    "root focal": power(0.5) * nll,
    "poly focal": power(1.5) * nll + 0.7 * power(2.5) - 0.1 * power(3),
    "per class": power([0.0, 0.3, 1.0, 2.0, 5.0]) * nll,
    "bare power": power(0.1),
    "truncated": truncated(1000),
    "box-cox": box_cox(0.7),
    "jensen-shannon": jensen_shannon(0.3),
}
SOFTMAX = {
    "index": Options(),
    "weighted": Options(weight=[0.1, 2.0, 3.0, 0.5, 1.0], ignore_index=3),
    "smoothed": Options(label_smoothing=0.2, weight=[0.1, 2.0, 3.0, 0.5, 1.0]),
    "adjusted": Options(logit_bias=[-3.0, 0.0, 1.0, 2.0, -1.0], temperature=0.5),
    "soft": Options(),
}
SIGMOID = {
    "multi-hot": Options(link="sigmoid", alpha=0.25),
    "plain": Options(link="sigmoid"),
    "index": Options(link="sigmoid", pos_weight=[1e-4, 2.0, 3.0, 0.5, 1.0], background_index=4),
    "ignoring": Options(link="sigmoid", ignore_index=0),
    "soft": Options(link="sigmoid"),
}
KINDS = [("softmax", kind) for kind in SOFTMAX] + [("sigmoid", kind) for kind in SIGMOID]


def drawn(
    link: str, kind: str, term: Term, scale: float, dtype: torch.dtype = torch.float64
) -> tuple[Tensor, Plan]:
    torch.manual_seed(0)
    logits = scale * torch.randn(6, 5, 4, dtype=torch.float64)
    options = SOFTMAX[kind] if link == "softmax" else SIGMOID[kind]
    target: Tensor = torch.randint(0, 5, (6, 4))
    if kind == "soft":
        target = torch.softmax(torch.randn_like(logits), 1)
    elif link == "sigmoid" and kind != "index":
        target = (torch.rand(logits.shape) < 0.3).double()
    return prepare(logits.to(dtype), target, term, options)


def composed(logits: Tensor, plan: Plan) -> tuple[Tensor, Tensor]:
    """Loss and gradient by autograd through the differentiable reference."""
    logits = logits.detach().double().requires_grad_()
    loss = Whole().value(logits, plan)
    return loss.detach(), torch.autograd.grad(loss, logits)[0]


@pytest.fixture(autouse=True)
def small_blocks(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(blocked, "BLOCK_ELEMENTS", 15)


@pytest.mark.parametrize(("link", "kind"), KINDS)
@pytest.mark.parametrize("name", TERMS)
@pytest.mark.parametrize("scale", [1.0, 20.0, 1e4])
def test_as_exact_as_the_reference(link: str, kind: str, name: str, scale: float) -> None:
    logits, plan = drawn(link, kind, TERMS[name], scale)
    loss, gradient = composed(logits, plan)
    found = Blocked().sweep(logits, plan)
    torch.testing.assert_close(found.loss, loss, rtol=1e-10, atol=1e-300)
    torch.testing.assert_close(found.gradient, gradient, rtol=1e-9, atol=1e-15)
    torch.testing.assert_close(Blocked().value(logits, plan), loss, rtol=1e-10, atol=1e-300)


@pytest.mark.parametrize("dtype", [torch.float64, torch.float32, torch.bfloat16])
@pytest.mark.parametrize(("link", "kind"), KINDS)
@pytest.mark.parametrize("scale", [1.0, 1e4])
def test_over_the_logits_themselves(link: str, kind: str, scale: float, dtype: torch.dtype) -> None:
    logits, plan = drawn(link, kind, TERMS["focal"], scale, dtype)
    expected = counted(Blocked(), logits, plan)
    over = logits.clone()
    found = counted(Blocked(), over, plan, into=over)
    assert found.gradient is over
    for one, other in (
        (found.loss, expected.loss), (over, expected.gradient), (found.sums, expected.sums)
    ):  # fmt: skip
        torch.testing.assert_close(one, other, rtol=0, atol=0)


def general_form_used(link: str, logits: Tensor, plan: Plan) -> int:
    """How many blocks were left to the form that is right everywhere."""
    module = {"softmax": softmax, "sigmoid": sigmoid}[link]
    with mock.patch.object(
        module, "value_and_gradient", side_effect=module.value_and_gradient
    ) as general:
        Blocked().sweep(logits, plan)
    return general.call_count


@pytest.mark.parametrize(("link", "kind"), [("softmax", "index"), ("softmax", "soft"),
                                            ("sigmoid", "multi-hot")])  # fmt: skip
@pytest.mark.parametrize("dtype", [torch.float64, torch.float32])
def test_ordinary_logits_take_the_short_way(link: str, kind: str, dtype: torch.dtype) -> None:
    logits, plan = drawn(link, kind, nll, 5.0, dtype)
    assert general_form_used(link, logits, plan) == 0
    assert general_form_used(link, logits * 1e3, plan) > 0
    if link == "softmax":  # only differences count
        assert general_form_used(link, logits + 1e4, plan) == 0


@pytest.mark.parametrize(("link", "kind"), KINDS)
def test_one_bad_row_stays_alone(link: str, kind: str) -> None:
    logits, plan = drawn(link, kind, nll, 1.0)
    plan = replace(plan, output="each")
    clean = Blocked().sweep(logits, plan)
    logits[2] = torch.nan
    found = Blocked().sweep(logits, plan)
    kept = torch.tensor([0, 1, 3, 4, 5])
    for one, other in ((found.loss, clean.loss), (found.gradient, clean.gradient)):
        torch.testing.assert_close(one[kept], other[kept], rtol=1e-12, atol=1e-15)
    assert found.gradient[2].isnan().any()


def test_working_memory_is_reused() -> None:
    scratch, like = Scratch(), torch.zeros(3, 4)
    first = scratch.take("a", like, torch.float32)
    assert scratch.take("a", like, torch.float32) is first
    assert scratch.take("b", like, torch.float32) is not first
    assert scratch.take("a", like[:2], torch.float32).shape == (2, 4)


def test_large_results_are_ordinary_tensors() -> None:
    like = torch.zeros(3 << 20)[::2]
    result = empty_result(like, torch.float64)
    assert (result.shape, result.dtype) == (like.shape, torch.float64)
    result.fill_(1.0)
    assert result.sum() == like.numel()
