"""Very wrong and very right samples, in every dtype that trainings use."""

from __future__ import annotations

from collections.abc import Iterator, Sequence

import torch
from torch import Tensor

from taylored.doctor.check import Check
from taylored.doctor.finding import Finding, Severity
from taylored.doctor.patient import Patient, Sample, alone, alone_gradient, said
from taylored.own import FAILURES

MARGINS = (0.0, 20.0, 50.0, 80.0, 100.0, 1000.0, 10000.0)
HALF_MARGINS = (0.0, 5.0, 12.0, 20.0, 50.0, 100.0, 1000.0)
FIX = (
    "Work with log_softmax / logsigmoid (or softplus) of the logits; form powers as "
    "exp(gamma * log q); never take the log of a probability or exp of a logit."
)
_SHOW = (
    "for row, truth in zip(logits.split(1), target.split(1)):",
    "    row = row.clone().requires_grad_()",
    "    value = loss(row, truth).sum()",
    "    print(value.item(), torch.autograd.grad(value, row)[0].flatten().tolist())",
)


def _samples(
    patient: Patient, margins: Sequence[float]
) -> Iterator[tuple[str, list[float], Sample]]:
    """Both ends of both outcomes."""
    truths = (True,) if patient.form.exclusive else (True, False)
    for truth in truths:
        for sign, said_as in ((-1.0, "wrong"), (1.0, "right")):
            at = [sign * margin for margin in margins]
            kind = "" if truth else ", target 0"
            yield f"certain and {said_as}{kind}", at, patient.margin(at, truth=truth)


def _explodes(patient: Patient) -> bool:
    """Whether the true value leaves float32 where the model is wrong, as exp(-margin) does."""
    kinds = (True,) if patient.form.exclusive else (True, False)
    for truth in kinds:
        found = alone(patient.still(), patient.margin([-30.0], truth=truth))
        if 1e9 < float(found.abs().max()) < float("inf"):
            return True
    return False


def float32(patient: Patient) -> Iterator[Finding]:
    """Values and gradients in float32, against those in float64."""
    if _explodes(patient):
        return
    for where, margins, sample in _samples(patient, MARGINS):
        single = sample.to(torch.float32)
        values, slopes = _seen(patient, single)
        bad = ~torch.isfinite(values)
        if bool(bad.any()):
            yield _broken(patient, "overflows", "value", where, margins, values, bad, single)
        elif bool((bad := ~torch.isfinite(slopes).flatten(1).all(1)).any()):
            worst = slopes.flatten(1)[:, 0]
            yield _broken(
                patient, "gradient-overflows", "gradient", where, margins, worst, bad, single
            )
        yield from _against_float64(patient, where, margins, sample, values)


def _seen(patient: Patient, sample: Sample) -> tuple[Tensor, Tensor]:
    loss = patient.still()
    return alone(loss, sample), alone_gradient(loss, sample)


def _broken(
    patient: Patient,
    name: str,
    what: str,
    where: str,
    margins: Sequence[float],
    values: Tensor,
    bad: Tensor,
    sample: Sample,
) -> Finding:
    first = int(bad.nonzero()[0])
    return Finding(
        name, "error",
        f"The {what} is not finite for samples that are {where}, "
        f"from margin {margins[first]:g} on.",
        FIX,
        {"margin": margins[first], what: float(values[first]), "dtype": str(sample.logits.dtype)},
        patient.snippet(_row(patient, sample, first), *_SHOW),
    )  # fmt: skip


def _row(patient: Patient, sample: Sample, at: int) -> Sample:
    return patient.exact(sample.logits[at : at + 1], sample.target[at : at + 1])


def _against_float64(
    patient: Patient, where: str, margins: Sequence[float], sample: Sample, values: Tensor
) -> Iterator[Finding]:
    """Values that are finite and wrong; float64 stays right up to |logit| = 700 or so."""
    exact = alone(patient.still(), sample)
    known = torch.isfinite(exact) & torch.isfinite(values)
    known &= torch.tensor([abs(margin) <= 100 for margin in margins])
    far = known & ((values - exact).abs() > 1e-3 * (1 + exact.abs()))
    if "right" in where:  # a ratio of next to nothing may jump to 0 there, which harms nobody
        far &= values > exact
    if not bool(far.any()):
        return
    first = int(far.nonzero()[0])
    yield Finding(
        "wrong-at-extremes", "error",
        f"The value in float32 is wrong for samples that are {where}, at margin "
        f"{margins[first]:g}.",
        FIX,
        {"margin": margins[first], "in float32": float(values[first]),
         "in float64": float(exact[first])},
        patient.snippet(
            _row(patient, sample, first),
            "print(loss(logits, target), loss(logits.float(), "
            + ("target.float()))" if patient.form.target != "index" else "target))"),
        ),
    )  # fmt: skip


def slope(patient: Patient) -> Iterator[Finding]:
    """Where a loss that grows like a logarithm suddenly no longer pushes."""
    kinds = (True,) if patient.form.exclusive else (True, False)
    for truth in kinds:
        margins = [-8.0, -10.0, -40.0, -60.0]
        sample = patient.margin(margins, truth=truth).to(torch.float32)
        found = alone_gradient(patient.still(), sample).flatten(1).norm(dim=1)
        before, after = float(found[:2].min()), float(found[2:].max())
        if before > 0.05 and after < 1e-3 * before:
            target = "" if patient.form.exclusive else f" of target {int(truth)}"
            yield Finding(
                "stops-pushing", "warning",
                f"Samples{target} that are wrong and certain have no gradient: the model cannot "
                "unlearn them.",
                "Do not clamp probabilities or add an epsilon inside of a logarithm; start from "
                "log_softmax / logsigmoid.",
                {"gradient at margin -10": before, "gradient at margin -40": after},
                patient.snippet(patient.exact(sample.logits[1:3], sample.target[1:3]), *_SHOW),
            )  # fmt: skip


def halves(patient: Patient) -> Iterator[Finding]:
    """Values and gradients in bfloat16 and float16."""
    if _explodes(patient):
        return
    for dtype in (torch.bfloat16, torch.float16):
        short = str(dtype).removeprefix("torch.")
        ordinary = patient.sample().to(dtype)
        try:
            _seen(patient, ordinary)
        except FAILURES as error:
            yield Finding(
                "no-half", "warning", f"It fails on logits in {short}.",
                "Convert inside: logits.float(), and constants to the dtype of the logits.",
                {"error": said(error)}, patient.snippet(ordinary, "print(loss(logits, target))"),
            )  # fmt: skip
            continue
        yield from _half_extremes(patient, dtype, short)
        yield from _half_accuracy(patient, ordinary, short)


def _half_extremes(patient: Patient, dtype: torch.dtype, short: str) -> Iterator[Finding]:
    for where, margins, sample in _samples(patient, HALF_MARGINS):
        half = sample.to(dtype)
        values, slopes = _seen(patient, half)
        single, _ = _seen(patient, half.to(torch.float32))
        fits = torch.isfinite(single) & (single.abs() < torch.finfo(dtype).max)
        bad = fits & ~(torch.isfinite(values) & torch.isfinite(slopes).flatten(1).all(1))
        if bool(bad.any()):
            first = int(bad.nonzero()[0])
            yield Finding(
                "overflows-in-half", "error",
                f"In {short} value or gradient are not finite for samples that are {where}, from "
                f"margin {margins[first]:g} on.",
                f"{FIX} Or convert first: logits.float().",
                {"margin": margins[first], "value": float(values[first]), "dtype": short,
                 "value in float32": float(single[first])},
                patient.snippet(_row(patient, half, first), *_SHOW),
            )  # fmt: skip
            return


def _half_accuracy(patient: Patient, half: Sample, short: str) -> Iterator[Finding]:
    found = alone(patient.still(), half)
    exact = alone(patient.still(), half.to(patient.exact_dtype))
    error = float(((found - exact).abs() / (exact.abs() + exact.abs().mean() + 1e-30)).max())
    if error > 0.05:
        yield Finding(
            "inaccurate-in-half", "warning", f"In {short} a value is {error:.0%} wrong.",
            "Compute in float32: logits.float(), and return to the dtype at the end.",
            {"relative error": error, "dtype": short},
            patient.snippet(half, *_SHOW),
        )  # fmt: skip


def autocast(patient: Patient) -> Iterator[Finding]:
    """The same value under autocast, nearly."""
    sample = patient.sample().to(torch.float32)
    plain = float(patient.still()(sample.logits, sample.target).sum())
    show = patient.snippet(
        sample,
        "print(loss(logits, target))",
        'with torch.autocast("cpu", dtype=torch.bfloat16):',
        "    print(loss(logits, target))",
    )
    severity: Severity = "warning"
    try:
        with torch.autocast("cpu", dtype=torch.bfloat16):
            found = float(patient.still()(sample.logits, sample.target).sum())
    except FAILURES as error:
        yield Finding(
            "fails-under-autocast", "error", "It fails under autocast.",
            "Take logits and use the functions with logits, or leave autocast inside of the loss: "
            "with torch.autocast(device, enabled=False).",
            {"error": said(error)}, show,
        )  # fmt: skip
        return
    off = abs(found - plain) / (abs(plain) + 1e-30)
    if off > 0.02 or found != found:
        yield Finding(
            "changes-under-autocast", "error" if found != found else severity,
            f"Under autocast its value changes by {off:.0%}.",
            "Leave autocast inside of the loss, and convert: logits.float().",
            {"without": plain, "under autocast": found}, show,
        )  # fmt: skip


CHECKS = (
    Check("float32", "Are value and gradient right at every finite logit, in float32?",
          ("overflows", "gradient-overflows", "wrong-at-extremes"), float32),
    Check("slope", "Do certain mistakes still have a gradient?", ("stops-pushing",), slope),
    Check("half precision", "Are value and gradient finite in bfloat16 and float16?",
          ("no-half", "overflows-in-half", "inaccurate-in-half"), halves),
    Check("autocast", "Is it the same under autocast?",
          ("fails-under-autocast", "changes-under-autocast"), autocast),
)  # fmt: skip
