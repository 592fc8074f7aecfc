"""Positive to negative gradient of each class, before and after equalisation."""

from collections.abc import Sequence
from typing import Final

import numpy as np

from taylored.lab.data import GROUPS, Group
from taylored.lab.measures.tested import Floats
from taylored.lab.metrics import MetricName
from taylored.lab.run_config import Budget
from taylored.lab.statistics.estimate import Estimate
from taylored.lab.statistics.paired import of_trainings
from taylored.studies.declared import BASELINE, Conclusion, Evidence, Study
from taylored.studies.ground import Ground, Setting
from taylored.studies.records import Claim, Panel, Point, Quantity
from taylored.studies.sweeps import LABELS, compared, named

_METRIC: Final[MetricName] = "balanced_accuracy"
_BEFORE, _AFTER = Setting("binary_cross_entropy"), Setting("sigmoid_eql")
_SOFTMAX: Final = Setting("softmax_eql")
_ALL: Final = (_BEFORE, _AFTER, BASELINE, _SOFTMAX)
_RATIO: Final = Quantity("log10 of positive over negative gradient", "decades", 1, 2)
_SAME: Final = 0.1
"""Gaps that differ by less than this, a quarter more or less, are alike."""
_REFERENCE: Final = "Tan et al., Equalization Loss v2, CVPR 2021"
_NONE: Final = 1e-12


def _settings(_: Budget) -> Sequence[Setting]:
    return [_BEFORE, _AFTER, _SOFTMAX]


def _ratios(ground: Ground, setting: Setting) -> Floats | None:
    """The logarithm of each class's ratio over a whole training, (trainings, classes)."""
    ratios = [trial.gradient_ratio for trial in ground.trials(setting)]
    if any(ratio is None for ratio in ratios):
        return None
    found: Floats = np.log10(np.maximum(np.array(ratios, dtype=np.float64), _NONE))
    return found


def _gaps(ground: Ground, setting: Setting) -> Floats | None:
    """How far the tail is below the head, one number per training."""
    ratios, groups = _ratios(ground, setting), np.array(ground.problem.groups)
    if ratios is None or not {"head", "tail"} <= set(groups):
        return None
    head, tail = (np.median(ratios[:, groups == group], axis=1) for group in ("head", "tail"))
    return (head - tail).reshape(-1, ground.problem.folds)


def _minus(mine: Floats | None, other: Floats | None) -> Estimate | None:
    return None if mine is None or other is None else of_trainings(mine - other)


def _conclude(ground: Ground) -> Conclusion:
    before, after = _gaps(ground, _BEFORE), _gaps(ground, _AFTER)
    plain, softmax = _gaps(ground, BASELINE), _gaps(ground, _SOFTMAX)
    missing = "a training diverged, or the data have no head or no tail"
    evidence = [
        Evidence(
            "imbalance",
            f"log10 ratio of head minus tail classes, {_BEFORE.label}",
            None if before is None else of_trainings(before),
            _RATIO,
            margin=_SAME,
            missing=missing,
        ),
        *(
            Evidence(
                claim,
                f"that gap under {one.label} minus that under {two.label}",
                _minus(gap, other),
                _RATIO,
                margin=_SAME,
                missing=missing,
            )
            for claim, one, two, gap, other in (
                ("balanced", _BEFORE, _AFTER, before, after),
                ("softmax", BASELINE, _SOFTMAX, plain, softmax),
            )
        ),
        Evidence(
            "tail",
            f"tail accuracy of {_AFTER.label} minus {_BEFORE.label}",
            ground.versus(_AFTER, _BEFORE, "tail"),
            missing=missing,
        ),
    ]
    panels = [
        _by_group(ground),
        _by_class(ground),
        _accuracies(ground, "tail"),
        _accuracies(ground, _METRIC),
    ]
    return Conclusion(evidence, panels)


def _by_group(ground: Ground) -> Panel:
    """The median of each group of classes, a mean over the trainings."""
    groups = np.array(ground.problem.groups)
    there: list[Group] = [group for group in GROUPS if group in groups]
    points = [
        Point(
            setting.label,
            float(place),
            group,
            float(np.median(ratios[:, groups == group], axis=1).mean()),
        )
        for setting in _ALL
        if (ratios := _ratios(ground, setting)) is not None
        for place, group in enumerate(there)
    ]
    title = f"gradient ratio by group, {ground.name}"
    return Panel(ground.name, title, "classes", "ticks", _RATIO, "", tuple(points), level=0.0)


def _by_class(ground: Ground) -> Panel:
    """Every class by its training samples, a mean over the trainings."""
    counts = ground.problem.train_counts
    order = sorted(range(len(counts)), key=counts.__getitem__)
    points = [
        Point(setting.label, float(counts[i]), f"{counts[i]}", float(ratios[:, i].mean()))
        for setting in _ALL
        if (ratios := _ratios(ground, setting)) is not None
        for i in order
    ]
    return Panel(
        data=ground.name,
        title=f"gradient ratio by class, {ground.name}",
        axis="training samples of the class",
        scale="log",
        quantity=_RATIO,
        reference="",
        points=tuple(points),
        level=0.0,
        tabled=False,
    )


def _accuracies(ground: Ground, metric: str) -> Panel:
    """An accuracy of each loss, beside that of binary cross-entropy."""
    places = [(float(i), setting.label, setting) for i, setting in enumerate(_ALL)]
    return Panel(
        data=ground.name,
        title=f"{LABELS[metric]} before and after, {ground.name}",
        axis="loss",
        scale="names",
        quantity=named(metric),
        reference=_BEFORE.label,
        points=compared(ground, places, metric, "loss", _BEFORE),
    )


STUDY = Study(
    name="gradient-ratio",
    title="Gradient ratio of rare and frequent classes, before and after equalisation",
    question="Are rare classes pushed down by the samples of others, and does equalisation balance "
    "that and help them?",
    claims=(
        Claim(
            "imbalance",
            "Rare classes get little positive gradient",
            "Under binary cross-entropy the ratio of positive to negative gradient is far smaller "
            "for rare classes than for frequent ones.",
            _REFERENCE,
            "medium",
        ),
        Claim(
            "balanced",
            "Equalisation balances the ratio",
            "Equalization Loss v2 brings the ratios of rare and frequent classes together.",
            _REFERENCE,
            "medium",
        ),
        Claim(
            "softmax",
            "So it does under softmax",
            "The softmax form of the equalization loss narrows the gap as well.",
            "Tan et al., The Equalization Losses, 2022; no numbers of it were found",
            "low",
        ),
        Claim(
            "tail",
            "Rare classes are found more often",
            "Equalization Loss v2 raises the accuracy of rare classes.",
            "Tan et al., Equalization Loss v2, CVPR 2021, and its repository",
            "high",
            "rare AP 0.0 to 14.9 (LVIS v1, Mask R-CNN R50)",
        ),
    ),
    metric=_METRIC,
    tune="each",
    settings=_settings,
    conclude=_conclude,
)
