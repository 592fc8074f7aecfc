"""Focal loss: the accuracy along gamma."""

from collections.abc import Sequence
from typing import Final

from taylored.lab.metrics import MetricName
from taylored.lab.run_config import Budget
from taylored.studies.declared import BASELINE, Conclusion, Evidence, Study
from taylored.studies.ground import Ground, Setting
from taylored.studies.records import Claim
from taylored.studies.sweeps import LABELS, sweep

_METRIC: Final[MetricName] = "balanced_accuracy"
_BEST, _MOST = 2.0, 5.0
_GAMMAS: Final = {"default": (0.5, 1.0, _BEST, 3.0, _MOST), "quick": (0.5, _BEST, _MOST)}
_REFERENCE: Final = "Lin et al., Focal Loss for Dense Object Detection, ICCV 2017, table 1b"


def _focal(gamma: float) -> Setting:
    return Setting(f"focal(gamma={gamma:g})")


def _settings(budget: Budget) -> Sequence[Setting]:
    return [_focal(gamma) for gamma in _GAMMAS[budget]]


def _conclude(ground: Ground) -> Conclusion:
    label, gammas = LABELS[_METRIC], _GAMMAS[ground.budget]
    evidence = [
        Evidence(
            "beats",
            f"{label} of {_focal(_BEST).label} minus cross_entropy",
            ground.versus(_focal(_BEST), BASELINE, _METRIC),
        ),
        Evidence(
            "too-much",
            f"{label} of {_focal(_BEST).label} minus {_focal(_MOST).label}",
            ground.versus(_focal(_BEST), _focal(_MOST), _METRIC),
        ),
    ]
    places = [(gamma, f"{gamma:g}", _focal(gamma)) for gamma in gammas]
    return Conclusion(evidence, [sweep(ground, places, _METRIC, "gamma", "linear")])


STUDY = Study(
    name="focal-gamma",
    title="Focal loss: accuracy along gamma",
    question="Does focusing with gamma = 2 beat cross-entropy on imbalanced data, and is 5 too "
    "much?",
    claims=(
        Claim(
            "beats",
            "gamma = 2 beats cross-entropy",
            "On imbalanced data (boxes of dense detectors) focal loss with gamma = 2 beats "
            "cross-entropy with its balance tuned.",
            _REFERENCE,
            "high",
            "34.0 against 31.1 AP (RetinaNet with ResNet-50, COCO)",
        ),
        Claim(
            "too-much",
            "gamma = 5 is worse than 2",
            "The gain falls again beyond gamma = 2.",
            _REFERENCE,
            "high",
            "34.0 AP with gamma = 2, 32.2 with 5 (RetinaNet with ResNet-50, COCO)",
        ),
    ),
    metric=_METRIC,
    tune="each",
    settings=_settings,
    conclude=_conclude,
)
