"""Checks that hold losses with calls of their own to the vocabulary that all losses share."""

from __future__ import annotations

import math

import torch
from torch import Tensor

from kit.cases import IGNORED
from kit.other_calls import Subject
from kit.tolerances import ATOL, GRADIENT_ATOL, GRADIENT_RTOL, RTOL, close


def found(
    loss: object, logits: Tensor, target: Tensor, further: tuple[Tensor, ...], **call: object
) -> tuple[Tensor, Tensor]:
    """Value, and gradient of its sum."""
    z = logits.clone().requires_grad_()
    value = loss(z, target, *further, **call)
    (gradient,) = torch.autograd.grad(value.sum(), z)
    return value.detach(), gradient


def ignoring(subject: Subject, target: Tensor, shape: tuple[int, ...]) -> tuple[Tensor, Tensor]:
    """The target with every third position ignored, and which positions are kept."""
    kept = torch.ones(shape, dtype=torch.bool)
    kept.view(-1)[1::3] = False
    shown = kept.unsqueeze(1) if subject.spec.call == "sets" else kept
    return torch.where(shown, target, IGNORED), kept


def check_values(subject: Subject, shape: tuple[int, ...], dtype: torch.dtype) -> None:
    """Value and gradient against the naive formula, in the dtypes promised."""
    logits, target, further = subject.arguments(shape)
    logits = logits.to(dtype)
    value, gradient = found(subject.build(reduction="sum"), logits, target, further)
    assert value.dtype == (dtype if dtype == torch.float64 else torch.float32)
    assert gradient.dtype == dtype
    expected, slope = found(
        lambda z, y, *more: subject.values(z, y, more).sum(),
        logits.double(),
        target,
        further,
    )
    close(value, expected, RTOL[dtype], ATOL[dtype])
    close(gradient, slope, GRADIENT_RTOL[dtype], GRADIENT_ATOL[dtype])


def check_reductions(subject: Subject, shape: tuple[int, ...]) -> None:
    """Denominators, ignored positions, class and sample weights, normalizers."""
    logits, target, further = subject.arguments(shape)
    each = subject.values(logits, target, further)
    target, kept = ignoring(subject, target, shape)
    class_weight = torch.tensor([0.5, 2.0, 1.0, 3.0, 0.0], dtype=torch.float64)
    weights = [None, class_weight] if subject.weighted else [None]
    per_sample = torch.linspace(0, 2, shape[0]).double()
    per_position = torch.linspace(0.5, 2, math.prod(shape)).double().reshape(shape)
    for weight in weights:
        row = kept.double()
        if weight is not None:
            row = row * weight[torch.where(kept, target, 0)]
        options = {} if weight is None else {"weight": weight.tolist()}
        for extra in (None, per_sample, per_position):
            more = 1.0
            if extra is not None:
                more = extra.reshape(*extra.shape, *[1] * (len(shape) - extra.dim()))
            losses = each * row * more
            expected = {
                "none": losses,
                "sum": losses.sum(),
                "mean": losses.sum() / row.sum(),
                "batch_mean": losses.sum() / kept.sum(),
            }
            for reduction, right in expected.items():
                loss = subject.build(reduction=reduction, **options)
                close(loss(logits, target, *further, sample_weight=extra), right)
            loss = subject.build(**options)
            for amount in (3.5, torch.tensor(2.0)):
                value = loss(logits, target, *further, sample_weight=extra, normalizer=amount)
                close(value, losses.sum() / amount)


def check_ignored(subject: Subject, shape: tuple[int, ...]) -> None:
    """Ignored positions leave no trace, not even where everything is infinite there."""
    logits, target, further = subject.arguments(shape)
    target, kept = ignoring(subject, target, shape)
    gone = ~kept.unsqueeze(1)
    wild = logits.masked_fill(gone, torch.inf)
    wild_further = tuple(f.masked_fill(gone, torch.nan) for f in further)
    for reduction in ("none", "mean"):
        loss = subject.build(reduction=reduction)
        value, gradient = found(loss, logits, target, further)
        again, again_gradient = found(loss, wild, target, wild_further)
        close(again, value)
        close(again_gradient, gradient)
        if reduction == "none":
            assert (again[~kept] == 0).all()
        assert (again_gradient.masked_select(gone.expand_as(again_gradient)) == 0).all()
    nothing = torch.full_like(target, IGNORED)
    value, gradient = found(subject.build(), logits, nothing, further)
    assert value.item() == 0.0
    assert (gradient == 0).all()
    every = subject.build(ignore_index=None)(logits, target.clamp_min(0), *further)
    assert every.isfinite()


def check_extremes(subject: Subject) -> None:
    """Finite to the second derivative at |logit| 1e4, in every precision."""
    _, target, further = subject.arguments((7,))
    shape = list(subject.arguments((7,))[0].shape)
    rows = torch.tensor([1e4, -1e4, 0.0, 89.0, -17.0])
    for dtype in (torch.float64, torch.float32, torch.bfloat16, torch.float16):
        base = torch.stack([rows.roll(i) for i in range(7)])
        for logits in (base, base * 0, base * 0 + 1e4, -base):
            z = logits.expand(shape).to(dtype).clone().requires_grad_()
            value = subject.build()(z, target, *further)
            (first,) = torch.autograd.grad(value, z, create_graph=True)
            assert value.isfinite()
            assert first.isfinite().all()
            if not first.requires_grad:  # a constant slope has no curvature
                continue
            (second,) = torch.autograd.grad(
                (first * torch.linspace(-1, 1, 5).to(dtype)).sum(), z, allow_unused=True
            )
            assert second is None or second.isfinite().all()


def check_empty(subject: Subject) -> None:
    logits, target, further = subject.arguments((7,))
    logits = logits[:, :0] if subject.class_axis == 2 else logits[:0]
    for reduction in ("none", "sum", "mean", "batch_mean"):
        loss = subject.build(reduction=reduction)
        value, gradient = found(loss, logits, target[:0], tuple(f[:0] for f in further))
        assert gradient.shape == logits.shape
        assert value.numel() == 0 if reduction == "none" else value.item() == 0.0


def check_transforms(subject: Subject) -> None:
    """torch.func, and torch.compile without a graph break."""
    logits, target, further = subject.arguments((6,))
    loss = subject.build()
    expected, gradient = found(loss, logits, target, further)
    functional = torch.func.grad(lambda z: loss(z, target, *further))
    close(functional(logits), gradient)
    batch_axis = subject.class_axis - 1

    def single(z: Tensor, y: Tensor, *more: Tensor) -> Tensor:
        return loss(z.unsqueeze(batch_axis), y.unsqueeze(0), *[m.unsqueeze(0) for m in more])

    axes = (batch_axis, 0, *[0] * len(further))
    losses = torch.func.vmap(single, in_dims=axes)(logits, target, *further)
    close(losses.mean(), expected)
    torch._dynamo.reset()
    compiled = torch.compile(loss, fullgraph=True, backend="aot_eager")
    value, compiled_gradient = found(compiled, logits, target, further)
    close(value, expected)
    close(compiled_gradient, gradient)
