"""What must change nothing: a constant on all logits, and the names of the classes."""

from __future__ import annotations

from collections.abc import Iterator

import torch

from taylored.doctor.check import Check
from taylored.doctor.finding import Finding
from taylored.doctor.patient import Patient, Sample, alone
from taylored.doctor.recipe import Catalogued


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


CHECKS = (
    Check("offset", "Does a constant on all logits change a softmax loss?",
          ("offset-changes-value",), offset),
    Check("classes alike", "Are all classes alike to it?", ("class-is-special",), classes),
)  # fmt: skip
