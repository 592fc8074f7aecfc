"""Can the loss be called, and does it teach anything?"""

from __future__ import annotations

from collections.abc import Iterator

import torch
from torch import Tensor

from taylored.doctor.check import Check
from taylored.doctor.finding import Finding
from taylored.doctor.patient import Patient, Sample, alone, alone_gradient, gradient, total


def call(patient: Patient) -> Iterator[Finding]:
    """On ordinary logits, as it is in training."""
    sample = patient.sample().to(torch.float32)
    value = patient.loss()(sample.logits, sample.target)
    if not isinstance(value, Tensor) or not value.is_floating_point():
        yield Finding(
            "returns-no-tensor", "error", "It returns something that no gradient can start from.",
            "Return a tensor of real numbers.",
            {"returned": type(value).__name__},
            patient.snippet(sample, "print(type(loss(logits, target)))"),
        )  # fmt: skip
        return
    show = patient.snippet(
        sample,
        "logits.requires_grad_()",
        "value = loss(logits, target)",
        "print(value, value.requires_grad)",
    )
    if not bool(torch.isfinite(value).all()):
        if told := tuple(_probabilities(patient, sample)):
            yield from told
            return
        count = int((~torch.isfinite(value)).sum())
        yield Finding(
            "not-finite", "error", "It is not finite on ordinary logits.",
            "Start from log_softmax or logsigmoid of the logits, not from probabilities.",
            {"values that are not finite": count, "logits up to": float(sample.logits.abs().max())},
            show,
        )  # fmt: skip
        return
    logits = sample.logits.clone().requires_grad_()
    value = patient.loss()(logits, sample.target).sum()
    if not value.requires_grad:
        yield Finding(
            "no-gradient", "error", "No gradient reaches the logits.",
            "Look for .detach(), .item(), .data, argmax or torch.no_grad() in the forward.",
            {"value": value.item(), "requires_grad": "False"},
            show,
        )  # fmt: skip
        return
    (found,) = torch.autograd.grad(value, logits, allow_unused=True)
    if found is None or not bool(found.any()):
        yield Finding(
            "zero-gradient", "error", "The gradient on the logits is zero on ordinary logits.",
            "Look for clamp, argmax, round or a comparison between logits and value.",
            {"value": value.item(), "largest gradient": 0.0},
            f"{show}\nprint(torch.autograd.grad(value.sum(), logits, allow_unused=True))",
        )  # fmt: skip


def meaning(patient: Patient) -> Iterator[Finding]:
    """Does the loss fall as the model becomes right, and is it given what it expects?"""
    sample = patient.margin([-6.0, -2.0, 2.0, 6.0])
    loss = patient.still()
    values = alone(loss, sample)
    if not bool(torch.isfinite(values).all()):
        return
    if _ignores_target(patient):
        yield Finding(
            "ignores-target", "warning", "Its value does not depend on the target.",
            "Right for a term that is added to a loss; otherwise use the target.",
            {"loss of any class": float(values[0])},
            patient.snippet(sample, "print(loss(logits, target), loss(logits, 0 * target))"),
        )  # fmt: skip
        return
    wrong, _, _, right = values.tolist()
    pushes = alone_gradient(loss, sample)[:, 1 if patient.form.classes > 1 else 0]
    # Both: a value that is weighted by a constant may rise while its gradient pushes down.
    if wrong < right - 1e-6 * (1 + abs(wrong)) and float(pushes.sum()) > 0:
        yield Finding(
            "rewards-mistakes", "error", "The loss is lower where the model is wrong.",
            "Look at the sign, and at whether it is a loss that is returned, not a score.",
            {"loss at margin -6": wrong, "loss at margin 6": right},
            patient.snippet(
                sample,
                "for row, truth in zip(logits.split(1), target.split(1)):",
                "    print(row.flatten().tolist(), loss(row, truth).sum().item())",
            ),
        )  # fmt: skip
    if patient.form.exclusive:
        yield from _twice(patient)


def _ignores_target(patient: Patient) -> bool:
    sample = patient.sample()
    other = sample.target.roll(1, 1 if sample.target.dim() > 1 else 0)
    loss = patient.still()
    moved = Sample(sample.logits, other, "")
    batch = (total(loss, sample), total(loss, moved))  # alone a sample may have no rival
    return torch.equal(alone(loss, sample), alone(loss, moved)) and torch.equal(*batch)


def _probabilities(patient: Patient, sample: Sample) -> Iterator[Finding]:
    softmax = patient.form.link == "softmax"
    squash = torch.softmax(sample.logits, 1) if softmax else torch.sigmoid(sample.logits)
    found = alone(patient.still(), Sample(squash, sample.target, ""))
    if bool(torch.isfinite(found).all()):
        name = "torch.softmax(logits, 1)" if softmax else "torch.sigmoid(logits)"
        yield Finding(
            "takes-probabilities", "error",
            "It is finite on probabilities and not on logits: it takes probabilities.",
            f"Give it {name}, or better, let it start from log_softmax / logsigmoid.",
            {"largest loss on probabilities": float(found.max())},
            patient.snippet(sample, "print(loss(logits, target))", f"print(loss({name}, target))"),
        )  # fmt: skip


def _twice(patient: Patient) -> Iterator[Finding]:
    """A softmax of probabilities: the loss cannot fall below log(1 + (C - 1) / e)."""
    classes = patient.form.classes
    if classes < 2:
        return
    certain = patient.margin([-30.0, 0.0, 30.0])
    low, _, high = reversed(alone(patient.still(), certain).tolist())
    twice = torch.log_softmax(torch.softmax(certain.logits, 1), 1)[:, 1].double()
    expected = -twice.flatten(1).mean(1) if twice.dim() > 1 else -twice
    if abs(low - float(expected[2])) < 1e-4 and abs(high - float(expected[0])) < 1e-4:
        yield Finding(
            "softmax-twice", "error",
            "A softmax is applied to probabilities: certain and right still costs "
            f"{low:.3g}, certain and wrong no more than {high:.3g}.",
            "Give the logits to cross_entropy, which has the softmax inside.",
            {"loss at margin 30": low, "loss at margin -30": high},
            patient.snippet(
                certain,
                "for row, truth in zip(logits.split(1), target.split(1)):",
                "    print(loss(row, truth).sum().item())",
            ),
        )  # fmt: skip


def equal_logits(patient: Patient) -> Iterator[Finding]:
    """Logits that are all equal, as at the start of many trainings."""
    sample = patient.margin([0.0, 0.0]).to(torch.float32)
    zeros = Sample(torch.zeros_like(sample.logits), sample.target, sample.code)
    found = alone_gradient(patient.still(), zeros)
    if not bool(torch.isfinite(found).all()):
        yield Finding(
            "no-finite-gradient-at-zero", "error",
            "Where all logits are 0 the gradient is not finite.",
            "Look for sqrt, norm, pow with an exponent below 1, or 0 / 0.",
            {"gradients that are not finite": int((~torch.isfinite(found)).sum())},
            patient.snippet(
                zeros,
                "logits = torch.zeros_like(logits).requires_grad_()",
                "print(torch.autograd.grad(loss(logits, target).sum(), logits))",
            ),
        )  # fmt: skip


def views(patient: Patient) -> Iterator[Finding]:
    """Logits that are transposed or expanded in memory."""
    sample = patient.sample().to(torch.float32)
    value = float(patient.still()(sample.logits, sample.target).sum())
    turned = sample.logits.transpose(0, 1).contiguous().transpose(0, 1)
    target = sample.target
    if target.dim() > 1:
        target = target.transpose(0, 1).contiguous().transpose(0, 1)
    lines = ["logits = logits.transpose(0, 1).contiguous().transpose(0, 1)",
             "print(loss(logits, target))"]  # fmt: skip
    show = patient.snippet(sample, *lines)
    try:
        seen = Sample(turned, target, "")
        other = float(patient.still()(turned, target).sum())
        gradient(patient.still(), seen)
    except RuntimeError as error:
        yield Finding(
            "needs-contiguous", "error", "It fails on logits that are not contiguous.",
            "Use reshape and flatten, not view.",
            {"error": str(error).split("\n")[0][:160]}, show,
        )  # fmt: skip
        return
    if abs(other - value) > 1e-4 * (1 + abs(value)):
        yield Finding(
            "reads-memory-order", "error", "Its value depends on how the logits lie in memory.",
            "Use reshape and flatten; do not read storages.",
            {"contiguous": value, "transposed in memory": other}, show,
        )  # fmt: skip


CHECKS = (
    Check("call", "Can it be called, and does it teach anything?",
          ("returns-no-tensor", "takes-probabilities", "not-finite", "no-gradient",
           "zero-gradient"), call),
    Check("meaning", "Does it fall as the model becomes right, and does it take logits?",
          ("rewards-mistakes", "ignores-target", "softmax-twice"), meaning),
    Check("equal logits", "Is the gradient finite where all logits are 0?",
          ("no-finite-gradient-at-zero",), equal_logits),
    Check("views", "Does it work on logits that are transposed in memory?",
          ("needs-contiguous", "reads-memory-order"), views),
)  # fmt: skip
