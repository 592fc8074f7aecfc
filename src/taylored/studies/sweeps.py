"""Panels that several studies share: settings along an axis, beside a reference."""

from collections.abc import Sequence

from taylored.studies.declared import BASELINE, POINTS
from taylored.studies.ground import Ground, Setting, effect_of
from taylored.studies.records import Panel, Point, Quantity, Scale

LABELS = {
    "accuracy": "overall accuracy",
    "balanced_accuracy": "balanced accuracy",
    "tail": "tail accuracy",
}
"""Names of the metrics in sentences and on axes."""


def compared(
    ground: Ground,
    settings: Sequence[tuple[float, str, Setting]],
    metric: str,
    series: str,
    reference: Setting = BASELINE,
) -> tuple[Point, ...]:
    """Settings at their places on the axis, with their differences to the reference."""
    return tuple(
        Point(
            series,
            place,
            label,
            ground.value(setting, metric),
            None if setting == reference else effect_of(ground.versus(setting, reference, metric)),
        )
        for place, label, setting in settings
    )


def sweep(
    ground: Ground,
    settings: Sequence[tuple[float, str, Setting]],
    metric: str,
    axis: str,
    scale: Scale,
) -> Panel:
    """One parameter and what it changes against cross-entropy, which is the first row."""
    value = ground.value(BASELINE, metric)
    of_baseline = Point("cross_entropy", settings[0][0], "cross_entropy", value)
    return Panel(
        data=ground.name,
        title=f"{LABELS[metric]} by {axis}, {ground.name}",
        axis=axis,
        scale=scale,
        quantity=named(metric),
        reference="cross_entropy",
        points=(of_baseline, *compared(ground, settings, metric, axis)),
    )


def named(metric: str) -> Quantity:
    """An accuracy under its name."""
    return Quantity(LABELS[metric], POINTS.unit, POINTS.scale, POINTS.digits)
