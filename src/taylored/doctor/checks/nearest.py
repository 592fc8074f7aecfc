"""Which loss of the catalogue it is, and what it costs beside that one."""

from __future__ import annotations

import ctypes
import time
from collections.abc import Iterator, Sequence
from contextlib import suppress
from itertools import product
from pathlib import Path

import torch

from taylored.catalog.parser import LossNameError
from taylored.doctor.check import Check
from taylored.doctor.finding import Finding
from taylored.doctor.patient import Form, Patient, Sample
from taylored.doctor.recipe import Catalogued, LossFunction, Recipe
from taylored.doctor.recognise import PLAIN, ROWS, recognised, values_of
from taylored.own import FAILURES


def name(patient: Patient) -> Iterator[Finding]:
    """Known losses, by their values."""
    if isinstance(patient.recipe, Catalogued):
        return
    found = recognised(patient)
    if found is None:
        return
    text, factor, error = found
    times = "" if abs(factor - 1) < 1e-4 else f"{factor:.4g} times "
    yield Finding(
        "recognised", "info",
        f"By its values it is {times}{text} of the catalogue, to {error:.0e}.",
        f"taylored.get({text!r}) is the same loss, checked and fast.",
        {"loss": text, "factor": factor, "relative error": error},
        _beside(patient, text, factor),
    )  # fmt: skip


def _beside(patient: Patient, text: str, factor: float) -> str:
    """A program that prints values of both."""
    _, reduction = values_of(patient)
    options = {"reduction": reduction} if reduction == "sum" else {}
    other = Catalogued(text, patient.form.classes).code(options)
    sample = patient.sample(ROWS, scale=1.5)
    scaled = "" if abs(factor - 1) < 1e-4 else f"{factor:.7g} * "
    return patient.snippet(
        sample, other.replace("\nloss = ", "\nother = "),
        "for row, truth in zip(logits[:3].split(1), target[:3].split(1)):",
        f"    print(loss(row, truth).sum().item(), {scaled}other(row, truth).sum().item())",
        options=options,
    )  # fmt: skip


def _batch(patient: Patient) -> Sample | None:
    """The largest of a few batches that the loss takes and is not long over."""
    form = patient.form
    space = (32, 32) if form.space else ()
    rows = (1, 16) if space else (64, 2048)
    for classes in (20 if space else 1000, form.classes):
        best = None
        for count in rows:
            large = Patient(patient.recipe, Form(form.target, form.link, classes, space))
            sample = large.sample(count).to(torch.float32)
            with suppress(*FAILURES):
                if _seconds((patient.still(),), sample)[0] < 0.1:
                    best = sample
                    continue
            break
        if best is not None:
            return best
    return None


def _seconds(losses: Sequence[LossFunction], sample: Sample) -> list[float]:
    best = [float("inf")] * len(losses)
    for _, (at, loss) in product(range(3), enumerate(losses)):
        logits = sample.logits.clone().requires_grad_()
        start = time.process_time()  # others may use this machine at the same time
        loss(logits, sample.target).sum().backward()
        best[at] = min(best[at], time.process_time() - start)
    return best


def peak(loss: LossFunction, sample: Sample) -> float | None:
    """Most memory of one step beyond what was there, in sizes of the logits; None if unknown."""
    status, reset = Path("/proc/self/status"), Path("/proc/self/clear_refs")
    logits = sample.logits.clone().requires_grad_()
    try:
        ctypes.CDLL(None).malloc_trim(0)  # what was freed before would be used again, unseen
        reset.write_text("5")
        before = _field(status, "VmRSS")
        loss(logits, sample.target).sum().backward()
        after = _field(status, "VmHWM")
    except (OSError, AttributeError, StopIteration, ValueError):
        return None
    return max(after - before, 0) / logits.nbytes


def _field(status: Path, name: str) -> int:
    line = next(line for line in status.read_text().splitlines() if line.startswith(name))
    return int(line.split()[1]) * 1024


def cost(patient: Patient) -> Iterator[Finding]:
    """Time and memory of a step beside the nearest loss of the catalogue."""
    if isinstance(patient.recipe, Catalogued):
        return
    found = recognised(patient)
    text = found[0] if found else PLAIN[patient.form.link][0]
    allowed = 3.0 if found else 20.0
    sample = _batch(patient)
    if sample is None:
        return
    nearest: Recipe = Catalogued(text, patient.form.classes)
    with suppress(LossNameError, *FAILURES):
        beside = nearest.build({})
        loss = patient.still()
        mine, other = _seconds((loss, beside), sample)
        memory = [peak(each, sample) for each in (loss, beside)]
        yield from _compared(patient, text, sample, (mine / other, allowed), (mine, other), memory)


def _compared(
    patient: Patient,
    text: str,
    sample: Sample,
    ratios: tuple[float, float],
    seconds: tuple[float, float],
    memory: Sequence[float | None],
) -> Iterator[Finding]:
    ratio, allowed = ratios
    evidence: dict[str, float | str] = {
        "logits": str(tuple(sample.logits.shape)), "nearest": text,
        "milliseconds": round(1e3 * seconds[0], 3), "of the nearest": round(1e3 * seconds[1], 3),
    }  # fmt: skip
    known = [each for each in memory if each is not None]
    if len(known) == 2:
        evidence["memory, in sizes of the logits"] = round(known[0], 2)
        evidence["memory of the nearest"] = round(known[1], 2)
    hungry = len(known) == 2 and known[0] > 2 * known[1] + 2
    if ratio < allowed and not hungry:
        return
    slower = f"{ratio:.1f} times as long" if ratio >= allowed else ""
    more = (
        f"{known[0]:.1f} times the memory of its logits, against {known[1]:.1f}" if hungry else ""
    )
    yield Finding(
        "costs-more", "info",
        f"A step takes {' and '.join(filter(None, (slower, more)))} compared with {text}.",
        f"taylored.get({text!r}) makes one pass over the logits." if ratio >= allowed
        else "Keep fewer intermediate tensors of the size of the logits.",
        evidence,
        patient.snippet(
            sample, "import timeit",
            "logits = logits.float().requires_grad_()",
            "step = lambda: loss(logits, target).sum().backward()",
            "print(min(timeit.repeat(step, number=1, repeat=5)))",
        ),
    )  # fmt: skip


CHECKS = (
    Check("recognised", "Is it a loss of the catalogue?", ("recognised",), name),
    Check("cost", "What does a step cost, beside the nearest loss of the catalogue?",
          ("costs-more",), cost),
)  # fmt: skip
