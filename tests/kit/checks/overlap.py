"""What every overlap loss owes: values, derivatives, reductions, and nothing lost on the way."""

from __future__ import annotations

import math
from typing import Any

import pytest
import torch
from torch import Tensor, nn

from kit.executors import running
from kit.overlap import LEAST_AXES, Case
from kit.tolerances import GRADIENT_RTOL, close
from kit.turns import FAST
from references.overlap import region_loss
from taylored import catalog, donate
from taylored.core.engine import executors
from taylored.modules.overlap.base import RegionLoss

REDUCTIONS = ("none", "sum", "mean", "batch_mean")


def gradient_of(loss: nn.Module, logits: Tensor, target: Tensor, **beside: Any) -> Tensor:
    """Of the values, each with a factor of its own."""
    leaf = logits.detach().clone(memory_format=torch.preserve_format).requires_grad_()
    values = loss(leaf, target, **beside)
    (found,) = torch.autograd.grad((values * factors(values)).sum(), leaf)
    return found


def factors(values: Tensor) -> Tensor:
    count = max(1, values.numel())
    spaced = torch.linspace(0.5, 2.0, count, dtype=torch.float64)[: values.numel()]
    return spaced.reshape(values.shape).to(values)


def expected_of(case: Case, logits: Tensor, target: Tensor, **beside: Any) -> tuple[Tensor, Tensor]:
    """Value and gradient of the reference."""
    leaf = logits.detach().double().requires_grad_()
    values = region_loss(case.call, leaf, target, **beside)
    (found,) = torch.autograd.grad((values * factors(values)).sum(), leaf)
    return values.detach(), found


def check_value(case: Case, path: str) -> None:
    """Value and gradient, of each ratio and of their mean."""
    logits, target = case.logits(), case.target()
    for reduction in ("none", "mean"):
        reduced = case.having(reduction=reduction)
        expected, gradient = expected_of(reduced, logits, target)
        with running(path):
            got = reduced.loss()(logits, target)
            assert got.shape == expected.shape
            close(got, expected)
            close(gradient_of(reduced.loss(), logits, target), gradient, 1e-9, 1e-12)


def check_function(case: Case) -> None:
    """The function is the module, whatever its parameters are."""
    spec, loss = catalog.spec(case.text), case.loss()
    function = spec.function
    assert function is not None
    options = {p.name: getattr(loss, p.name) for p in spec.accepted}
    logits, target = case.logits(), case.target()
    assert torch.equal(function(logits, target, **options), loss(logits, target))


def check_derivatives(case: Case) -> None:
    """First and second derivatives are those of the values."""
    loss, target = case.loss(reduction="none"), case.target()
    logits = case.logits().requires_grad_()
    assert torch.autograd.gradcheck(lambda z: loss(z, target), logits)
    assert torch.autograd.gradgradcheck(lambda z: loss(z, target), logits, fast_mode=FAST)


def check_soft_targets_learn(case: Case) -> None:
    """Targets and sample weights have derivatives too."""
    if case.kind not in ("probabilities", "soft") or not sums_alone(case):
        return
    loss = case.loss()
    weight = torch.linspace(0.5, 1.5, math.prod(case.positions())).double()
    weight = weight.reshape(case.positions()).requires_grad_()
    target = case.target().requires_grad_()
    logits = case.logits().requires_grad_()
    assert torch.autograd.gradcheck(
        lambda z, y, w: loss(z, y, sample_weight=w), (logits, target, weight)
    )


def sums_alone(case: Case) -> bool:
    """Whether the loss depends on its target by sums: orders and distances have no derivative."""
    return issubclass(catalog.spec(case.text).module, RegionLoss)


def check_half(case: Case, dtype: torch.dtype, path: str) -> None:
    """Computed in float32 and added up in float64, whatever the logits are stored in."""
    logits, target = case.logits(dtype), case.target()
    value, gradient = expected_of(case, logits, target)
    with running(path):
        got = case.loss()(logits, target)
        assert got.dtype == torch.float32
        close(got, value, 1e-5, 1e-6)
        found = gradient_of(case.loss(), logits, target)
    assert found.dtype == dtype
    if not sums_alone(case):  # coarse numbers are often equal, and then an order is not unique
        assert found.isfinite().all()
        return
    size = float(gradient.abs().max())
    close(found, gradient, max(GRADIENT_RTOL[dtype], 1e-4), max(1e-6, 1e-5 * size))


def weights_of(case: Case) -> list[Tensor]:
    positions = case.positions()
    count = math.prod(positions)
    each = torch.linspace(0.0, 2.0, count, dtype=torch.float64).reshape(positions)
    by_sample = torch.linspace(0.0, 2.0, positions[0], dtype=torch.float64)
    return [each, by_sample]


def check_weights(case: Case, path: str) -> None:
    """Of positions in the sums; of samples in the sums, or on the ratios of each sample."""
    logits, target = case.logits(), case.target()
    for weight in weights_of(case):
        value, gradient = expected_of(case, logits, target, sample_weight=weight)
        with running(path):
            close(case.loss()(logits, target, sample_weight=weight), value)
            found = gradient_of(case.loss(), logits, target, sample_weight=weight)
            close(found, gradient, 1e-9, 1e-12)
    with pytest.raises(ValueError, match="`sample_weight` must be"):
        case.loss()(logits, target, sample_weight=torch.ones(case.shape[0] + 1))


def check_class_weights(case: Case, path: str) -> None:
    """They multiply the cost of a class, or enter the sums of all classes together."""
    weighed = case.having(weight=[0.0, 2.0, 1.0, 0.5, 3.0])
    for reduction in REDUCTIONS:
        check_same(weighed.having(reduction=reduction), path)


def check_same(case: Case, path: str) -> None:
    logits, target = case.logits(), case.target()
    value, gradient = expected_of(case, logits, target)
    with running(path):
        close(case.loss()(logits, target), value)
        close(gradient_of(case.loss(), logits, target), gradient, 1e-9, 1e-12)


def ignored(case: Case) -> tuple[Tensor, Tensor]:
    """A target where some positions, or elements, are ignored; and where they are."""
    generator = torch.Generator().manual_seed(3)
    target = case.target()
    if case.kind == "one-hot":
        target = target.float()
    where = torch.rand(case.positions(), generator=generator) < 0.3
    where[0] = True  # a whole sample
    if target.dim() == len(case.shape):
        spread = where.unsqueeze(1).expand(case.shape)
        return torch.where(spread, -100.0, target), spread
    return torch.where(where, -100, target), where.unsqueeze(1).expand(case.shape)


def check_ignored(case: Case, path: str) -> None:
    """What is ignored is not read: exactly 0 in value and gradient, whatever is there."""
    target, where = ignored(case)
    clean = case.logits()
    value, gradient = expected_of(case, clean, target)
    for junk in (0.5, math.nan, math.inf, -math.inf):
        logits = torch.where(where, junk, clean)
        with running(path):
            close(case.loss()(logits, target), value)
            found = gradient_of(case.loss(), logits, target)
        assert (found[where] == 0).all()
        close(found, gradient, 1e-9, 1e-12)


def check_samples_that_count_for_nothing(case: Case, path: str) -> None:
    """Samples of weight 0 are not read either."""
    target, clean = case.target(), case.logits()
    weight = torch.ones(case.shape[0], dtype=torch.float64)
    weight[0] = 0.0
    value, gradient = expected_of(case, clean, target, sample_weight=weight)
    for junk in (math.nan, math.inf):
        logits = clean.clone()
        logits[0] = junk
        with running(path):
            close(case.loss()(logits, target, sample_weight=weight), value)
            found = gradient_of(case.loss(), logits, target, sample_weight=weight)
        assert (found[0] == 0).all()
        close(found, gradient, 1e-9, 1e-12)
        leaf = logits.requires_grad_()
        (first,) = torch.autograd.grad(
            case.loss()(leaf, target, sample_weight=weight), leaf, create_graph=True
        )
        (second,) = torch.autograd.grad(first.square().sum(), leaf)
        assert second.isfinite().all()


def check_normalizer(case: Case) -> None:
    logits, target = case.logits(), case.target()
    total = case.loss(reduction="sum")(logits, target)
    close(case.loss()(logits, target, normalizer=4), total / 4)
    close(case.loss()(logits, target, normalizer=torch.tensor(4.0)), total / 4)
    assert case.loss()(logits, target, normalizer=0) == 0
    with pytest.raises(ValueError, match="`normalizer` must be"):
        case.loss()(logits, target, normalizer=-1)


def check_nothing(case: Case, path: str) -> None:
    """No samples, or none that counts: 0, with a graph."""
    for reduction in REDUCTIONS[1:]:
        for logits, target in (
            (case.logits()[:0], case.target()[:0]),
            (case.logits(), torch.full(case.positions(), -100)),
        ):
            leaf = logits.clone().requires_grad_()
            with running(path):
                value = case.loss(reduction=reduction)(leaf, target)
            assert value == 0
            value.backward()
            assert leaf.grad is not None
            assert (leaf.grad == 0).all()


def check_extremes(case: Case, path: str) -> None:
    """Finite for logits of 1e4 and classes masked by -inf, in value and gradient."""
    clean, target = case.logits(torch.float32), case.target()
    for logits in (clean * 1e4, torch.zeros_like(clean), clean + 1e4):
        with running(path):
            assert case.loss()(logits, target).isfinite()
            assert gradient_of(case.loss(), logits, target).isfinite().all()
    masked = clean.clone()
    masked[:, -1] = -math.inf
    if target.dim() == clean.dim():  # a masked truth costs infinity in some losses
        target[:, -1] = 0
    with running(path):
        assert case.loss()(masked, target).isfinite()
        found = gradient_of(case.loss(), masked, target)
    assert found.isfinite().all()
    assert (found[:, -1] == 0).all()


def check_layouts(case: Case, path: str) -> None:
    """Views with gaps, other orders of the axes, and classes on another axis."""
    logits, target = case.logits(), case.target()
    expected, gradient = expected_of(case, logits, target)
    last = logits.movedim(1, -1).contiguous().movedim(-1, 1)
    gapped = torch.stack([logits, logits], dim=-1)[..., 0]
    with running(path):
        for given in (last, gapped):
            close(case.loss()(given, target), expected)
            close(gradient_of(case.loss(), given, target), gradient, 1e-9, 1e-12)
        for axis in (-1, 0):
            loss = case.having(class_dim=axis).loss()
            moved = logits.movedim(1, axis)
            dense = target.dim() == logits.dim()
            there = target.movedim(1, axis) if dense else target
            close(loss(moved, there), expected)
            found = gradient_of(loss, moved, there)
            close(found.movedim(axis, 1), gradient, 1e-9, 1e-12)
            whole = case.having(class_dim=axis, reduction="none").loss()(moved, there)
            close(whole, case.loss(reduction="none")(logits, target))


def check_inputs_stay(case: Case, path: str) -> None:
    """Nothing of the caller's is written to; a held gradient stays; the grad mode stays."""
    logits, target = case.logits().requires_grad_(), case.target()
    before, truth = logits.detach().clone(), target.clone()
    with running(path):
        value = case.loss()(logits, target)
        (held,) = torch.autograd.grad(value, logits, retain_graph=True)
        copy = held.clone()
        (3 * value).backward()
        assert logits.grad is not None
        close(logits.grad, 3 * copy)
    assert torch.equal(held, copy)
    assert torch.equal(logits.detach(), before)
    assert torch.equal(target, truth)
    with torch.no_grad():
        assert not case.loss()(logits, target).requires_grad
        assert not torch.is_grad_enabled()


def check_refused(case: Case) -> None:
    """Shapes that would be broadcast, integers, substitutes for logits, and what is no tensor."""
    logits, target = case.logits(), case.target()
    for wrong in (
        (logits[:-1], target),
        (logits, target.unsqueeze(0)),
        (logits.long(), target),
        (logits.tolist(), target),
        (donate(logits), target),
    ):
        with pytest.raises(ValueError, match=r"^`\w+` must be .*, got .*Fix: "):
            case.loss()(*wrong)
    with pytest.raises(ValueError, match=r"^`weight` must be .*, got .*Fix: "):
        case.loss(weight=[1.0, 2.0])(logits, target)
    if LEAST_AXES[case.call.name]:
        with pytest.raises(ValueError, match=r"^`input` must be .*, got .*Fix: "):
            case.loss()(logits[:, :, 0, 0], target[:, 0, 0])


def check_compiled(case: Case) -> None:
    """One graph, the same numbers."""
    logits, target = case.logits(), case.target()
    loss = case.loss()
    torch._dynamo.reset()
    compiled = torch.compile(loss, fullgraph=True, backend="aot_eager")
    close(compiled(logits, target), loss(logits, target), 1e-9, 1e-12)
    close(gradient_of(compiled, logits, target), gradient_of(loss, logits, target), 1e-9, 1e-12)


def check_transforms(case: Case) -> None:
    """torch.func and forward mode see plain operations."""
    logits, target, loss = case.logits(), case.target(), case.loss()
    gradient = torch.func.grad(lambda z: loss(z, target))(logits)
    leaf = logits.clone().requires_grad_()
    (expected,) = torch.autograd.grad(loss(leaf, target), leaf)
    close(gradient, expected, 1e-9, 1e-12)
    direction = torch.ones_like(logits).cumsum(0)
    _, tangent = torch.func.jvp(lambda z: loss(z, target), (logits,), (direction,))
    close(tangent, (gradient * direction).sum(), 1e-8, 1e-10)


def check_ones_in_half_precision(case: Case, path: str) -> None:
    """512 x 512 positions that are all true and all predicted: sums beyond float16's range."""
    logits = torch.zeros(1, 2, 512, 512, dtype=torch.float16)
    logits[:, 1] = 30.0
    target = torch.ones(1, 512, 512, dtype=torch.int64)
    expected = region_loss(case.call, logits, target)
    with executors.only(path):
        close(case.loss()(logits, target), expected, 1e-5, 1e-6)
        assert gradient_of(case.loss(), logits, target).isfinite().all()
