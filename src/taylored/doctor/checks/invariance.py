"""What must change nothing: a constant on all logits, names of classes, batches in parts."""

from __future__ import annotations

from collections.abc import Iterator

import torch
from torch import Tensor

from taylored.doctor.check import Check
from taylored.doctor.checks.reductions import near
from taylored.doctor.checks.state import memory_of, moved
from taylored.doctor.finding import Finding
from taylored.doctor.patient import Patient, Sample, alone, gradient
from taylored.doctor.recipe import Catalogued, LossFunction, Options, UnavailableError
from taylored.own import FAILURES


def offset(patient: Patient) -> Iterator[Finding]:
    """A softmax does not see a constant; one that overflows does."""
    if patient.form.link != "softmax":
        return
    drawn = patient.sample(6)
    moved = patient.exact(drawn.logits + 1.0, drawn.target)
    one, other = (alone(patient.still(), each) for each in (drawn, moved))
    if not torch.allclose(one, other, rtol=1e-3):
        return  # it is said to have a softmax, and scales or bounds its logits before
    # Eighths keep all their digits in float32 when 1024 is added.
    logits = (drawn.logits * 8).round().div(8).float()
    code = f"{drawn.code}\nlogits = (logits * 8).round().div(8).float()"
    target = drawn.target.float() if drawn.target.is_floating_point() else drawn.target
    if target is not drawn.target:
        code += "\ntarget = target.float()"
    sample = Sample(logits, target, code)
    loss = patient.still()
    here = alone(loss, sample)
    for constant in (-1024.0, 1024.0):
        there = alone(loss, Sample(logits + constant, target, ""))
        if not torch.allclose(here, there, rtol=1e-3, atol=1e-4):
            yield Finding(
                "offset-changes-value", "error",
                f"Adding {constant:g} to all logits of a sample changes a softmax loss.",
                "Use log_softmax, which takes the largest logit away first; do not divide "
                "exponentials.",
                {"constant": constant, "before": float(here.sum()), "after": float(there.sum())},
                patient.snippet(
                    sample, "print(loss(logits, target).sum())",
                    f"print(loss(logits + {constant}, target).sum())",
                ),
            )  # fmt: skip
            return


def classes(patient: Patient) -> Iterator[Finding]:
    """The same sample with other names for the classes."""
    form = patient.form
    if form.classes < 3 or not form.exclusive or _told_of_classes(patient):
        return
    values = []
    for truth in range(form.classes):
        sample = patient.margin([0.5])
        turned = Sample(sample.logits.roll(truth - 1, 1), sample.target, "")
        target = (
            sample.target + truth - 1
            if form.target == "index"
            else sample.target.roll(truth - 1, 1)
        )
        values.append(float(alone(patient.still(), Sample(turned.logits, target, ""))))
    middle = sorted(values)[len(values) // 2]
    odd = [k for k, value in enumerate(values) if abs(value - middle) > 1e-4 * (abs(middle) + 1e-9)]
    if odd:
        sample = patient.margin([0.5])
        yield Finding(
            "class-is-special", "warning",
            f"Class {', '.join(map(str, odd))} costs another loss than the others for the same "
            "logits.",
            "Right where it was told about the classes (counts, weights, a background class); "
            "otherwise an argument makes one class the background silently.",
            {f"loss of class {k}": value for k, value in enumerate(values)},
            patient.snippet(
                sample, f"for k in range({form.classes}):",
                "    moved = target + k - 1" if form.target == "index"
                else "    moved = target.roll(k - 1, 1)",
                "    print(k, loss(logits.roll(k - 1, 1), moved).sum().item())",
            ),
        )  # fmt: skip


def _told_of_classes(patient: Patient) -> bool:
    """Whether the catalogue's loss was told something about each class."""
    recipe = patient.recipe
    if not isinstance(recipe, Catalogued):
        return False
    return "counts=" in recipe.code({}) or "[" in recipe.text


_HALF = 4
"""Rows of each of two micro-batches."""
_IN_PARTS = (
    "logits.requires_grad_()",
    "(whole,) = torch.autograd.grad(loss(logits, target), logits)",
    "parts = sum(loss(*each) / 2 for each in zip(logits.chunk(2), target.chunk(2)))",
    "print(whole - torch.autograd.grad(parts, logits)[0])",
)


def accumulation(patient: Patient) -> Iterator[Finding]:
    """Two micro-batches of one size, each loss halved, against the whole batch."""
    sample = patient.sample(2 * _HALF)
    loss = patient.still()
    value, twice = (
        loss(torch.cat([sample.logits] * n), torch.cat([sample.target] * n)).detach()
        for n in (1, 2)
    )
    if value.dim() > 0 or near(float(twice), 2 * float(value)):
        return  # a sum is not halved
    yield from _steps_of_state(patient, sample)
    whole = gradient(loss, sample)
    if not _alike(whole, gradient(loss, sample)):
        return  # it draws random numbers
    shares = _shares(loss, sample, whole)
    if shares is None:
        yield Finding(
            "micro-batches-differ", "warning",
            "The gradient of a batch is not that of its two halves, whatever each half counts.",
            "Look for statistics of the batch inside the value. Right for losses that compare the "
            "samples of a batch or take ratios over it: with gradient accumulation gather the "
            "outputs, and call them once.",
            {"largest difference": float((_in_halves(loss, sample) / 2 - whole).abs().max()),
             "largest gradient": float(whole.abs().max())},
            patient.snippet(sample, *_IN_PARTS),
        )  # fmt: skip
        return
    causes: dict[str, tuple[tuple[float, float], Sample, Options]] = {}
    if not near(*shares, 1e-3):
        causes["as it is"] = (shares, sample, {})
    option: Options = {"ignore_index": -100}
    target = sample.target.clone()
    target[1:_HALF] = -100
    masked = Sample(sample.logits, target, f"{sample.code}\ntarget[1:{_HALF}] = -100")
    try:
        told = patient.still(**option)
        shares = _shares(told, masked, gradient(told, masked))
    except (UnavailableError, *FAILURES):
        shares = None
    if shares is not None and not near(*shares, 1e-3):
        causes["with ignored positions"] = (shares, masked, option)
    if causes:
        how, (shares, shown, options) = next(iter(causes.items()))
        yield Finding(
            "denominator-per-batch", "info",
            f"Its mean is over what counts in each call ({', '.join(causes)}): in gradient "
            "accumulation, micro-batches in which less counts weigh as much as the others.",
            'Take reduction="sum" and divide by what counts in the whole step: positions that are '
            "not ignored, the sum of their weights (here: normalizer=count).",
            {f"share of the first half, {how}": shares[0], "of the second": shares[1]},
            patient.snippet(shown, *_IN_PARTS, options=options),
        )  # fmt: skip


def _in_halves(loss: LossFunction, sample: Sample) -> Tensor:
    """The gradients of two micro-batches."""
    parts = zip(sample.logits.split(_HALF), sample.target.split(_HALF), strict=True)
    return torch.cat([gradient(loss, Sample(*part, "")) for part in parts])


def _alike(one: Tensor, other: Tensor) -> bool:
    return float((one - other).abs().max()) <= 1e-3 * float(one.abs().max()) + 1e-12


def _shares(loss: LossFunction, sample: Sample, whole: Tensor) -> tuple[float, float] | None:
    """By what each half has to be multiplied to give the batch; None where no such numbers do.

    Whatever a mean divides by, the shares of two halves in it add up to 1.
    """
    halves = zip(_in_halves(loss, sample).split(_HALF), whole.split(_HALF), strict=True)
    first, second = (
        float((part * seen).sum() / part.square().sum().clamp(min=1e-30)) for part, seen in halves
    )
    factors = torch.tensor([first] * _HALF + [second] * _HALF, dtype=whole.dtype)
    told = _in_halves(loss, sample) * factors.view(-1, *(1 for _ in whole.shape[1:]))
    fits = _alike(whole, told) and abs(first + second - 1.0) < 1e-3
    return (first, second) if fits else None


def _steps_of_state(patient: Patient, sample: Sample) -> Iterator[Finding]:
    """What it remembers after one batch, and after the same batch in two calls."""
    memories, values = [], []
    other = patient.sample(seed=9).to(torch.float32)
    for size in (2 * _HALF, _HALF):
        loss, here = patient.loss(), sample.to(torch.float32)
        if not isinstance(loss, torch.nn.Module):
            return
        for part in zip(here.logits.split(size), here.target.split(size), strict=True):
            gradient(loss, Sample(*part, ""))
        memories.append(memory_of(loss))
        values.append(float(loss.eval()(other.logits, other.target).double().sum()))
    once, divided = values
    if not near(once, divided, 1e-6):
        names = ", ".join(moved(*memories)[:3])
        yield Finding(
            "state-per-call", "info",
            f"Every call moves what it remembers ({names}): with gradient accumulation it moves "
            "once for each micro-batch.",
            "Add up what the micro-batches bring, and update where the optimizer steps (losses "
            "of this library: loss.accumulate(k)).",
            {"changed": names, "after one call": once, "after two": divided},
            patient.snippet(
                sample.to(torch.float32), "loss(logits.requires_grad_(), target)",
                "print(loss.state_dict())  # and after the same batch in two calls:",
                "loss(logits[:4], target[:4]), loss(logits[4:], target[4:])",
                "print(loss.state_dict())",
            ),
        )  # fmt: skip


CHECKS = (
    Check("offset", "Does a constant on all logits change a softmax loss?",
          ("offset-changes-value",), offset),
    Check("classes alike", "Are all classes alike to it?", ("class-is-special",), classes),
    Check("accumulation", "Do micro-batches of equal size add up to their batch?",
          ("micro-batches-differ", "denominator-per-batch", "state-per-call"), accumulation),
)  # fmt: skip
