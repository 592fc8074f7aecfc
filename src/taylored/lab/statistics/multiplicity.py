"""Many comparisons, and looks at the same comparison: what each p-value has to fall below."""

from collections.abc import Mapping, Sequence
from typing import Final

SIGNIFICANCE: Final = 0.05
"""A corrected p-value below this is called a difference."""

LOOKS: Final[Mapping[int, float]] = {1: 0.05, 2: 0.0294, 3: 0.0221, 4: 0.0182, 5: 0.0158}
"""The level of each look, by the number of looks, at which all looks together err in 5 % (Pocock,
Group Sequential Methods in the Design and Analysis of Clinical Trials, Biometrika 64, 1977)."""


def level_of(looks: int) -> float:
    """A p-value below this is called a difference, where a run is looked at so often."""
    return LOOKS.get(looks, SIGNIFICANCE / looks)


def holm(p_values: Sequence[float]) -> list[float]:
    """Holm's step-down correction: p-values that hold for the whole family at once.

    Example:
        >>> holm([0.01, 0.04, 0.03])
        [0.03, 0.06, 0.06]

    Reference:
        S. Holm, A Simple Sequentially Rejective Multiple Test Procedure, Scandinavian Journal of
        Statistics 6, 1979.
    """
    wrong = [p for p in p_values if not 0 <= p <= 1]
    if wrong:
        raise ValueError(f"p_values must lie in [0, 1]: got {wrong[0]!r}; leave missing ones out")
    corrected = [0.0] * len(p_values)
    running = 0.0
    order = sorted(range(len(p_values)), key=p_values.__getitem__)
    for rank, index in enumerate(order):
        running = max(running, (len(order) - rank) * p_values[index])
        corrected[index] = min(1.0, running)
    return corrected
