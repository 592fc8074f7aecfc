"""The gradient: is it the derivative of the value, once, twice, scaled, and kept till asked for?"""

from __future__ import annotations

from collections.abc import Iterator

import torch
from torch import Tensor
from torch.autograd.function import BackwardCFunction
from torch.utils._python_dispatch import TorchDispatchMode

from taylored.doctor.check import Check
from taylored.doctor.differences import mismatch, step_of, ways
from taylored.doctor.finding import Finding
from taylored.doctor.patient import Patient, Sample, gradient, said, total
from taylored.modules.base import Loss
from taylored.own import FAILURES

_NUMERIC = (
    "logits.requires_grad_()",
    "(found,) = torch.autograd.grad(loss(logits, target).sum(), logits)",
    "way = torch.ones_like(logits) / logits.numel() ** 0.5 * torch.linspace(-1, 1, "
    "logits.numel(), dtype=logits.dtype).view_as(logits)",
    "with torch.no_grad():",
    "    up, down = (loss(logits + h * way, target).sum() for h in (1e-5, -1e-5))",
    "print((found * way).sum().item(), ((up - down) / 2e-5).item())",
)


class _Observed(TorchDispatchMode):
    """Lets every operation pass: what has shortcuts of its own takes the plain way under a mode."""

    def __torch_dispatch__(self, func, types, args=(), kwargs=None):  # type: ignore[no-untyped-def]
        return func(*args, **(kwargs or {}))


def by_hand(value: Tensor) -> bool:
    """Whether a backward that somebody wrote stands between a value and its leaves."""
    seen, todo = set(), [value.grad_fn]
    while todo:
        node = todo.pop()
        if node is None or node in seen:
            continue
        if isinstance(node, BackwardCFunction):
            return True
        seen.add(node)
        todo += [before for before, _ in node.next_functions]
    return False


def holds_constant(patient: Patient, sample: Sample) -> bool:
    """Whether autograd itself gives this gradient: then a factor was held constant on purpose."""
    loss = patient.still()
    if isinstance(loss, Loss):
        return True  # the backwards of this library are held to their terms by its own tests
    plain = gradient(loss, sample)
    with _Observed():  # type: ignore[no-untyped-call]
        logits = sample.logits.clone().requires_grad_()
        value = total(patient.still(), Sample(logits, sample.target, ""))
        if by_hand(value):
            return False
        (other,) = torch.autograd.grad(value, logits)
    return torch.allclose(plain, other, rtol=1e-6, atol=1e-9)


def derivative(patient: Patient) -> Iterator[Finding]:
    """Autograd's gradient against differences of the value."""
    sample = patient.sample(4, scale=1.5)
    found = mismatch(patient, sample)
    if found is None:
        return
    seen = {"by autograd": found[0], "by differences of the value": found[1]}
    show = patient.snippet(sample, *_NUMERIC)
    if holds_constant(patient, sample):
        yield Finding(
            "detached-factor", "info",
            "The gradient is not the derivative of the value: a factor is held constant.",
            "Right if the paper says so (a weight that is no part of the gradient); otherwise look "
            "for .detach(), .data and torch.no_grad() in the forward.",
            seen, show,
        )  # fmt: skip
    else:
        yield Finding(
            "wrong-gradient", "error",
            "The gradient is not the derivative of the value, and a backward is written by hand.",
            "Compare the backward with torch.autograd.gradcheck in float64.",
            seen, show,
        )  # fmt: skip


def upstream(patient: Patient) -> Iterator[Finding]:
    """The loss times a number, as in a sum of losses, with a GradScaler, or under accumulation."""
    sample = patient.sample(4, scale=1.5)
    logits = sample.logits.clone().requires_grad_()
    plain = gradient(patient.still(), sample)
    value = 3.0 * total(patient.still(), Sample(logits, sample.target, ""))
    (found,) = torch.autograd.grad(value, logits)
    if not torch.allclose(found, 3.0 * plain, rtol=1e-3, atol=1e-9):
        ratio = float(found.norm() / plain.norm().clamp(min=1e-30))
        yield Finding(
            "ignores-upstream-gradient", "error",
            f"Three times the loss has {ratio:.3g} times its gradient: loss weights, GradScaler "
            "and accumulation do not reach it.",
            "Multiply by grad_output in the backward.",
            {"gradient of 3 * loss over that of the loss": ratio},
            patient.snippet(
                sample, "logits.requires_grad_()",
                "for factor in (1.0, 3.0):",
                "    value = factor * loss(logits, target).sum()",
                "    print(torch.autograd.grad(value, logits)[0].norm())",
            ),
        )  # fmt: skip


def held(patient: Patient) -> Iterator[Finding]:
    """The gradient of a value whose loss has been called on other samples in the meantime."""
    first, second = patient.sample(4, scale=1.5), patient.sample(4, seed=1, scale=1.5)
    expected = gradient(patient.still(), first)
    loss = patient.still()
    logits = first.logits.clone().requires_grad_()
    others = second.logits.clone().requires_grad_()
    value = total(loss, Sample(logits, first.target, ""))
    later = total(loss, Sample(others, second.target, ""))
    (found,) = torch.autograd.grad(value, logits)
    torch.autograd.grad(later, others)
    if not torch.allclose(found, expected, rtol=1e-3, atol=1e-9):
        yield Finding(
            "loses-held-gradient", "error",
            "A second call changes the gradient of the first, whose backward had not run yet.",
            "Keep what backward needs in ctx.save_for_backward, not on the module or class.",
            {"expected norm": float(expected.norm()), "found norm": float(found.norm())},
            patient.snippet(
                first, "logits.requires_grad_()",
                "value = loss(logits, target).sum()",
                "print(torch.autograd.grad(value, logits, retain_graph=True)[0].norm())",
                "loss(logits.flip(0), target).sum()",
                "print(torch.autograd.grad(value, logits)[0].norm())",
            ),
        )  # fmt: skip


def repeated(patient: Patient) -> Iterator[Finding]:
    """Backward twice through one graph."""
    sample = patient.sample(4, scale=1.5)
    logits = sample.logits.clone().requires_grad_()
    value = total(patient.still(), Sample(logits, sample.target, ""))
    first = torch.autograd.grad(value, logits, retain_graph=True)[0].clone()
    show = patient.snippet(
        sample, "logits.requires_grad_()", "value = loss(logits, target).sum()",
        "for _ in range(2):",
        "    print(torch.autograd.grad(value, logits, retain_graph=True)[0].norm())",
    )  # fmt: skip
    try:
        second = torch.autograd.grad(value, logits)[0]
    except FAILURES as error:
        yield Finding(
            "no-second-backward", "warning", "A second backward through the same graph fails.",
            "Do not free or overwrite saved tensors in backward.", {"error": said(error)}, show,
        )  # fmt: skip
        return
    if not torch.allclose(first, second, rtol=1e-3, atol=1e-9):
        yield Finding(
            "second-backward-differs", "error", "The second backward gives another gradient.",
            "Do not change saved tensors in place in backward.",
            {"first norm": float(first.norm()), "second norm": float(second.norm())}, show,
        )  # fmt: skip


def second(patient: Patient) -> Iterator[Finding]:
    """Second derivatives, against differences of the gradient."""
    sample = patient.sample(4, scale=1.5)
    if mismatch(patient, sample) is not None:
        return  # what is held constant in the gradient is so in its derivative, too
    loss = patient.still()
    way = ways(sample.logits)[1]
    step, tolerance = step_of(loss, sample)
    up = gradient(loss, Sample(sample.logits + step * way, sample.target, ""))
    down = gradient(loss, Sample(sample.logits - step * way, sample.target, ""))
    expected = (up - down) / (2 * step)
    show = patient.snippet(
        sample, "logits.requires_grad_()", "value = loss(logits, target).sum()",
        "(first,) = torch.autograd.grad(value, logits, create_graph=True)",
        "print(torch.autograd.grad(first.square().sum(), logits))",
    )  # fmt: skip
    logits = sample.logits.clone().requires_grad_()
    try:
        value = total(loss, Sample(logits, sample.target, ""))
        (slopes,) = torch.autograd.grad(value, logits, create_graph=True)
        (found,) = torch.autograd.grad((slopes * way).sum(), logits, allow_unused=True)
    except FAILURES as error:
        if float(expected.norm()) > 1e-6:
            yield Finding(
                "no-double-backward", "warning",
                "It has no second derivatives: gradient penalties and Hessians fail.",
                "Write the backward with differentiable operations.", {"error": said(error)}, show,
            )  # fmt: skip
        return
    found = torch.zeros_like(expected) if found is None else found
    if float((found - expected).norm()) > 10 * tolerance * (float(expected.norm()) + 1e-4):
        yield Finding(
            "wrong-second-derivative", "error",
            "Its second derivative is wrong, without a word.",
            "Save tensors by ctx.save_for_backward and compute the backward from them with "
            "differentiable operations, or mark it @once_differentiable.",
            {"norm by autograd": float(found.norm()), "by differences": float(expected.norm())},
            show,
        )  # fmt: skip


CHECKS = (
    Check("derivative", "Is the gradient the derivative of the value?",
          ("wrong-gradient", "detached-factor"), derivative),
    Check("upstream", "Does the gradient scale with a factor on the loss?",
          ("ignores-upstream-gradient",), upstream),
    Check("held gradient", "Does another call leave a gradient alone that is asked for later?",
          ("loses-held-gradient",), held),
    Check("second backward", "Can backward run twice through one graph?",
          ("no-second-backward", "second-backward-differs"), repeated),
    Check("second derivative", "Are second derivatives right?",
          ("no-double-backward", "wrong-second-derivative"), second),
)  # fmt: skip
