"""What the doctor asks about a loss: a file for each theme, a function for each question."""

from taylored.doctor.check import Check
from taylored.doctor.checks import (
    calls,
    extremes,
    gradients,
    invariance,
    manners,
    masks,
    nearest,
    reductions,
    saving,
    state,
    targets,
    transforms,
    weights,
)

CHECKS: tuple[Check, ...] = tuple(
    check
    for theme in (
        calls, state, extremes, gradients, reductions, masks, weights, targets, invariance,
        manners, saving, transforms, nearest,
    )
    for check in theme.CHECKS
)  # fmt: skip
"""All checks, in the order in which they are asked; the first decides whether others can be."""
