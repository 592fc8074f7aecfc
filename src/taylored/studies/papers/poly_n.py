"""Poly-N: whether moving two or three coefficients brings more than moving the first."""

from collections.abc import Mapping, Sequence
from itertools import product
from typing import Final

from taylored.lab.metrics import MetricName
from taylored.lab.run_config import Budget
from taylored.studies.declared import BASELINE, Conclusion, Evidence, Study
from taylored.studies.ground import Chosen, Ground, Place, Setting, effect_of
from taylored.studies.records import Claim, Panel, Point
from taylored.studies.sweeps import LABELS, named

_METRIC: Final[MetricName] = "accuracy"
_GRID: Final = {"default": (-0.3, 0.0, 2.0), "quick": (0.0, 2.0)}
"""What each coefficient may be moved by; all of it keeps the loss falling with p up to N = 3."""
_MOST: Final = {"default": 3, "quick": 2}
"""Coefficients that are moved; two of them take half as many models as three."""
_REFERENCE: Final = "Leng et al., PolyLoss, ICLR 2022"


def _poly(steps: Sequence[float]) -> Setting:
    """The loss of some coefficients; those that are not moved at the end are left out."""
    kept = [*steps]
    while kept and kept[-1] == 0:
        kept.pop()
    if not kept:
        return BASELINE
    listed = ", ".join(f"{step:g}" for step in kept)
    return Setting(f"poly(epsilon={listed})" if len(kept) == 1 else f"poly(epsilon=[{listed}])")


def _grid(budget: Budget, count: int) -> list[tuple[float, ...]]:
    return [*product(_GRID[budget], repeat=count)]


def _settings(budget: Budget) -> Sequence[Setting]:
    return [_poly(steps) for steps in _grid(budget, _MOST[budget])]


def _greedy(ground: Ground) -> dict[int, Chosen | None]:
    """For every model one coefficient after the other, each chosen with those before it held."""
    found: dict[int, Chosen | None] = {}
    held: Mapping[Place, tuple[float, ...]] = dict.fromkeys(ground.places, ())
    for count in range(1, _MOST[ground.budget] + 1):
        picked: dict[Place, Setting | None] = {}
        longer: dict[Place, tuple[float, ...]] = {}
        for place, before in held.items():
            wider = {_poly((*before, step)): (*before, step) for step in _GRID[ground.budget]}
            best = ground.best([*wider], _METRIC, place)
            picked[place], longer[place] = best, before if best is None else wider[best]
        found[count] = ground.picked(picked)
        held = longer
    return found


def _conclude(ground: Ground) -> Conclusion:
    label, most = LABELS[_METRIC], _MOST[ground.budget]
    grid = {
        count: ground.chosen([*map(_poly, _grid(ground.budget, count))], _METRIC)
        for count in range(1, most + 1)
    }
    greedy = _greedy(ground)
    searches = {"grid": grid, "greedy": greedy}
    evidence = [
        Evidence(
            "enough",
            f"{label} of {count} coefficients ({way} search) minus that of one",
            ground.versus_chosen(searches[way][count], grid[1], _METRIC),
            expected="no more",
        )
        for way, count in dict.fromkeys((("grid", 2), ("grid", most), ("greedy", most)))
    ]
    points = [
        Point(
            f"{way} search",
            float(count),
            str(count),
            None if found is None else ground.measure(found.tested, _METRIC).value,
            effect_of(ground.versus_chosen(found, grid[1], _METRIC)),
        )
        for way, searched in searches.items()
        for count, found in searched.items()
        if count > 1
    ]
    value = None if grid[1] is None else ground.measure(grid[1].tested, _METRIC).value
    panel = Panel(
        data=ground.name,
        title=f"{label} by moved coefficients, {ground.name}",
        axis="coefficients",
        scale="ticks",
        quantity=named(_METRIC),
        reference="one coefficient",
        points=(Point("one coefficient", 1.0, "1", value), *points),
    )
    remarks = [
        f"{ground.name}: {way} search over {count} chose {found.said}."
        for way, searched in searches.items()
        for count, found in searched.items()
        if found is not None and (way, count) in (("grid", 1), ("grid", most), ("greedy", most))
    ]
    return Conclusion(evidence, [panel], remarks)


STUDY = Study(
    name="poly-n",
    title="Poly-N: one, two or three coefficients",
    question="Does moving more coefficients than the first bring more, by grid or greedy search?",
    claims=(
        Claim(
            "enough",
            "One coefficient is enough",
            "Moving the first N coefficients, searched together or one after the other, brings "
            "little over moving the first alone.",
            _REFERENCE,
            "high",
        ),
    ),
    metric=_METRIC,
    tune="cross_entropy",
    settings=_settings,
    conclude=_conclude,
)
