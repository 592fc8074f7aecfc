"""The numbers of the native kernels, for every instruction set this processor runs."""

from __future__ import annotations

import ctypes
import math
from collections.abc import Callable
from pathlib import Path
from typing import Literal

import mpmath
import pytest
import torch
from torch import Tensor

from kit.native import counted, needs_native
from taylored import kernels, terms
from taylored.core.numerics import computing_dtype
from taylored.core.plan.plan import Plan
from taylored.kernels.executor import Native
from taylored.kernels.library import LEVELS, Library, find

pytestmark = needs_native

GAMMAS = (0.0, 0.3, 0.5, 1.0, 2.0, 2.5, 5.0)
CLASSES = (1, 2, 3, 15, 16, 17, 31, 33, 100, 1000, 1271)
# Of the largest entry of a position. Margins of a few units carry their own rounding error.
CLOSE = {torch.float32: 3e-6, torch.float64: 1e-13}


def _levels() -> tuple[str, ...]:
    capability = torch.backends.cpu.get_cpu_capability().lower()
    return LEVELS[LEVELS.index(capability) :] if capability in LEVELS else LEVELS[-1:]


@pytest.fixture(params=_levels())
def native(request: pytest.FixtureRequest, monkeypatch: pytest.MonkeyPatch) -> Native:
    """The executor on the library of one instruction set."""
    shown = {"baseline": "DEFAULT"}.get(request.param, request.param.upper())
    monkeypatch.setattr(torch.backends.cpu, "get_cpu_capability", lambda: shown)
    library = find()
    assert isinstance(library, Library), library
    assert library.level == request.param
    return Native(library)


def plan_of(
    link: Literal["softmax", "sigmoid"], logits: Tensor, target: Tensor, **slots: object
) -> Plan:
    """A plan with every slot empty that is not named."""
    rows = torch.ones(logits.shape[:1] + logits.shape[2:], dtype=computing_dtype(logits))
    given = {
        "link": link,
        "term": terms.nll,
        "rejection": None,
        "target": target,
        "target_kind": "dense" if target.shape == logits.shape else "index",
        "rows": rows.unsqueeze(1),
        "denominator": None,
        "ignore": None,
        "positive": None,
        "negative": None,
        "smoothing": 0.0,
        "scale": None,
        "bias": None,
        "temperature": 1.0,
        "margin": None,
        "output": "each",
    }
    return Plan(**(given | slots))  # type: ignore[arg-type]


# ------------------------------------------------------------------------------------ functions


def probe(level: str, function: int, x: Tensor) -> Tensor:
    """One function of simd.h; the count has to be a multiple of 16."""
    path = Path(kernels.__file__).parent / f"_native_{level}.so"
    library = ctypes.CDLL(str(path))
    library.taylored_probe.argtypes = [ctypes.c_int64] * 3 + [ctypes.c_void_p] * 2
    library.taylored_probe.restype = None
    assert x.is_contiguous()
    assert x.numel() % 16 == 0
    y = torch.empty_like(x)
    kind = {torch.float32: 0, torch.float64: 1}[x.dtype]
    library.taylored_probe(function, kind, x.numel(), x.data_ptr(), y.data_ptr())
    return y


FUNCTIONS: dict[str, tuple[Callable[[mpmath.mpf], mpmath.mpf], Callable[[Tensor, Tensor], Tensor]]]
FUNCTIONS = {
    # Where each is used: uniform numbers u and small ones v, brought there.
    "exp": (mpmath.exp, lambda u, v: torch.cat([-87.0 * u, -v, -16.0 * u])),
    "log": (mpmath.log, lambda u, v: torch.cat([1.0 + 1e5 * u, 1.0 + v, 0.5 + u, 1e-30 + v])),
    "log1p": (mpmath.log1p, lambda u, v: torch.cat([u, v, 1.0 - v])),
}


@pytest.mark.parametrize("dtype", [torch.float32, torch.float64])
@pytest.mark.parametrize("name", FUNCTIONS)
def test_functions_are_right_to_two_ulp(native: Native, name: str, dtype: torch.dtype) -> None:
    exact, places = FUNCTIONS[name]
    u = torch.rand(1600, dtype=torch.float64, generator=torch.Generator().manual_seed(1))
    x = places(u, torch.exp(-40.0 * u)).to(dtype)
    found = probe(native.library.level, list(FUNCTIONS).index(name), x)
    with mpmath.workprec(120):
        true = [exact(mpmath.mpf(value)) for value in x.tolist()]
        rounded = torch.tensor([float(value) for value in true], dtype=dtype)
        ulp = torch.nextafter(rounded.abs(), rounded.new_tensor(math.inf)) - rounded.abs()
        pairs = zip(found.tolist(), true, ulp.tolist(), strict=True)
        worst = max(abs(value - want) / unit for value, want, unit in pairs)
    assert worst <= 2.0, float(worst)


@pytest.mark.parametrize("dtype", [torch.float32, torch.float64])
def test_functions_at_the_ends(native: Native, dtype: torch.dtype) -> None:
    level, lowest = native.library.level, torch.finfo(dtype).min
    at = {0.0: 1.0, -1e4: 0.0, lowest: 0.0, -math.inf: 0.0, math.nan: math.nan}
    x = torch.tensor(list(at), dtype=dtype).repeat(16)
    expected = torch.tensor(list(at.values()), dtype=dtype).repeat(16)
    torch.testing.assert_close(probe(level, 0, x), expected, rtol=0, atol=0, equal_nan=True)
    x = torch.tensor([1.0, math.nan], dtype=dtype).repeat(8)
    expected = torch.tensor([0.0, math.nan], dtype=dtype).repeat(8)
    torch.testing.assert_close(probe(level, 1, x), expected, rtol=0, atol=0, equal_nan=True)
    x = torch.tensor([0.0, math.nan], dtype=dtype).repeat(8)
    torch.testing.assert_close(probe(level, 2, x), expected, rtol=0, atol=0, equal_nan=True)


# -------------------------------------------------------------------- kernels against definitions


def log_odds(z: Tensor) -> tuple[Tensor, Tensor]:
    """Log p and log(1 - p) of every class, (..., C), in float64 and without cancellation."""
    classes = z.shape[-1]
    others = z.unsqueeze(-2).masked_fill(torch.eye(classes, dtype=torch.bool), -math.inf)
    log_sum = z.logsumexp(-1, keepdim=True)
    return z - log_sum, others.logsumexp(-1) - log_sum


def phi(log_p: Tensor, log_q: Tensor, gamma: Tensor | float) -> Tensor:
    """q^gamma (-log p) + 1.5 q^(gamma + 1)."""
    power = torch.exp(gamma * log_q)
    return power * -log_p + 1.5 * power * torch.exp(log_q)


def term_of(gamma: float) -> terms.Term:
    """The same term."""
    return terms.power(gamma) * terms.nll + 1.5 * terms.power(gamma + 1)


def compare(
    native: Native,
    logits: Tensor,
    plan: Plan,
    exact: Callable[[Tensor], Tensor],
    size: float = 1e-6,
) -> None:
    """Values and gradient against those of a differentiable definition in float64.

    `size` is that of the numbers a gradient is a difference of, where they can cancel.
    """
    wide = logits.double().requires_grad_()
    values = exact(wide)
    (gradient,) = torch.autograd.grad(values.sum(), wide)
    found = native.sweep(logits, plan)
    close = CLOSE[logits.dtype]
    largest = gradient.abs().amax(dim=1, keepdim=True) + size
    assert ((found.gradient - gradient).abs() <= close * largest).all()
    torch.testing.assert_close(
        found.loss.double(), values.detach(), rtol=close, atol=close * float(values.detach().max())
    )


def drawn(n: int, c: int, s: int | None, dtype: torch.dtype) -> tuple[Tensor, Tensor]:
    """Logits and class indices."""
    numbers = torch.Generator().manual_seed(1000 * n + c)
    shape = (n, c) if s is None else (n, c, s)
    logits = 2.0 * torch.randn(shape, generator=numbers, dtype=torch.float64)
    return logits.to(dtype), torch.randint(c, shape[:1] + shape[2:], generator=numbers)


@pytest.mark.parametrize("dtype", [torch.float32, torch.float64])
@pytest.mark.parametrize("classes", CLASSES)
def test_softmax_of_any_width(native: Native, classes: int, dtype: torch.dtype) -> None:
    gamma = GAMMAS[CLASSES.index(classes) % len(GAMMAS)]
    for s in (None, 1, 7, 16, 41):
        n = 1 if s is not None else 5 if classes > 40 else 401
        if classes > 100 and s not in (None, 7):
            continue
        logits, target = drawn(n, classes, s, dtype)
        plan = plan_of("softmax", logits, target, term=term_of(gamma))

        def exact(z: Tensor, target: Tensor = target) -> Tensor:
            hot = target.unsqueeze(1)
            log_p = torch.log_softmax(z, 1).gather(1, hot)
            others = z.masked_fill(torch.zeros_like(z).scatter(1, hot, 1.0) > 0, -1e300)
            log_q = others.logsumexp(1, keepdim=True) - z.logsumexp(1, keepdim=True)
            return phi(log_p, log_q, gamma).squeeze(1)

        compare(native, logits, plan, exact)


@pytest.mark.parametrize("dtype", [torch.float32, torch.float64])
@pytest.mark.parametrize("classes", [2, 3, 16, 33, 100])
def test_softmax_of_distributions(native: Native, classes: int, dtype: torch.dtype) -> None:
    for s, smoothing, gamma in ((None, 0.0, 0.3), (None, 0.1, 2.0), (7, 0.2, 0.0), (41, 0.0, 1.0)):
        logits, index = drawn(3, classes, s, dtype)
        mass = torch.softmax(3.0 * logits.flip(0).double(), 1)
        weight = torch.linspace(0.5, 2.0, classes, dtype=torch.float64)
        gammas = gamma + torch.linspace(0.0, 1.0, classes, dtype=torch.float64)
        for target in (index, mass) if smoothing else (mass,):
            truth = mass if target is mass else torch.zeros_like(mass).scatter(1, index[:, None], 1)
            even = truth * (1.0 - smoothing) + smoothing / classes
            term = terms.power(gammas) * (terms.nll + 1.5 * terms.power(1.0))
            plan = plan_of(
                "softmax", logits, target, term=term, positive=weight, smoothing=smoothing
            )

            def exact(z: Tensor, even: Tensor = even, weight: Tensor = weight) -> Tensor:
                values = phi(*log_odds(z.movedim(1, -1)), gammas)  # noqa: B023 - used at once
                return (even.movedim(1, -1) * weight * values).sum(-1)

            compare(native, logits, plan, exact, size=1.0)


@pytest.mark.parametrize("dtype", [torch.float32, torch.float64])
@pytest.mark.parametrize("gamma", GAMMAS)
def test_sigmoid(native: Native, gamma: float, dtype: torch.dtype) -> None:
    weight = torch.tensor([0.5, 1.0, 2.0, 0.1, 3.0], dtype=torch.float64)
    for s, classes, soft in ((None, 5, False), (7, 5, True), (None, 1, False), (1300, 3, True)):
        logits, index = drawn(9, classes, s, dtype)
        truth = torch.sigmoid(4.0 * logits.flip(0).double())
        if not soft:
            truth = truth.round()
        for target, y in (
            (truth, truth),
            (index, torch.zeros_like(truth).scatter(1, index[:, None], 1)),
        ):
            plan = plan_of(
                "sigmoid", logits, target, term=term_of(gamma), positive=weight[:classes]
            )

            def exact(z: Tensor, y: Tensor = y, positive: Tensor = weight[:classes]) -> Tensor:
                log_p, log_q = (torch.nn.functional.logsigmoid(v) for v in (z, -z))
                yes, no = phi(log_p, log_q, gamma), phi(log_q, log_p, gamma)
                return (positive if z.dim() == 2 else positive[:, None]) * y * yes + (1.0 - y) * no

            compare(native, logits, plan, exact, size=1.0 if soft else 1e-6)


# -------------------------------------------------------------------------------------- extremes


@pytest.mark.parametrize("gamma", GAMMAS)
@pytest.mark.parametrize("classes", [2, 5, 40])
def test_extreme_logits_are_finite_and_exact(native: Native, classes: int, gamma: float) -> None:
    logits = torch.zeros(4, classes)
    logits[0, 0], logits[1, 0], logits[2, 1:], logits[3, 1:] = 1e4, -1e4, -1e4, -math.inf
    target = torch.zeros(4, dtype=torch.int64)
    found = native.sweep(logits, plan_of("softmax", logits, target, term=term_of(gamma)))
    # Certain of the truth: nothing. Certain of another: the loss of p = 0, pulled at with 1 + 1.5 a
    # (a = 0 unless rivals exist: q is 1).
    shares = torch.full((classes,), 1.0 / (classes - 1))
    shares[0] = -1.0
    assert (found.gradient[[0, 2, 3]] == 0).all()
    assert (found.loss[[0, 2, 3]] == 0).all()
    torch.testing.assert_close(found.gradient[1], shares)
    torch.testing.assert_close(found.loss[1], torch.tensor(1e4 + math.log(classes - 1) + 1.5))
    soft = torch.zeros(4, classes)
    soft[:, 0] = 1.0
    plan = plan_of("softmax", logits[:3], soft[:3], term=term_of(gamma))
    spread = native.sweep(logits[:3], plan)
    torch.testing.assert_close(spread.gradient, found.gradient[:3])
    torch.testing.assert_close(spread.loss, found.loss[:3])


@pytest.mark.parametrize("gamma", GAMMAS)
def test_extreme_elements(native: Native, gamma: float) -> None:
    logits = torch.tensor([[1e4, -1e4, 1e4, -1e4]])
    target = torch.tensor([[1, 0, 0, 1]])
    found = native.sweep(logits, plan_of("sigmoid", logits, target, term=term_of(gamma)))
    torch.testing.assert_close(found.gradient, torch.tensor([[0.0, 0.0, 1.0, -1.0]]))
    torch.testing.assert_close(found.loss, torch.tensor([[0.0, 0.0, 1e4 + 1.5, 1e4 + 1.5]]))


@pytest.mark.parametrize("link", ["softmax", "sigmoid"])
@pytest.mark.parametrize("classes", [3, 50])
def test_nan_stays_where_it_is(
    native: Native, link: Literal["softmax", "sigmoid"], classes: int
) -> None:
    logits, target = drawn(4, classes, None, torch.float32)
    logits[2, 1] = math.nan
    for smoothing in (0.0, 0.1):
        plan = plan_of(link, logits, target, smoothing=smoothing, term=terms.power(2) * terms.nll)
        found = native.sweep(logits, plan)
        lost = torch.zeros_like(logits, dtype=torch.bool)
        lost[2, slice(None) if link == "softmax" else 1] = True
        assert (found.gradient.isnan() == lost).all()
        assert (found.loss.isnan() == (lost.any(1) if link == "softmax" else lost)).all()


@pytest.mark.parametrize("classes", [5, 17, 50])
def test_no_softmax_of_nothing_harms_no_neighbour(native: Native, classes: int) -> None:
    logits, target = drawn(6, classes, None, torch.float32)
    soft = torch.softmax(logits, 1)
    nothing = logits.clone()
    nothing[3] = -math.inf
    kept = [0, 1, 2, 4, 5]
    for truth in (target, soft):
        found = native.sweep(nothing, plan_of("softmax", nothing, truth))
        expected = native.sweep(logits, plan_of("softmax", logits, truth))
        assert not found.loss[3].isfinite()
        assert torch.equal(found.loss[kept], expected.loss[kept])
        assert torch.equal(found.gradient[kept], expected.gradient[kept])


def test_a_single_class_costs_nothing(native: Native) -> None:
    logits = torch.tensor([[3.0], [-1e4]])
    for target, smoothing in (
        (torch.tensor([0, 0]), 0.0),
        (torch.ones(2, 1), 0.0),
        (torch.tensor([0, 0]), 0.1),
    ):
        plan = plan_of("softmax", logits, target, smoothing=smoothing, term=term_of(2.0))
        found = counted(native, logits, plan)
        assert (found.gradient == 0).all()
        assert (found.loss == 0).all()


# ------------------------------------------------------------------------------ memory and threads


@pytest.mark.parametrize("dtype", [torch.bfloat16, torch.float16])
def test_halves_are_read_and_rounded_as_torch_does(native: Native, dtype: torch.dtype) -> None:
    every = torch.arange(-(2**15), 2**15).to(torch.int16).view(dtype).unsqueeze(1)
    plan = plan_of("sigmoid", every, torch.ones(2**16, 1))
    wide = native.sweep(every.float(), plan)
    found = native.sweep(every, plan)
    torch.testing.assert_close(found.loss, wide.loss, rtol=0, atol=0, equal_nan=True)
    # At 0 the gradient is exactly -rows / 2: of any size, and often halfway between two halves.
    rows = (torch.arange(2**20, dtype=torch.int32) << 12).view(torch.float32).unsqueeze(1)
    logits = torch.zeros(2**20, 1, dtype=dtype)
    plan = plan_of("sigmoid", logits, torch.ones(2**20, 1), rows=rows)
    found = native.sweep(logits, plan, into=logits)
    assert found.gradient is logits
    torch.testing.assert_close(logits, (-rows / 2).to(dtype), rtol=0, atol=0, equal_nan=True)


@pytest.mark.parametrize("link", ["softmax", "sigmoid"])
@pytest.mark.parametrize("shape", [(401, 5), (30, 70), (6, 5, 70), (6, 40, 9)])
@pytest.mark.parametrize("smoothing", [0.0, 0.1])
def test_any_place_in_memory_gives_the_same(
    native: Native, link: Literal["softmax", "sigmoid"], shape: tuple[int, ...], smoothing: float
) -> None:
    logits, target = drawn(shape[0], shape[1], shape[2] if len(shape) > 2 else None, torch.float32)
    slots = {"smoothing": smoothing, "term": term_of(2.0), "temperature": 0.5}
    plain = counted(native, logits, plan_of(link, logits, target, **slots))
    odd = torch.empty(logits.numel() + 1)[1:].view(shape).copy_(logits)  # not aligned to a vector
    last = logits.clone().movedim(1, -1).contiguous().movedim(-1, 1)  # classes side by side
    wider = torch.full((*shape[:-1], shape[-1] + 2), 7.0)
    wider[..., : shape[-1]] = logits
    for moved in (odd, last, wider[..., : shape[-1]]):
        assert torch.equal(moved, logits)
        plan = plan_of(link, moved, target, **slots)
        value = native.value(moved, plan)
        found = counted(native, moved, plan, into=moved)
        torch.testing.assert_close(found.gradient, plain.gradient, rtol=1e-5, atol=1e-7)
        torch.testing.assert_close(found.loss, plain.loss)
        torch.testing.assert_close(found.sums, plain.sums, rtol=1e-6, atol=0)
        assert torch.equal(value, found.loss)
    assert (wider[..., shape[-1] :] == 7.0).all()


@pytest.mark.parametrize("link", ["softmax", "sigmoid"])
@pytest.mark.parametrize("shape", [(3000, 40), (5, 6, 2000), (1, 70_000)])
def test_threads_share_the_work(
    native: Native, link: Literal["softmax", "sigmoid"], shape: tuple[int, ...]
) -> None:
    logits, target = drawn(shape[0], shape[1], shape[2] if len(shape) > 2 else None, torch.float32)
    plan = plan_of(link, logits, target, output="sum")
    one = counted(native, logits, plan)
    before = torch.get_num_threads()
    try:
        torch.set_num_threads(2)
        two, again = (counted(native, logits, plan) for _ in range(2))
    finally:
        torch.set_num_threads(before)
    assert torch.equal(one.gradient, two.gradient)
    torch.testing.assert_close(one.loss, two.loss)
    torch.testing.assert_close(one.sums, two.sums, rtol=1e-6, atol=0)
    assert torch.equal(two.loss, again.loss)
    assert torch.equal(two.sums, again.sums)
