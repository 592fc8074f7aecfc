"""What the native executor and its shortcut take, what they leave to torch, in which layouts."""

from __future__ import annotations

import dataclasses

import pytest
import torch
from torch import Tensor
from torch._subclasses.fake_tensor import FakeTensor, FakeTensorMode
from torch.autograd import forward_ad
from torch.fx.experimental.proxy_tensor import make_fx

import taylored
from kit.cases import GENERATED, Case, target_kinds
from kit.executors import running
from kit.native import agree, counted, drawn, native, needs_native
from kit.traits import NOT_NATIVE
from taylored import (
    AsymmetricLoss,
    CrossEntropyLoss,
    FocalLoss,
    GradientIndicator,
    LogitAdjustedLoss,
    PolyLoss,
    SoftmaxEQLLoss,
    TaylorLoss,
    terms,
)
from taylored.core.engine import executors
from taylored.core.engine.one_pass import p_t_loss
from taylored.core.engine.whole import Whole
from taylored.core.plan.options import Options
from taylored.core.plan.prepare import prepare
from taylored.core.terms.term import Term
from taylored.kernels import NATIVE
from taylored.kernels.executor import Native
from taylored.kernels.library import Library
from taylored.kernels.program import program_of
from taylored.kernels.shortcut import NativeShortcut

pytestmark = needs_native

N, C = 12, 7


def logits(*shape: int, dtype: torch.dtype = torch.float32, seed: int = 0) -> Tensor:
    generator = torch.Generator().manual_seed(seed)
    return (2 * torch.randn(shape or (N, C), generator=generator)).to(dtype)


TARGET = torch.arange(N) % C


@pytest.fixture
def ran(monkeypatch: pytest.MonkeyPatch) -> list[str]:
    """What was asked to do the work, in order."""
    found: list[str] = []
    spied = ((Native, "sweep", "sweep"), (Native, "value", "value"), (Whole, "sweep", "whole"))
    spied += ((Whole, "value", "composed"),)
    for owner, method, name in spied:
        original = getattr(owner, method)

        def spy(self, *args, original=original, name=name, **options):
            found.append(name)
            return original(self, *args, **options)

        monkeypatch.setattr(owner, method, spy)
    original_call = NativeShortcut.__call__

    def call(self, *args):
        direct = original_call(self, *args)
        if direct is not None:
            found.append("shortcut")
        return direct

    monkeypatch.setattr(NativeShortcut, "__call__", call)
    return found


# --- terms --------------------------------------------------------------------------------------

PER_CLASS = torch.tensor([0.0, 0.5, 1.0, 2.0, 3.0, 0.3, 1.7], dtype=torch.float64)
AS_DATA = {
    "cross-entropy": terms.nll,
    "focal": terms.power(2) * terms.nll,
    "fractional": terms.power(0.3) * terms.nll,
    "poly": terms.nll + 2.0 * terms.power(1),
    "poly focal": terms.power(0.1) * terms.nll + 1.5 * terms.power(1.1) - 0.2 * terms.power(2.1),
    "per class": terms.power(PER_CLASS) * (terms.nll + 0.5 * terms.power(1)),
    "short Taylor": terms.truncated(32),
    "series": terms.series([3.0, 0.0, 0.5]),
    "with a constant": 1.0 + terms.nll * terms.constant(0.5),
    "product of sums": (terms.power(1) + terms.power(2)) * (terms.nll + terms.series([1.0])),
    "nothing": 0.0 * terms.nll,
}
NOT_AS_DATA = {
    "squared logarithm": terms.nll * terms.nll,
    "long Taylor": terms.truncated(33),
    "exponents apart by a fraction": terms.power(0.5) * terms.nll + terms.power(2),
    "far apart": terms.nll + terms.power(33),
    "per class in one summand": terms.power(PER_CLASS) * terms.nll + terms.power(1),
    "two per class": terms.power(PER_CLASS) * terms.power(PER_CLASS),
    "Box-Cox": terms.box_cox(0.5),
    "Jensen-Shannon": terms.jensen_shannon(0.5),
}


@pytest.mark.parametrize("term", AS_DATA.values(), ids=AS_DATA)
def test_terms_as_data_are_the_same_function(term: Term) -> None:
    program = program_of(term)
    assert program is not None
    assert program_of(term) is program  # worked out once
    p = torch.linspace(0.01, 0.99, C, dtype=torch.float64)
    q = 1 - p
    gamma = program.gamma if program.gammas is None else program.gammas

    def polynomial(values) -> Tensor:
        return sum((a * q**j for j, a in enumerate(values)), torch.zeros_like(q))

    nll = -torch.log(p) - sum(q**j / j for j in range(1, program.skipped + 1))
    value = q**gamma * (nll * polynomial(program.log_factor) + polynomial(program.rest))
    torch.testing.assert_close(value, term.value(p), rtol=1e-12, atol=1e-14)


@pytest.mark.parametrize("term", NOT_AS_DATA.values(), ids=NOT_AS_DATA)
def test_other_terms_stay_with_torch(term: Term) -> None:
    assert program_of(term) is None
    assert not native().accepts(*prepare(logits(), TARGET, term, Options()))


@pytest.mark.parametrize("name", sorted(GENERATED))
def test_the_native_path_of_the_suites_is_native(name: str, ran: list[str]) -> None:
    from kit.cases import build, call_of

    for text in GENERATED[name].examples:
        if text.startswith("taylor") and program_of(taylored.get(text).term) is None:
            continue
        for kind in target_kinds(call_of(text)):
            case = Case(text, kind, (7, 5))
            loss = build(case.call)
            with running("native"):
                loss(case.logits().requires_grad_(), case.targets())
    assert (name in NOT_NATIVE) == (not {"shortcut", "sweep"} & set(ran))


# --- calls --------------------------------------------------------------------------------------

TAKEN = {
    "plain": (CrossEntropyLoss(), "shortcut"),
    "poly": (PolyLoss(), "shortcut"),
    "focal": (FocalLoss(), "shortcut"),
    "sigmoid": (FocalLoss(link="sigmoid"), "shortcut"),
    "unreduced": (PolyLoss(reduction="none"), "shortcut"),
    "weighted": (CrossEntropyLoss(weight=[1.0] * C), "shortcut"),
    "smoothed": (CrossEntropyLoss(label_smoothing=0.1), "shortcut"),
    "biased": (LogitAdjustedLoss(counts=range(1, C + 1)), "shortcut"),
    "smoothed and weighted": (CrossEntropyLoss(label_smoothing=0.1, weight=[1.0] * C), "sweep"),
    "alpha": (FocalLoss(link="sigmoid", alpha=0.25), "shortcut"),
    "alpha per class": (FocalLoss(link="sigmoid", alpha=[0.25] * C), "shortcut"),
    "pos_weight": (FocalLoss(link="sigmoid", pos_weight=2.0), "shortcut"),
    "per class": (FocalLoss(gamma=[1.0] * C), "sweep"),
    "a term without the form": (TaylorLoss(num_terms=100), "whole"),
    "two terms": (AsymmetricLoss(), "whole"),
}


@pytest.mark.parametrize(("loss", "by"), TAKEN.values(), ids=TAKEN)
def test_who_does_it(loss, by: str, ran: list[str]) -> None:
    loss(logits().requires_grad_(), TARGET).sum().backward()
    assert ran == [by]
    del ran[:]
    with torch.no_grad():
        loss(logits(), TARGET)
    assert ran == [{"sweep": "value", "whole": "composed"}.get(by, by)]


def test_the_rest_of_the_vocabulary_goes_round_the_shortcut(ran: list[str]) -> None:
    x = logits().requires_grad_()
    loss = CrossEntropyLoss()
    loss(x, TARGET, sample_weight=torch.ones(N))
    loss(x, TARGET, normalizer=3.0)
    taylored.term_loss(x, TARGET, terms.nll, temperature=2.0)
    with taylored.debug():
        loss(x, TARGET)
    assert ran == ["sweep"] * 4


SOFT = torch.softmax(logits(seed=2), 1)
DENSE = {
    "soft": (CrossEntropyLoss(), SOFT, "shortcut"),
    "one ignored": (CrossEntropyLoss(), SOFT.index_fill(0, torch.tensor([1]), -100), "sweep"),
    "soft and weighted": (CrossEntropyLoss(weight=[1.0] * C), SOFT, "sweep"),
    "several truths": (FocalLoss(link="sigmoid"), SOFT.round(), "shortcut"),
    "as bool": (FocalLoss(link="sigmoid"), SOFT > 0.2, "shortcut"),
    "as int": (FocalLoss(link="sigmoid"), (SOFT > 0.2).int(), "shortcut"),
    "ignored above": (FocalLoss(link="sigmoid", ignore_index=255), SOFT.round(), "shortcut"),
    "bytes": (FocalLoss(link="sigmoid", ignore_index=255), (SOFT > 0.2).byte(), "shortcut"),
    "some above": (FocalLoss(link="sigmoid", ignore_index=1), SOFT.round(), "sweep"),
    "some below": (FocalLoss(link="sigmoid", ignore_index=0), SOFT.round(), "sweep"),
    "other order": (CrossEntropyLoss(), SOFT.t().contiguous().t(), "sweep"),
}


@pytest.mark.parametrize(("loss", "target", "by"), DENSE.values(), ids=DENSE)
def test_who_does_it_for_one_truth_per_element(loss, target: Tensor, by: str, ran) -> None:
    loss(logits().requires_grad_(), target).backward()
    assert ran == [by]


def test_truths_that_are_wanted_a_gradient_of_are_left_to_torch(ran: list[str]) -> None:
    soft = SOFT.clone().requires_grad_()
    taylored.cross_entropy_loss(logits(), soft).backward()
    assert ran == ["composed"]
    assert soft.grad is not None


def test_counted_losses_take_the_sums_from_the_native_sweep(ran: list[str]) -> None:
    SoftmaxEQLLoss(num_classes=C)(logits().requires_grad_(), TARGET)
    SoftmaxEQLLoss(CrossEntropyLoss(weight=[1.0] * C), num_classes=C)(
        logits().requires_grad_(), TARGET
    )
    assert ran == ["shortcut", "sweep"]


OUTCOMES = Options(
    link="sigmoid",
    weight=torch.arange(1.0, C + 1),
    alpha=0.3,
    pos_weight=torch.linspace(0.5, 2.0, C, dtype=torch.float64),
    neg_weight=torch.linspace(1.0, 0.0, C),
)

COUNTED = {
    "mean": Options(),
    "weighted outcomes": OUTCOMES,
    "sum": Options(reduction="sum"),
    "some ignored": Options(ignore_index=3),
    "all ignored": Options(ignore_index=0),
    "batch mean of elements": Options(link="sigmoid", reduction="batch_mean"),
    "mean of elements": Options(link="sigmoid"),
    "biased": Options(
        logit_bias=torch.linspace(-2.0, 0.0, C), logit_scale=torch.arange(1.0, C + 1)
    ),
    "without the last class": Options(uncounted=1),
}


@pytest.mark.parametrize("options", COUNTED.values(), ids=COUNTED)
def test_the_shortcut_counts_what_the_plan_counts(options: Options) -> None:
    target = torch.zeros(N, dtype=torch.int64) if options.ignore_index == 0 else TARGET
    found = []
    for way in ("native", "whole"):
        indicator = GradientIndicator(C - options.uncounted)
        with running(way):
            p_t_loss(logits().requires_grad_(), target, terms.nll,
                     options._replace(indicator=indicator))  # fmt: skip
        found.append((indicator.positive, indicator.negative, indicator.steps))
    for left, right in zip(*found, strict=True):
        torch.testing.assert_close(left, right, rtol=1e-5, atol=1e-6)


class Sub(Tensor):
    pass


def test_what_the_library_cannot_see_is_left_to_torch(ran: list[str]) -> None:
    loss = CrossEntropyLoss()
    weight = torch.ones(C, requires_grad=True)
    x = logits()

    def grad_of(z: Tensor) -> Tensor:
        return loss(z, TARGET)

    torch.func.grad(grad_of)(x)
    torch.func.vmap(grad_of)(torch.stack([x, x]))
    taylored.cross_entropy_loss(x.requires_grad_(), TARGET, weight=weight)
    x = x.detach()
    loss(x.as_subclass(Sub), TARGET)
    with forward_ad.dual_level():
        loss(forward_ad.make_dual(x, torch.ones_like(x)), TARGET)
    loss(torch.complex(x, x).conj().imag, TARGET)
    loss(x[:1].expand(N, C), TARGET)  # one row in memory: a gradient has no room there
    loss(x.repeat(1, 3)[:, ::3], TARGET)  # more holes than numbers
    loss(x[:0], TARGET[:0])
    assert set(ran) <= {"whole", "composed"}, ran
    assert len(ran) == 9


def test_fake_tensors_and_tracing_are_left_to_torch(ran: list[str]) -> None:
    loss, soft = FocalLoss(link="sigmoid"), torch.sigmoid(logits(seed=2))
    with FakeTensorMode() as mode:
        fake = loss(mode.from_tensor(logits()), mode.from_tensor(soft))
    assert isinstance(fake, FakeTensor)
    with FakeTensorMode(allow_non_fake_inputs=True):
        assert isinstance(loss(logits(), soft), FakeTensor)
    traced = make_fx(loss)(logits(), soft)
    assert ran == ["composed"] * 3
    torch.testing.assert_close(traced(logits(seed=1), soft), loss(logits(seed=1), soft))


def test_wrong_calls_keep_their_messages() -> None:
    loss = CrossEntropyLoss()
    cases = [
        ((logits(), TARGET + 1), "class 7"),
        ((logits(), TARGET - 1), "class -1"),
        ((logits(), TARGET[:3]), "class indices of shape"),
        ((logits().long(), TARGET), "floating-point"),
        ((logits(), TARGET.bool()), "class indices of shape"),
        ((logits(), [0] * N), "a tensor"),
    ]
    for arguments, message in cases:
        with pytest.raises(ValueError, match=message):
            loss(*arguments)
    with pytest.raises(ValueError, match="one number per class"):
        taylored.cross_entropy_loss(logits(), TARGET, weight=torch.ones(C - 1))
    for name, value in (("alpha", 1.5), ("pos_weight", -1.0), ("pos_weight", torch.ones(C - 1))):
        with pytest.raises(ValueError, match=name):
            p_t_loss(logits(), TARGET, terms.nll, Options(link="sigmoid", **{name: value}))
    for name in ("alpha", "pos_weight", "neg_weight"):
        with pytest.raises(ValueError, match=name):
            p_t_loss(logits(), TARGET, terms.nll, Options(**{name: torch.ones(C)}))


# --- the shortcut against the plan ----------------------------------------------------------------

SHORT = {
    "cross-entropy": Options(),
    "sum": Options(reduction="sum"),
    "unreduced": Options(reduction="none"),
    "weighted": Options(weight=torch.arange(1.0, C + 1)),
    "weighted batch mean": Options(weight=torch.arange(1.0, C + 1), reduction="batch_mean"),
    "smoothed": Options(label_smoothing=0.2),
    "sigmoid": Options(link="sigmoid"),
    "sigmoid unreduced": Options(link="sigmoid", reduction="none"),
    "sigmoid batch mean": Options(link="sigmoid", reduction="batch_mean", label_smoothing=0.1),
    "nothing ignored": Options(ignore_index=None),
    "class 3 ignored": Options(ignore_index=3),
    "biased": Options(logit_bias=torch.linspace(-2.0, 0.0, C)),
    "scaled and smoothed": Options(logit_scale=torch.linspace(0.5, 2.0, C), label_smoothing=0.1),
    "sigmoid biased": Options(link="sigmoid", logit_bias=torch.linspace(-2.0, 0.0, C)),
    "weighted outcomes": OUTCOMES,
    "one weight of positives": Options(link="sigmoid", pos_weight=3.0, reduction="sum"),
    "alpha per class": Options(link="sigmoid", alpha=torch.linspace(0.0, 1.0, C)),
}


@pytest.mark.parametrize("dtype", [torch.float32, torch.float64, torch.bfloat16, torch.float16])
@pytest.mark.parametrize("options", SHORT.values(), ids=SHORT)
def test_the_shortcut_finds_what_the_plan_finds(options: Options, dtype: torch.dtype) -> None:
    for shape in ((N, C), (3, C, 4), (3, C, 2, 2)):
        target = (torch.arange(12) % C).reshape(shape[:1] + shape[2:])
        if options.ignore_index == -100:
            target.view(-1)[2] = -100
        agree_with_the_plan(options, logits(*shape, dtype=dtype), target)


@pytest.mark.parametrize("dtype", [torch.float32, torch.float64, torch.bfloat16, torch.float16])
@pytest.mark.parametrize("options", SHORT.values(), ids=SHORT)
def test_the_shortcut_finds_it_for_dense_targets(options: Options, dtype: torch.dtype) -> None:
    for shape in ((N, C), (3, C, 4), (3, C, 2, 2)):
        soft = torch.softmax(logits(*shape, seed=2), 1)
        targets = [soft, soft.to(dtype)]
        if options.link == "sigmoid":
            targets += [soft > 0.2, (soft > 0.2).long()]
        for target in targets:
            agree_with_the_plan(options, logits(*shape, dtype=dtype), target)


def agree_with_the_plan(options: Options, z: Tensor, target: Tensor) -> None:
    """Value, gradient and second derivative, by the shortcut if it takes a call, and by torch."""
    term = terms.power(1.5) * terms.nll + 0.5 * terms.power(2.5)
    found = []
    for way in ("native", "whole"):
        x = z.detach().requires_grad_()
        with running(way):
            value = p_t_loss(x, target, term, options)
        upstream = torch.linspace(0.5, 2.0, value.numel(), dtype=value.dtype)
        upstream = upstream.reshape(value.shape)
        (gradient,) = torch.autograd.grad(value, x, upstream, create_graph=True)
        (plain,) = torch.autograd.grad(value, x, upstream)
        (second,) = torch.autograd.grad(gradient.double().square().sum(), x)
        found.append((value, plain, gradient, second))
    rough = {torch.float64: 1e-10, torch.float32: 2e-5}.get(z.dtype, 2e-2)
    for left, right in zip(*found, strict=True):
        torch.testing.assert_close(left, right, rtol=rough, atol=1e-2 * rough)


@pytest.mark.parametrize("name", ["logit_bias", "weight", "pos_weight", "neg_weight", "alpha"])
def test_a_number_changed_after_forward_is_an_error_in_second_derivatives(name: str) -> None:
    numbers, x = torch.full((C,), 0.5), logits().requires_grad_()
    link = "softmax" if name == "logit_bias" else "sigmoid"
    options = Options(link=link, **{name: numbers})
    kept = options._replace(**{name: numbers.clone()})
    value = p_t_loss(x, TARGET, terms.nll, options)
    expected = torch.autograd.grad(p_t_loss(x, TARGET, terms.nll, kept), x)[0]
    numbers.add_(1.0)
    torch.testing.assert_close(torch.autograd.grad(value, x, retain_graph=True)[0], expected)
    with pytest.raises(RuntimeError, match="modified by an inplace operation"):
        torch.autograd.grad(value, x, create_graph=True)


@pytest.mark.parametrize("ignored", [0, 1])
@pytest.mark.parametrize("again", [False, True])
def test_targets_changed_after_forward_do_not_reach_backward(ignored: int, again: bool) -> None:
    target = TARGET.clone()
    target[:ignored] = -100
    x = logits().requires_grad_()
    (expected,) = torch.autograd.grad(CrossEntropyLoss()(x, target.clone()), x)
    value = CrossEntropyLoss()(x, target)
    target.fill_(0)
    try:
        (found,) = torch.autograd.grad(value, x, create_graph=again)
    except RuntimeError as error:
        assert "modified by an inplace operation" in str(error)  # as torch; wrong is worse
        assert not ignored
    else:
        torch.testing.assert_close(found, expected)


def test_an_executor_put_in_front_is_asked_before_the_shortcut(monkeypatch, ran) -> None:
    monkeypatch.setattr(executors, "_EXECUTORS", [Whole("other"), *executors._EXECUTORS])
    CrossEntropyLoss()(logits().requires_grad_(), TARGET)
    assert ran == ["whole"]


# --- layouts --------------------------------------------------------------------------------------


def views() -> dict[str, Tensor]:
    """The same numbers in every order of memory."""
    rows, maps = logits(N, C), logits(3, C, 4, 5)
    return {
        "rows": rows,
        "columns": rows.t().contiguous().t(),
        "padded rows": torch.cat([rows, rows[:, :3]], 1)[:, :C],
        "steps": logits(3, 4, C).transpose(1, 2),
        "maps": maps,
        "channels last": maps.contiguous(memory_format=torch.channels_last),
        "cut maps": torch.cat([maps, maps[..., :1]], 3)[..., :5],
        "flat maps": maps.flatten(2),
        "one row": rows[:1],
        "two classes": rows[:, :2].contiguous(),
        "every second batch": torch.stack([rows, rows])[0].unsqueeze(2),
        "samples last": maps.permute(1, 2, 3, 0).contiguous().permute(3, 0, 1, 2),
    }


@pytest.mark.parametrize("link", ["softmax", "sigmoid"])
@pytest.mark.parametrize("name", views())
def test_layouts(name: str, link: str) -> None:
    given = views()[name]
    positions = given.shape[:1] + given.shape[2:]
    target = (torch.arange(positions.numel()) % given.shape[1]).reshape(positions)
    soft = torch.softmax(logits(*given.shape, seed=2), 1)
    for y in (target, soft, soft.transpose(0, 1).contiguous().transpose(0, 1)):
        for reduction in ("mean", "none"):
            found = []
            for way in ("native", "whole"):
                x = given.detach().requires_grad_()
                with running(way):
                    value = taylored.poly_loss(x, y, link=link, reduction=reduction)
                    assert x.shape == given.shape
                found.append((value, *torch.autograd.grad(value.sum(), x)))
            for left, right in zip(*found, strict=True):
                torch.testing.assert_close(left, right, rtol=1e-5, atol=1e-6)


def test_most_layouts_are_native(ran: list[str]) -> None:
    for given in views().values():
        positions = given.shape[:1] + given.shape[2:]
        PolyLoss()(given.detach().requires_grad_(), torch.zeros(positions, dtype=torch.long))
    others = [name for name, by in zip(views(), ran, strict=True) if by != "shortcut"]
    assert others == ["cut maps"]  # two axes with a gap between them


# --- into -----------------------------------------------------------------------------------------


@pytest.mark.parametrize("dtype", [torch.float32, torch.float64, torch.bfloat16, torch.float16])
def test_the_gradient_may_be_written_over_the_logits(dtype: torch.dtype) -> None:
    for seed in range(40):
        x, plan = drawn(seed, dtype).prepared()
        expected = counted(native(), x, plan)
        over = x.clone()
        found = counted(native(), over, plan, into=over)
        assert found.gradient is over
        rounded = expected._replace(gradient=expected.gradient.to(dtype))
        agree(found, rounded, 1e-9)


def test_the_gradient_goes_where_it_is_told() -> None:
    x, plan = prepare(logits(), TARGET, terms.nll, Options())
    expected = native().sweep(x, plan).gradient
    buffers = [torch.empty(N, C), torch.empty(C, N).t(), torch.empty(N, C, dtype=torch.float64)]
    for buffer in buffers:
        found = native().sweep(x, plan, into=buffer)
        assert found.gradient is buffer
        torch.testing.assert_close(buffer.to(expected), expected)


def test_a_library_that_refuses_is_an_error() -> None:
    assert isinstance(NATIVE, Library)
    refusing = Native(dataclasses.replace(NATIVE, sweep=lambda record: 1))
    x, plan = prepare(logits(), TARGET, terms.nll, Options())
    with pytest.raises(RuntimeError, match="refused"):
        refusing.value(x, plan)
