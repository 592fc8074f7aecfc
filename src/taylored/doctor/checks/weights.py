"""Class weights: factors on the loss of a class, and nothing else."""

from __future__ import annotations

from collections.abc import Iterator

import torch
from torch import Tensor

from taylored.doctor.check import Check
from taylored.doctor.checks.reductions import unreduced
from taylored.doctor.finding import Finding
from taylored.doctor.patient import Patient, Sample, alone
from taylored.doctor.recipe import UnavailableError
from taylored.own import FAILURES

_REDUCTIONS = ("sum", "none")


def _weighted(
    patient: Patient, sample: Sample, option: str, weight: Tensor | None
) -> Tensor | None:
    """Each sample's loss without a mean, which would divide weights out again."""
    for reduction in _REDUCTIONS:
        options: dict[str, object] = {"reduction": reduction}
        if weight is not None:
            options[option] = weight
        try:
            return alone(patient.still(**options), sample)
        except (UnavailableError, *FAILURES):
            continue
    return None


def weight(patient: Patient) -> Iterator[Finding]:
    """The loss has to be linear in the weights: p_t knows nothing of them."""
    sample = patient.sample(10, scale=1.5)
    dtype = patient.exact_dtype
    one = torch.ones(patient.form.classes, dtype=dtype)
    other = torch.tensor([4.0, 1.0, 0.25, 2.0, 8.0], dtype=dtype).repeat(
        1 + patient.form.classes // 5
    )[: patient.form.classes]
    base = _weighted(patient, sample, "weight", None)
    found = [_weighted(patient, sample, "weight", w) for w in (one, other, one + other, 2 * other)]
    if base is None or any(each is None for each in found):
        return
    plain, weighted, both, double = (each for each in found if each is not None)
    show = patient.snippet(
        sample, "print(loss(logits, target).sum())", options={"weight": other, "reduction": "sum"}
    )
    if torch.allclose(weighted, plain, rtol=1e-5) and torch.allclose(weighted, base, rtol=1e-5):
        yield Finding(
            "weight-ignored", "error", "It takes class weights and does nothing with them.",
            "Multiply the loss of each position by the weight of its class.",
            {"loss without": float(base.sum()), "with 4, 1, 0.25, ...": float(weighted.sum())},
            show,
        )  # fmt: skip
        return
    size = float(both.abs().max()) + 1e-9
    if torch.allclose(double, weighted, rtol=1e-4):
        yield Finding(
            "weights-normalised", "info", "Weights are normalised: only their ratios count.",
            "Good to know where weights of other losses are carried over.",
            {"loss with w": float(weighted.sum()), "with 2 w": float(double.sum())}, show,
        )  # fmt: skip
    elif float((plain + weighted - both).abs().max()) > 1e-3 * size:
        at = int((plain + weighted - both).abs().argmax())
        yield Finding(
            "weight-leaks-into-probability", "error",
            "The loss is not linear in the class weights: they enter the probability.",
            "Take p_t from the unweighted cross-entropy, and multiply by the weight at the end.",
            {"loss with w": float(weighted[at]), "with 2 w, which should be the double":
             float(double[at])},
            patient.snippet(
                sample, "one = loss(logits, target).sum()",
                "print('with w:', one)", options={"weight": other, "reduction": "sum"},
            ) + "\n" + patient.snippet(
                None, "print('with 2 w:', loss(logits, target).sum(), 'expected:', 2 * one)",
                options={"weight": 2 * other, "reduction": "sum"},
            ),
        )  # fmt: skip
    yield from _shape(patient, sample, other)


def _shape(patient: Patient, sample: Sample, weights: Tensor) -> Iterator[Finding]:
    plain, weighted = unreduced(patient, sample), unreduced(patient, sample, weight=weights)
    if plain is not None and weighted is not None and plain.shape != weighted.shape:
        yield Finding(
            "weight-changes-shape", "error",
            "With class weights the unreduced loss has another shape.",
            "Look up the weight of each position, weight[target]; do not broadcast (C,) against "
            "(N, 1).",
            {"without": str(tuple(plain.shape)), "with": str(tuple(weighted.shape))},
            patient.snippet(
                sample, "print(loss(logits, target).shape)",
                options={"weight": weights, "reduction": "none"},
            ),
        )  # fmt: skip


def pos_weight(patient: Patient) -> Iterator[Finding]:
    """The loss is a straight line in the weight of the positives."""
    sample = patient.sample(10, scale=1.5)
    values = [
        torch.full((patient.form.classes,), value, dtype=patient.exact_dtype)
        for value in (1.0, 2.0, 3.0)
    ]
    found = [_weighted(patient, sample, "pos_weight", value) for value in values]
    if any(each is None for each in found):
        return
    one, two, three = (each for each in found if each is not None)
    size = float(three.abs().max()) + 1e-9
    off = float(((three - two) - (two - one)).abs().max())
    if float((two - one).abs().max()) < 1e-6 * size:
        yield Finding(
            "weight-ignored", "error", "It takes pos_weight and does nothing with it.",
            "Multiply the loss of each positive by it.", {"largest change": 0.0},
            patient.snippet(sample, "print(loss(logits, target).sum())",
                            options={"pos_weight": values[2], "reduction": "sum"}),
        )  # fmt: skip
    elif off > 1e-3 * size:
        yield Finding(
            "weight-leaks-into-probability", "error",
            "The loss is no straight line in pos_weight: it enters the probability.",
            "Take p_t from the unweighted cross-entropy, and multiply by the weight at the end.",
            {"from 1 to 2": float((two - one).sum()), "from 2 to 3": float((three - two).sum())},
            patient.snippet(sample, "print(loss(logits, target).sum())",
                            options={"pos_weight": values[2], "reduction": "sum"}),
        )  # fmt: skip


CHECKS = (
    Check("class weights", "Are class weights factors, which never enter the probability?",
          ("weight-ignored", "weights-normalised", "weight-leaks-into-probability",
           "weight-changes-shape"), weight),
    Check("pos_weight", "Is pos_weight a factor on the positives?",
          ("weight-ignored", "weight-leaks-into-probability"), pos_weight),
)  # fmt: skip
