"""What outputs say about probabilities: their softmax, and the posterior that the loss knows."""

from collections.abc import Sequence
from dataclasses import replace
from typing import Final

import numpy as np
import torch

from taylored.lab.measures import Measured, Tested, calibration
from taylored.lab.measures.tested import Floats
from taylored.lab.metrics import MetricName
from taylored.lab.run_config import Budget
from taylored.lab.statistics.estimate import Estimate
from taylored.lab.statistics.paired import of_trainings
from taylored.studies.declared import BASELINE, Conclusion, Evidence, Study
from taylored.studies.ground import Ground, Setting, difference
from taylored.studies.records import Claim, Panel, Point, Quantity

_METRIC: Final[MetricName] = "accuracy"
_FOCAL: Final = Setting("focal(gamma=2)")
_OTHERS: Final = {
    "default": (
        Setting("poly(epsilon=2)"),
        Setting("class_balanced(cross_entropy, beta=0.999)"),
        Setting("balanced_softmax"),
    ),
    "quick": (Setting("poly(epsilon=2)"), Setting("balanced_softmax")),
}
_NLL: Final = Quantity("negative log-likelihood", "nats", 1, 3)
_ECE: Final = Quantity("calibration error", "points", 100, 1)
_LITTLE: Final = 0.005
"""Nats, and 0.5 points of calibration error: less than this makes no difference in practice."""


def _settings(budget: Budget) -> Sequence[Setting]:
    return [_FOCAL, *_OTHERS[budget]]


def _softmax(tested: Tested) -> Tested:
    """The outputs read by their softmax, whatever the loss knows about them."""
    return replace(tested, log_p=None)


def _likelihoods(ground: Ground, tested: Tested) -> tuple[Measured, Measured]:
    return ground.measure(_softmax(tested), "nll"), ground.measure(tested, "nll")


def _errors(tested: Tested) -> Floats:
    """The calibration error on the rows of each fold, without what chance alone would show."""
    found = np.empty((tested.repeats, tested.fold_count))
    for repeat, folds in enumerate(tested.folds):
        for fold in range(tested.fold_count):
            rows = folds == fold
            inside = torch.from_numpy(rows)
            log_p = None if tested.log_p is None else tested.log_p[repeat : repeat + 1, inside]
            part = Tested(
                tested.scores[repeat : repeat + 1, inside],
                tested.labels[rows],
                np.zeros((1, int(rows.sum())), dtype=np.int64),
                log_p,
            )
            found[repeat, fold] = calibration(part).debiased
    return found


def _conclude(ground: Ground) -> Conclusion:
    evidence: list[Evidence] = []
    likelihood: list[Point] = []
    error: list[Point] = []
    for place, setting in enumerate((BASELINE, *_settings(ground.budget))):
        tested = ground.tested(setting)
        gain: Estimate | None = None
        better: Estimate | None = None
        if tested is not None:
            before, after = _likelihoods(ground, tested)
            gain = difference(before, after)
            raw, told = _errors(_softmax(tested)), _errors(tested)
            better = of_trainings(raw - told)
            for series, nll, ece in (("softmax", before, raw), ("posterior", after, told)):
                likelihood.append(Point(series, float(place), setting.label, nll.value))
                error.append(Point(series, float(place), setting.label, float(ece.mean())))
        if setting == BASELINE:  # whose softmax is its posterior
            continue
        claim = "focal" if setting == _FOCAL else "others"
        what = f"of the softmax minus that of the posterior, {setting.label}"
        evidence += [
            Evidence(claim, f"likelihood loss {what}", gain, _NLL, margin=_LITTLE),
            Evidence(claim, f"calibration error {what}", better, _ECE, margin=_LITTLE),
        ]
    panels = [
        Panel(
            data=ground.name,
            title=f"{quantity.label} by loss, {ground.name}",
            axis="loss",
            scale="names",
            quantity=quantity,
            reference="",
            points=tuple(sorted(points, key=lambda each: each.series, reverse=True)),
        )
        for quantity, points in ((_NLL, likelihood), (_ECE, error))
    ]
    return Conclusion(evidence, panels)


STUDY = Study(
    name="calibration",
    title="Probabilities: the softmax of the outputs against the posterior of the loss",
    question="Are the outputs of a loss better probabilities when what the loss does to them is "
    "undone?",
    claims=(
        Claim(
            "focal",
            "The posterior of focal loss is better than its softmax",
            "The softmax of a model trained with focal loss is no class probability; undoing the "
            "loss in closed form gives better likelihood and calibration, with the same decisions.",
            "Charoenphakdee et al., On Focal Loss for Class-Posterior Probability Estimation: A "
            "Theoretical Perspective, CVPR 2021, abstract",
            "high",
        ),
        Claim(
            "others",
            "So is that of the other losses",
            "The same holds for every loss whose minimum says what the outputs mean.",
            "derived: docs/probabilities.md",
            "ours",
        ),
    ),
    metric=_METRIC,
    tune="each",
    settings=_settings,
    conclude=_conclude,
)
