"""How the lines of losses are drawn: a hue for each, and dashes where there are more than hues."""

from collections.abc import Iterator, Sequence
from dataclasses import dataclass

from taylored.analysis.palette import INK, NOISE, SERIES, Colour
from taylored.lab.results import LossResult

DASHES = ("solid", (0, (5, 2)), (0, (1.2, 1.6)))
"""Line styles. With more losses than hues the next style starts, so a pair stays unique."""


@dataclass(frozen=True)
class Stroke:
    """How the line of one loss is drawn."""

    colour: Colour
    dash: str | tuple[int, tuple[float, ...]]


def strokes(losses: Sequence[LossResult]) -> Iterator[tuple[LossResult, Stroke]]:
    """Each loss with its stroke: ink for the baseline, grey for the control, hues for the rest."""
    candidates = 0
    for loss in losses:
        if loss.role == "baseline":
            yield loss, Stroke(INK, "solid")
        elif loss.role == "free":
            yield loss, Stroke(NOISE, (0, (2, 2)))
        else:
            hue = SERIES[candidates % len(SERIES)]
            yield loss, Stroke(hue, DASHES[candidates // len(SERIES) % len(DASHES)])
            candidates += 1
