"""Soft targets, smoothed labels, and targets of other dtypes."""

from __future__ import annotations

from collections.abc import Iterator

import torch
import torch.nn.functional as F
from torch import Tensor

from taylored.doctor.check import Check
from taylored.doctor.finding import Finding
from taylored.doctor.patient import Patient, Sample, alone, summing, total
from taylored.doctor.recipe import LossFunction, UnavailableError
from taylored.own import FAILURES


def soft(patient: Patient) -> Iterator[Finding]:
    """Targets between 0 and 1, as mixup, smoothing and distillation make."""
    if patient.form.target == "index":
        yield from _distributions(patient)
    else:
        yield from _between(patient)


def _distributions(patient: Patient) -> Iterator[Finding]:
    if patient.form.link != "softmax":
        return
    sample = patient.sample(6)
    hot = F.one_hot(sample.target, patient.form.classes).movedim(-1, 1).double()
    mixed = 0.6 * hot + 0.4 * hot.roll(1, 1)
    loss = summing(patient)
    try:
        index, once, mix = (
            alone(loss, Sample(sample.logits, target, "")) for target in (sample.target, hot, mixed)
        )
    except FAILURES:
        return  # it takes indices only, and says so
    lines = (
        f"hot = torch.nn.functional.one_hot(target, {patient.form.classes})",
        "hot = hot.movedim(-1, 1).double()",
        "for truth in (target, hot, 0.6 * hot + 0.4 * hot.roll(1, 1)):",
        "    print([loss(logits[i:i+1], truth[i:i+1]).sum().item() for i in range(6)])",
    )
    if not torch.allclose(index, once, rtol=1e-4, atol=1e-6):
        yield Finding(
            "one-hot-differs-from-index", "error",
            "One-hot targets give another loss than the same classes as indices.",
            "Use the target in every part of the loss: sum_k y_k phi(p_k).",
            {"by index": float(index.sum()), "one-hot": float(once.sum())},
            patient.snippet(sample, *lines),
        )  # fmt: skip
    elif torch.allclose(mix, index, rtol=1e-6, atol=1e-8) and _alike(loss, sample, mixed):
        yield Finding(
            "soft-targets-rounded", "warning",
            "A target of 0.6 and 0.4 costs what its larger class costs: mixup, smoothing and "
            "distillation have no effect.",
            "Do not take argmax of the target; or refuse targets that are not one-hot.",
            {"target 0.6 / 0.4": float(mix.sum()), "target 1 / 0": float(once.sum())},
            patient.snippet(sample, *lines),
        )  # fmt: skip


def _alike(loss: LossFunction, sample: Sample, mixed: Tensor) -> bool:
    """Whether mixed targets cost the same in a batch, too: alone a ratio may be at its end."""
    one, other = (total(loss, Sample(sample.logits, t, "")) for t in (sample.target, mixed))
    return torch.allclose(one, other, rtol=1e-6)


def _between(patient: Patient) -> Iterator[Finding]:
    if patient.form.exclusive:
        return
    steps = (0.0, 0.1, 0.5, 0.9, 1.0)
    logits = torch.full((5, patient.form.classes, *patient.form.space), -1.0, dtype=torch.float64)
    target = torch.zeros_like(logits)
    target[:, 0] = torch.tensor(steps, dtype=torch.float64).view(-1, *(1,) * (logits.dim() - 2))
    sample = patient.exact(logits, target)
    found = alone(patient.still(), sample)
    zero, some, half, most, one = found.tolist()
    if abs(one - zero) < 1e-9:
        return
    if all(min(abs(v - zero), abs(v - one)) < 1e-9 for v in (some, half, most)):
        nearest = abs(some - zero) < 1e-9 and abs(most - one) < 1e-9
        yield Finding(
            "soft-targets-rounded" if nearest else "soft-targets-misread",
            "warning" if nearest else "error",
            "Targets between 0 and 1 are taken for 0 or 1: smoothing, mixup and distillation have "
            "no effect." if nearest else
            "Targets between 0 and 1 are read the wrong way: a positive of 0.9 costs what a "
            "negative does, or one of 0.1 what a positive does.",
            "Use y and 1 - y as factors, not y == 1 or y > 0; or refuse other targets.",
            {"y = 0": zero, "y = 0.1": some, "y = 0.5": half, "y = 0.9": most, "y = 1": one},
            patient.snippet(
                sample, "for row, truth in zip(logits.split(1), target.split(1)):",
                "    print(truth.flatten()[0].item(), loss(row, truth).sum().item())",
            ),
        )  # fmt: skip


def smoothing(patient: Patient) -> Iterator[Finding]:
    """Label smoothing s: 1 - s + s / C of the target on its class, s / C on each other."""
    classes = patient.form.classes
    if patient.form.target != "index" or patient.form.link != "softmax" or classes < 3:
        return
    strength = 0.1
    sample = patient.sample(10)
    try:
        loss = patient.still()
        found = alone(patient.still(label_smoothing=strength), sample)
        if torch.equal(found, alone(loss, sample)):  # it smooths by so much on its own
            loss = patient.still(label_smoothing=0.0)
        each = torch.stack([
            alone(loss, Sample(sample.logits, torch.full_like(sample.target, k), ""))
            for k in range(classes)
        ], 1)  # fmt: skip
    except (UnavailableError, *FAILURES):
        return
    first = sample.target.flatten(1)[:, 0] if sample.target.dim() > 1 else sample.target
    if sample.target.dim() > 1:
        return  # maps: positions of one sample have different classes
    truth = each.gather(1, first[:, None]).squeeze(1)
    yield from _mass(patient, sample, found, truth, each.sum(1) - truth, strength)


def _mass(
    patient: Patient, sample: Sample, found: Tensor, truth: Tensor, rest: Tensor, strength: float
) -> Iterator[Finding]:
    classes = patient.form.classes
    columns = torch.stack([truth, rest], 1)
    fit = torch.linalg.lstsq(columns, found.unsqueeze(1)).solution
    residual = float((columns @ fit).squeeze(1).sub(found).abs().max())
    if residual > 1e-6 * float(found.abs().max()):
        return  # it does something else with the smoothed target
    on, off = float(fit[0]), float(fit[1])
    mass = on + (classes - 1) * off
    seen = {"on the class": on, "on each other": off, "together": mass,
            "expected on the class": 1 - strength + strength / classes}  # fmt: skip
    show = patient.snippet(
        sample, "print(loss(logits, target).sum())", options={"label_smoothing": strength}
    )
    if on < 0.5:
        yield Finding(
            "smoothing-reversed", "error",
            f"Smoothing by {strength} leaves {on:.2g} on the true class: it is taken for what is "
            "kept.",
            "Let the argument be what is taken away, as in torch, or name it otherwise.",
            seen, show,
        )  # fmt: skip
    elif abs(mass - 1) > 1e-3:
        yield Finding(
            "smoothing-loses-mass", "warning",
            f"A smoothed target sums to {mass:.3g}, not to 1: the loss is scaled with it.",
            "1 - s + s / C on the class and s / C on each other, or 1 - s and s / (C - 1).",
            seen, show,
        )  # fmt: skip
    elif abs(on - (1 - strength + strength / classes)) > 1e-3:
        yield Finding(
            "smoothing-convention", "info",
            f"Smoothing by {strength} leaves {on:.3g} on the class; torch leaves "
            f"{seen['expected on the class']:.3g}.",
            "Good to know where a strength is carried over.", seen, show,
        )  # fmt: skip


def dtypes(patient: Patient) -> Iterator[Finding]:
    """The same targets as whole numbers and booleans."""
    sample = patient.sample(6)
    loss = patient.still()
    expected = alone(loss, sample)
    kinds = [torch.int32, torch.uint8]
    kinds += [] if patient.form.target == "index" else [torch.int64, torch.bool]
    for kind in kinds:
        try:
            found = alone(loss, Sample(sample.logits, sample.target.to(kind), ""))
        except FAILURES:
            continue
        if not torch.allclose(found, expected, rtol=1e-5, atol=1e-7, equal_nan=True):
            yield Finding(
                "target-dtype-matters", "error",
                f"Targets as {kind} give another loss, without a word.",
                "Convert the target first: target.to(logits.dtype) or target.long(). Whole "
                "numbers wrap around or are cut.",
                {"expected": float(expected.sum()), f"as {kind}": float(found.sum())},
                patient.snippet(
                    sample, "print(loss(logits, target).sum())",
                    f"print(loss(logits, target.to({kind})).sum())",
                ),
            )  # fmt: skip
            return


CHECKS = (
    Check("soft targets", "Are targets between 0 and 1 used as what they are?",
          ("one-hot-differs-from-index", "soft-targets-rounded", "soft-targets-misread"), soft),
    Check("label smoothing", "Where does the mass of a smoothed label go?",
          ("smoothing-reversed", "smoothing-loses-mass", "smoothing-convention"), smoothing),
    Check("target dtypes", "Are targets of other dtypes the same targets?",
          ("target-dtype-matters",), dtypes),
)  # fmt: skip
