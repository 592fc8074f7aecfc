"""Drop-N: how many terms of its series cross-entropy needs, at several learning rates."""

from collections.abc import Sequence
from typing import Final

from taylored.lab.metrics import MetricName
from taylored.lab.run_config import Budget
from taylored.studies.declared import BASELINE, Conclusion, Evidence, Study
from taylored.studies.ground import Ground, Setting
from taylored.studies.records import Claim, Panel, Point
from taylored.studies.sweeps import LABELS, compared, named

_METRIC: Final[MetricName] = "accuracy"
_FEW: Final = 2
_MANY: Final = 600
_TERMS: Final = {"default": (1, _FEW, 8, 32, 128, _MANY), "quick": (_FEW, 16, _MANY)}
_RATES: Final = {"default": (3e-3, 1e-2, 3e-2), "quick": (3e-3, 1e-2)}
_REFERENCE: Final = "Leng et al., PolyLoss, ICLR 2022, figure 2"


def _drop(terms: int, rate: float) -> Setting:
    return Setting(f"taylor(num_terms={terms})", rate)


def _settings(budget: Budget) -> Sequence[Setting]:
    rates, terms = _RATES[budget], _TERMS[budget]
    return [
        *(Setting(BASELINE.loss, rate) for rate in rates),
        *(_drop(n, rate) for n in terms for rate in rates),
    ]


def _conclude(ground: Ground) -> Conclusion:
    rates, label = _RATES[ground.budget], LABELS[_METRIC]
    of_baseline = [Setting(BASELINE.loss, rate) for rate in rates]
    whole = ground.chosen(of_baseline, _METRIC)

    def lost(terms: int) -> Evidence:
        own = ground.chosen([_drop(terms, rate) for rate in rates], _METRIC)
        return Evidence(
            "repair" if terms == _FEW else "many",
            f"{label} of cross_entropy minus {terms} terms, each at its own best rate",
            ground.versus_chosen(whole, own, _METRIC),
        )

    best = max(whole.times, key=lambda each: whole.times[each]) if whole else of_baseline[0]
    rate = best.rate or rates[0]
    few = Evidence(
        "few",
        f"{label} of cross_entropy minus {_FEW} terms, both at rate {rate:g}",
        ground.versus(best, _drop(_FEW, rate), _METRIC),
    )
    panel = Panel(
        data=ground.name,
        title=f"{label} by kept terms, {ground.name}",
        axis="kept terms",
        scale="log",
        quantity=named(_METRIC),
        reference="cross_entropy at the same rate",
        points=tuple(point for each in rates for point in _at_rate(ground, each)),
    )
    return Conclusion([few, *map(lost, (_FEW, _MANY))], [panel])


def _at_rate(ground: Ground, rate: float) -> tuple[Point, ...]:
    """All terms, then the first ones, at one learning rate."""
    whole, series = Setting(BASELINE.loss, rate), f"rate {rate:g}"
    places = [(float(n), str(n), _drop(n, rate)) for n in _TERMS[ground.budget]]
    all_terms = Point(series, 0.0, "all", ground.value(whole, _METRIC))
    return (*compared(ground, places, _METRIC, series, whole), all_terms)


STUDY = Study(
    name="drop-n",
    title="Drop-N: accuracy against the number of kept terms",
    question="How many terms of its series does cross-entropy need, and does another learning "
    "rate repair few?",
    claims=(
        Claim(
            "few",
            "Few terms cost accuracy",
            "With only the first terms of the series of cross-entropy, accuracy is far below "
            "that of all of them.",
            _REFERENCE,
            "high",
        ),
        Claim(
            "repair",
            "Another learning rate does not repair them",
            "Changing the learning rate does not bring the accuracy of few terms up to that of "
            "cross-entropy.",
            _REFERENCE,
            "high",
        ),
        Claim(
            "many",
            "600 terms are not enough",
            "More than 600 terms are needed to match cross-entropy.",
            _REFERENCE,
            "high",
            "more than 600 terms (ResNet-50, ImageNet-1K)",
        ),
    ),
    metric=_METRIC,
    tune=None,
    settings=_settings,
    conclude=_conclude,
)
