"""The share of the first polynomial in the gradient of cross-entropy, over a training."""

from collections.abc import Sequence
from typing import Final

import numpy as np

from taylored.lab.metrics import MetricName
from taylored.lab.run_config import Budget
from taylored.lab.statistics.estimate import Estimate
from taylored.lab.statistics.paired import of_trainings
from taylored.studies.declared import BASELINE, Conclusion, Evidence, Study
from taylored.studies.followed import BINS
from taylored.studies.ground import Ground, Setting
from taylored.studies.records import Claim, Panel, Point, Quantity

_METRIC: Final[MetricName] = "accuracy"
_SHARE: Final = Quantity("share of the first polynomial", "points", 100, 1)
_DEVIATION: Final = Quantity("deviation from p_t", "x 1e-15", 10**15, 1)
_EXACT: Final = 1e-12
"""A larger deviation than this is no rounding."""
_REFERENCE: Final = "Leng et al., PolyLoss, ICLR 2022"


def _settings(_: Budget) -> Sequence[Setting]:
    return []


def _of_trainings(ground: Ground, values: Sequence[float]) -> Estimate | None:
    """One number per training, in the order of repeats and folds."""
    return of_trainings(np.array(values).reshape(-1, ground.problem.folds))


def _conclude(ground: Ground) -> Conclusion:
    found = sorted(ground.followed, key=lambda each: (each.repeat, each.fold))
    means = {
        "mean over samples": np.array([each.share for each in found]),
        "of the sum of sizes": np.array([each.weighted for each in found]),
    }
    # A share is above one half for most of a training where its median over the training is.
    evidence = [
        Evidence(
            claim,
            f"share in the median step ({reading}) minus one half",
            _of_trainings(ground, (np.median(means[reading], axis=1) - 0.5).tolist()),
            _SHARE,
            margin=0.0,
        )
        for claim, reading in zip(("most", "most-weighted"), means, strict=True)
    ]
    deviation = Evidence(
        "identity",
        "largest difference between the share of a sample and its p_t",
        _of_trainings(ground, [each.deviation for each in found]),
        _DEVIATION,
        expected="no more",
        margin=_EXACT,
    )
    points = tuple(
        Point(
            reading,
            100 * (i + 0.5) / BINS,
            f"{100 * i // BINS}-{100 * (i + 1) // BINS} %",
            float(shares[:, i].mean()),
        )
        for reading, shares in means.items()
        for i in range(BINS)
    )
    above = float((means["mean over samples"] > 0.5).mean())
    panel = Panel(
        data=ground.name,
        title=f"share of the first polynomial in the gradient, {ground.name}",
        axis="part of the training, %",
        scale="linear",
        quantity=_SHARE,
        reference="",
        points=points,
        level=0.5,
    )
    said = f"{ground.name}: the mean share is above one half in {100 * above:.0f} % of a training."
    return Conclusion([deviation, *evidence], [panel], [said])


STUDY = Study(
    name="first-term-share",
    title="The first polynomial in the gradient of cross-entropy",
    question="How much of the gradient comes from the first polynomial of the series, over a "
    "training?",
    claims=(
        Claim(
            "identity",
            "The share of a sample is its p_t",
            "The gradient of the first polynomial is p_t times that of cross-entropy, sample by "
            "sample.",
            "derived from the series; Leng et al. give the gradient of each polynomial",
            "ours",
        ),
        Claim(
            "most",
            "It is more than half for most of the training",
            "The first polynomial contributes more than half of the gradient of cross-entropy "
            "during most of the training.",
            _REFERENCE,
            "medium",
            "most of the training of a ResNet-50 on ImageNet-1K",
        ),
        Claim(
            "most-weighted",
            "The same where hard samples weigh more",
            "The same of the sum of the sizes of all gradients, the other way to read the claim.",
            _REFERENCE,
            "medium",
        ),
    ),
    metric=_METRIC,
    tune="cross_entropy",
    settings=_settings,
    conclude=_conclude,
    followed=BASELINE.loss,
)
