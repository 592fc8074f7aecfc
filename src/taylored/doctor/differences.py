"""Derivatives by differences of values."""

from __future__ import annotations

import torch
from torch import Tensor

from taylored.doctor.patient import Patient, Sample, gradient, total
from taylored.doctor.recipe import LossFunction


def ways(like: Tensor) -> list[Tensor]:
    """Directions of length 1: a line, and four at random."""
    generator = torch.Generator().manual_seed(1)
    line = torch.linspace(-1, 1, like.numel(), dtype=like.dtype).view_as(like)
    drawn = [torch.randn(like.shape, generator=generator, dtype=like.dtype) for _ in range(4)]
    return [way / way.norm() for way in (line, *drawn)]


def _slope(loss: LossFunction, sample: Sample, way: Tensor, step: float) -> float:
    with torch.no_grad():
        up = total(loss, Sample(sample.logits + step * way, sample.target, ""))
        down = total(loss, Sample(sample.logits - step * way, sample.target, ""))
    return float(up - down) / (2 * step)


def step_of(loss: LossFunction, sample: Sample) -> tuple[float, float]:
    """Step and tolerance of differences: many losses compute in float32 whatever they get."""
    with torch.no_grad():
        value = total(loss, sample)
    precise = value.dtype == sample.logits.dtype == torch.float64
    return (1e-5, 1e-3) if precise else (1e-2, 5e-2)


def mismatch(patient: Patient, sample: Sample) -> tuple[float, float] | None:
    """The derivative along a line, by autograd and by differences, where the two disagree."""
    loss = patient.still()
    step, tolerance = step_of(loss, sample)
    found = gradient(loss, sample)
    size = float(found.norm()) + 1e-12
    wrong = []
    lines = ways(sample.logits)
    for way in lines:
        here = float((found * way).sum())
        fine, coarse = (_slope(loss, sample, way, h) for h in (step, 3 * step))
        steady = abs(fine - coarse) < tolerance / 10 * (abs(fine) + size)
        if steady and abs(here - fine) > tolerance * (abs(fine) + size):
            wrong.append((here, fine))
    return max(wrong, key=lambda w: abs(w[0] - w[1])) if 2 * len(wrong) > len(lines) else None
