"""What a batch costs: reductions, denominators, order, copies, and what couples samples."""

from __future__ import annotations

from collections.abc import Iterator

import torch
from torch import Tensor

from taylored.doctor.check import Check
from taylored.doctor.finding import Finding
from taylored.doctor.patient import Form, Patient, Sample, outcome, total
from taylored.doctor.recipe import UnavailableError
from taylored.modules.overlap.base import OverlapLoss
from taylored.own import FAILURES


def near(one: float, other: float, tolerance: float = 1e-4) -> bool:
    """Whether two numbers agree, relative to the larger."""
    return abs(one - other) <= tolerance * (max(abs(one), abs(other)) + 1e-9)


def unreduced(patient: Patient, sample: Sample, **options: object) -> Tensor | None:
    """The value with reduction="none"; None where there is no such thing."""
    try:
        loss = patient.still(reduction="none", **options)
    except UnavailableError:
        return None
    except FAILURES:  # it knows others only, and says so
        return None
    found = outcome(lambda: loss(sample.logits, sample.target).detach())
    return None if isinstance(found, str) else found


def reduction(patient: Patient) -> Iterator[Finding]:
    """none, sum and mean against each other."""
    sample = patient.sample(7)
    each = unreduced(patient, sample)
    if each is None or isinstance(patient.still(), OverlapLoss):
        return  # ratios have no value per sample
    lines = ["loss(logits, target)"]
    show = patient.snippet(sample, f"print({lines[0]})", options={"reduction": "none"})
    if each.dim() == 0:
        yield Finding(
            "reduction-ignored", "error", 'reduction="none" gives a single number for a batch.',
            "Use the argument in the forward, or do not take it.",
            {"values for 7 rows": 1}, show,
        )  # fmt: skip
        return
    summed = _scalar(patient, sample, "sum")
    mean = _scalar(patient, sample, "mean")
    whole = float(each.sum())
    if summed is not None and mean is not None and near(summed, mean) and abs(whole) > 1e-6:
        yield Finding(
            "reduction-ignored", "error", 'reduction="sum" gives the same as reduction="mean".',
            "Use the argument in the forward, or do not take it.",
            {"sum": summed, "mean": mean}, _both(patient, sample, "sum", "mean"),
        )  # fmt: skip
    elif summed is not None and not near(summed, whole):
        yield Finding(
            "sum-is-no-sum", "error", 'reduction="sum" is not the sum of reduction="none".',
            "Reduce the unreduced values, and nothing else.",
            {"sum": summed, 'sum over "none"': whole}, _both(patient, sample, "sum", "none"),
        )  # fmt: skip
    if mean is not None:
        yield from _denominator(patient, sample, mean, whole)


def _both(patient: Patient, sample: Sample, one: str, other: str) -> str:
    """A program that shows the sums of what two reductions give."""
    lines = "print({!r}, loss(logits, target).sum().item())"
    first = patient.snippet(sample, lines.format(one), options={"reduction": one})
    return f"{first}\n{patient.snippet(None, lines.format(other), options={'reduction': other})}"


def _scalar(patient: Patient, sample: Sample, reduction: str) -> float | None:
    try:
        found = patient.still(reduction=reduction)(sample.logits, sample.target)
    except FAILURES:
        return None
    return float(found) if found.dim() == 0 else None


def _denominator(patient: Patient, sample: Sample, mean: float, whole: float) -> Iterator[Finding]:
    elements = sample.logits.numel()
    positions = elements // patient.form.classes
    if patient.form.target == "index" and near(mean, whole / elements):
        yield Finding(
            "mean-over-classes", "info",
            'reduction="mean" divides by positions times classes: the gradient shrinks with the '
            "number of classes.",
            'Divide by positions, as torch does; or sum, and divide yourself.',
            {"divided by": elements, "positions": positions},
            _both(patient, sample, "mean", "none"),
        )  # fmt: skip


def unknown(patient: Patient) -> Iterator[Finding]:
    """A reduction that does not exist."""
    sample = patient.sample()
    try:
        loss = patient.still(reduction="maen")
        found = loss(sample.logits, sample.target)
    except FAILURES:
        return
    if isinstance(found, Tensor):
        yield Finding(
            "accepts-any-reduction", "warning", "A misspelt reduction is taken without a word.",
            'Refuse what is not "none", "sum" or "mean".',
            {"reduction": "maen", "values": found.numel()},
            patient.snippet(sample, "print(loss(logits, target))", options={"reduction": "maen"}),
        )  # fmt: skip


def coupled(patient: Patient) -> Iterator[Finding]:
    """Whether one sample's unreduced value changes with the others."""
    sample = patient.sample(6)
    each = unreduced(patient, sample)
    if each is None or each.dim() == 0 or each.shape[0] != 6:
        return
    logits = sample.logits.clone()
    logits[3:] *= -1.5
    other = unreduced(patient, Sample(logits, sample.target, ""))
    if other is None or other.shape != each.shape:
        return
    off = float((other[:3] - each[:3]).abs().max())
    if off > 1e-5 * (1 + float(each.abs().max())):
        yield Finding(
            "samples-coupled", "warning",
            'With reduction="none" the value of a sample depends on the others in its batch.',
            "Reduce last: a mean inside of one part leaks into all samples. Right only for losses "
            "that compare the samples of a batch.",
            {"largest change of a sample that stayed": off},
            patient.snippet(
                sample, "print(loss(logits, target)[:3])", "logits[3:] *= -1.5",
                "print(loss(logits, target)[:3])", options={"reduction": "none"},
            ),
        )  # fmt: skip


def order(patient: Patient) -> Iterator[Finding]:
    """The samples of a batch in another order."""
    sample = patient.sample(6)
    turned = torch.tensor([3, 5, 0, 4, 1, 2])
    moved = Sample(sample.logits[turned], sample.target[turned], "")
    here, there = (float(total(patient.still(), each)) for each in (sample, moved))
    if not near(here, there, 1e-5):
        yield Finding(
            "order-matters", "error", "The value changes with the order of the samples.",
            "Look for reshape or view of (N, C, ...) tensors without moving the class axis last, "
            "and for broadcasting between (N, C) and (N,).",
            {"in order": here, "in another": there},
            patient.snippet(
                sample, "print(loss(logits, target).sum())",
                "turned = torch.tensor([3, 5, 0, 4, 1, 2])",
                "print(loss(logits[turned], target[turned]).sum())",
            ),
        )  # fmt: skip


def copies(patient: Patient) -> Iterator[Finding]:
    """Every sample twice: a mean stays, a sum doubles."""
    sample = patient.sample(6)
    twice = Sample(sample.logits.repeat(2, *(1 for _ in sample.logits.shape[1:])),
                   sample.target.repeat(2, *(1 for _ in sample.target.shape[1:])), "")  # fmt: skip
    once, doubled = (patient.still()(s.logits, s.target).detach() for s in (sample, twice))
    if once.dim() > 0 or doubled.dim() > 0:
        return
    here, there = float(once), float(doubled)
    show = patient.snippet(
        sample, "print(loss(logits, target))",
        "print(loss(torch.cat([logits, logits]), torch.cat([target, target])))",
    )  # fmt: skip
    if near(there, 2 * here):
        yield Finding(
            "sums-over-batch", "info",
            "It sums over the batch: the learning rate has to follow the batch size.",
            "Offer a mean, or divide by the number of samples.", {"6 samples": here, "12": there},
            show,
        )  # fmt: skip
    elif not near(there, here, 1e-3):
        yield Finding(
            "depends-on-batch-size", "warning",
            "The same samples twice give another value, and not the double: batches of different "
            "sizes, and gradient accumulation, give other gradients.",
            "Divide by what grows with the batch: positions, or the sum of their weights.",
            {"6 samples": here, "each twice": there, "ratio": there / here if here else 0.0},
            show,
        )  # fmt: skip


def maps(patient: Patient) -> Iterator[Finding]:
    """Maps (N, C, D) against the rows that they consist of."""
    form = patient.form
    if form.space or form.target != "index":
        return
    spread = Patient(patient.recipe, Form("index", form.link, form.classes, (form.classes,)))
    sample = spread.sample(6)
    rows = Sample(sample.logits.movedim(1, -1).flatten(0, -2), sample.target.flatten(), "")
    try:
        found = spread.still()(sample.logits, sample.target)
    except FAILURES:
        return  # it takes rows only, and says so
    flat = patient.still()(rows.logits, rows.target)
    here, there = float(found.sum()), float(flat.sum())
    if not near(here, there, 1e-4):
        yield Finding(
            "maps-differ-from-rows", "warning",
            "Logits (N, C, D) with D = C give another value than the same positions as rows, "
            "without a word: the classes are read from another axis than 1.",
            "Use dim=1 for the classes, not dim=-1.", {"as maps": here, "as rows": there},
            spread.snippet(
                sample, "print(loss(logits, target).sum())",
                "rows = logits.movedim(1, -1).flatten(0, -2)",
                "print(loss(rows, target.flatten()).sum())",
            ),
        )  # fmt: skip


CHECKS = (
    Check("reduction", "Do none, sum and mean agree, and what does mean divide by?",
          ("reduction-ignored", "sum-is-no-sum", "mean-over-classes"), reduction),
    Check("unknown reduction", "Is a misspelt reduction refused?",
          ("accepts-any-reduction",), unknown),
    Check("coupled samples", "Is the unreduced value of a sample its own?",
          ("samples-coupled",), coupled),
    Check("order", "Is the order of the samples nothing to it?", ("order-matters",), order),
    Check("copies", "Does a mean stay when every sample is there twice?",
          ("sums-over-batch", "depends-on-batch-size"), copies),
    Check("maps", "Are positions of a map what rows are?", ("maps-differ-from-rows",), maps),
)  # fmt: skip
