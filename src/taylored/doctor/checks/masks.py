"""Positions that do not count, batches in which none does, and classes that do not exist."""

from __future__ import annotations

from collections.abc import Iterator

import torch
from torch import Tensor

from taylored.doctor.check import Check
from taylored.doctor.checks.reductions import near
from taylored.doctor.finding import Finding
from taylored.doctor.patient import Patient, Sample, gradient, said
from taylored.doctor.recipe import LossFunction, UnavailableError
from taylored.own import FAILURES

IGNORED = -100
_KEPT = 4


def _masked(patient: Patient) -> tuple[LossFunction, Sample, Sample] | None:
    """The loss with ignore_index, a batch whose last two samples are ignored, and the others."""
    try:
        loss = patient.still(ignore_index=IGNORED)
    except (UnavailableError, *FAILURES):
        return None
    sample = patient.sample(6)
    target = sample.target.clone()
    target[_KEPT:] = IGNORED
    code = f"{sample.code}\ntarget[{_KEPT}:] = {IGNORED}"
    kept = Sample(sample.logits[:_KEPT], sample.target[:_KEPT], "")
    return loss, Sample(sample.logits, target, code), kept


def dropping(patient: Patient) -> Iterator[Finding]:
    """Ignored positions against positions that are not there."""
    found = _masked(patient)
    if found is None:
        return
    loss, masked, kept = found
    option = {"ignore_index": IGNORED}
    compare = f"print(loss(logits, target).sum(), loss(logits[:{_KEPT}], target[:{_KEPT}]).sum())"
    show = patient.snippet(masked, compare, options=option)
    try:
        here = float(loss(masked.logits, masked.target).sum())
    except FAILURES as error:
        yield Finding(
            "ignore-index-fails", "error",
            "It takes ignore_index and fails on a target that has it.",
            "Replace ignored targets by a class that exists before one_hot and gather, and drop "
            "their values afterwards.",
            {"error": said(error)}, show,
        )  # fmt: skip
        return
    expected = float(loss(kept.logits, kept.target).sum())
    if near(here * 6, expected * _KEPT):
        yield Finding(
            "ignored-in-denominator", "error",
            "Ignored positions count in the mean: the more are ignored, the smaller the loss.",
            "Divide by the number of positions that are not ignored.",
            {"with 2 of 6 ignored": here, "without these 2": expected}, show,
        )  # fmt: skip
    elif not near(here, expected):
        yield Finding(
            "ignoring-is-not-dropping", "error",
            "A batch with ignored positions has another loss than the batch without them.",
            "Take ignored positions out of values, weights and every count.",
            {"with 2 of 6 ignored": here, "without these 2": expected}, show,
        )  # fmt: skip
    slopes = gradient(loss, masked)
    if bool((slopes[_KEPT:] != 0).any()):
        yield Finding(
            "ignored-have-gradient", "error", "Ignored positions have a gradient.",
            "Take ignored positions out of the values before they are reduced.",
            {"largest gradient there": float(slopes[_KEPT:].abs().max())},
            patient.snippet(
                masked, "logits.requires_grad_()",
                "print(torch.autograd.grad(loss(logits, target).sum(), logits)[0])", options=option,
            ),
        )  # fmt: skip


def poison(patient: Patient) -> Iterator[Finding]:
    """NaN logits at ignored positions, as padding may have."""
    found = _masked(patient)
    if found is None:
        return
    loss, masked, _ = found
    logits = masked.logits.clone()
    logits[_KEPT:] = float("nan")
    code = f"{masked.code}\nlogits[{_KEPT}:] = torch.nan\nlogits.requires_grad_()"
    poisoned = Sample(logits, masked.target, code)
    show = patient.snippet(
        poisoned, "value = loss(logits, target).sum()",
        "(slopes,) = torch.autograd.grad(value, logits)",
        "print(value.item(), slopes.flatten(1).isnan().any(1))",
        options={"ignore_index": IGNORED},
    )  # fmt: skip
    try:
        value, slopes = float(loss(logits, masked.target).sum()), gradient(loss, poisoned)
    except FAILURES:
        return
    if value != value or bool(torch.isnan(slopes[:_KEPT]).any()):
        yield Finding(
            "nan-at-ignored", "error", "NaN at an ignored position makes the whole batch NaN.",
            "Select the positions that count (logits[keep]) or replace the others "
            "(torch.where) before anything is computed; 0 * NaN is NaN.",
            {"value": value}, show,
        )  # fmt: skip
    elif bool(torch.isnan(slopes).any()):
        yield Finding(
            "nan-gradient-at-ignored", "info",
            "NaN at an ignored position gets a gradient of NaN, which the layers before it share.",
            "Select or replace the positions before anything is computed.",
            {"gradients of NaN": int(torch.isnan(slopes).sum())}, show,
        )  # fmt: skip


def nothing_left(patient: Patient) -> Iterator[Finding]:
    """A batch in which everything is ignored."""
    found = _masked(patient)
    if found is None:
        return
    loss, masked, _ = found
    target = torch.full_like(masked.target, IGNORED)
    empty = Sample(masked.logits, target, f"{masked.code}\ntarget[:] = {IGNORED}")
    show = patient.snippet(empty, "print(loss(logits, target))", options={"ignore_index": IGNORED})
    yield from _on_nothing(loss, empty, "all-ignored", "A batch in which all is ignored", show)


def empty(patient: Patient) -> Iterator[Finding]:
    """A batch without samples, as a filter or a last shard may leave."""
    sample = patient.sample(6)
    none = Sample(sample.logits[:0], sample.target[:0],
                  f"{sample.code}\nlogits, target = logits[:0], target[:0]")  # fmt: skip
    show = patient.snippet(none, "print(loss(logits, target))")
    yield from _on_nothing(patient.still(), none, "empty-batch", "A batch without samples", show)


def _on_nothing(
    loss: LossFunction, sample: Sample, name: str, what: str, show: str
) -> Iterator[Finding]:
    severity = "error" if name == "all-ignored" else "warning"
    fix = "Return 0 with a graph there: (logits * 0).sum(), or values.sum() / count.clamp(min=1)."
    logits = sample.logits.clone().requires_grad_()
    try:
        value = loss(logits, sample.target)
    except FAILURES as error:
        yield Finding(f"{name}-fails", severity, f"{what} ends the training.",  # type: ignore[arg-type]
                      fix, {"error": said(error)}, show)  # fmt: skip
        return
    if not isinstance(value, Tensor):
        return
    if not bool(torch.isfinite(value).all()):
        yield Finding(f"{name}-nan", severity, f"{what} has a loss of {float(value.sum())}.",  # type: ignore[arg-type]
                      fix, {"value": float(value.sum())}, show)  # fmt: skip
    elif not value.requires_grad:
        yield Finding(
            f"{name}-no-graph", "warning",
            f"{what} has a value without a graph: backward fails, and other processes wait for it.",
            fix, {"requires_grad": "False"}, show,
        )  # fmt: skip


def classes(patient: Patient) -> Iterator[Finding]:
    """Classes that do not exist: one too many, and -1."""
    form = patient.form
    if form.target != "index":
        return
    for wrong in (form.classes, -1):
        sample = patient.sample(6)
        target = sample.target.clone()
        target[2] = wrong
        code = f"{sample.code}\ntarget[2] = {wrong}"
        try:
            loss = patient.still()
            value = float(loss(sample.logits, target).sum())
        except FAILURES:
            continue
        kept = [0, 1, 3, 4, 5]
        dropped = float(loss(sample.logits[kept], sample.target[kept]).sum())
        if near(value, dropped):
            continue  # it is the ignore_index
        yield Finding(
            "accepts-wrong-classes", "warning",
            f"Target {wrong} with {form.classes} classes is taken without a word.",
            "Refuse targets outside of 0 ... C - 1 that are not the ignore_index; "
            "indexing with -1 means the last class.",
            {"target": wrong, "value": value},
            patient.snippet(Sample(sample.logits, target, code), "print(loss(logits, target))"),
        )  # fmt: skip
        return


CHECKS = (
    Check("ignoring", "Does ignore_index do what dropping does?",
          ("ignore-index-fails", "ignored-in-denominator", "ignoring-is-not-dropping",
           "ignored-have-gradient"), dropping),
    Check("NaN at ignored", "Do NaNs at ignored positions stay there?",
          ("nan-at-ignored", "nan-gradient-at-ignored"), poison),
    Check("all ignored", "What does a batch cost in which all is ignored?",
          ("all-ignored-fails", "all-ignored-nan", "all-ignored-no-graph"), nothing_left),
    Check("empty batch", "What does a batch without samples cost?",
          ("empty-batch-fails", "empty-batch-nan", "empty-batch-no-graph"), empty),
    Check("classes", "Are classes refused that do not exist?",
          ("accepts-wrong-classes",), classes),
)  # fmt: skip
