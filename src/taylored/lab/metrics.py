"""The metrics that a comparison reports: their names, and how their numbers are written."""

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Final, Literal

from taylored.lab.wording import MISSING

MetricName = Literal[
    "balanced_accuracy",
    "accuracy",
    "mean_average_precision",
    "micro_average_precision",
    "head",
    "medium",
    "tail",
    "macro_f1",
    "mcc",
    "auroc",
    "average_precision",
    "nll",
]
"""Key of a metric that a user may judge by. All metrics but the calibration error are: a model that
has learnt nothing has almost no calibration error."""


@dataclass(frozen=True)
class Metric:
    """One reported number: its key in the results, its names, and how it is written.

    Accuracies and the calibration error are shown in percent (``scale`` 100), their differences in
    percentage points; ``direction`` is +1 where more is better and -1 where less is.
    """

    key: str
    label: str
    short: str
    scale: int
    digits: int
    direction: int

    def value(self, number: float | None) -> str:
        """Text of a value, for instance ``"61.2"`` for an accuracy of 0.612."""
        return MISSING if number is None else f"{number * self.scale:.{self.digits}f}"

    def difference(self, number: float | None) -> str:
        """Text of a difference with its sign, without unit."""
        if number is None:
            return MISSING
        rounded = round(number * self.scale, self.digits)
        # A plain format would write "-0.0" for a tiny negative number.
        return f"{rounded + 0.0:+.{self.digits}f}" if rounded else f"{0.0:.{self.digits}f}"

    def points(self, number: float | None) -> str:
        """Text of a difference with its sign and unit."""
        return MISSING if number is None else self.difference(number) + self.unit

    @property
    def unit(self) -> str:
        """``" points"`` for percentages, nothing for the rest."""
        return " points" if self.scale == 100 else ""


def _by_key(*metrics: Metric) -> dict[str, Metric]:
    return {metric.key: metric for metric in metrics}


SINGLE_LABEL_METRICS: Final[Mapping[str, Metric]] = _by_key(
    Metric("balanced_accuracy", "balanced accuracy", "balanced", 100, 1, +1),
    Metric("accuracy", "overall accuracy", "overall", 100, 1, +1),
    Metric("head", "head accuracy", "head", 100, 1, +1),
    Metric("medium", "medium accuracy", "medium", 100, 1, +1),
    Metric("tail", "tail accuracy", "tail", 100, 1, +1),
    Metric("macro_f1", "macro F1", "F1", 100, 1, +1),
    Metric("mcc", "Matthews correlation", "MCC", 1, 3, +1),
    Metric("auroc", "area under the ROC curve", "AUROC", 100, 1, +1),
    Metric("average_precision", "average precision", "AP", 100, 1, +1),
    Metric("nll", "negative log-likelihood", "NLL", 1, 3, -1),
    Metric("ece", "calibration error", "ECE", 100, 1, -1),
)
"""The metrics of one class per sample by key, in the order in which tables show them."""

MULTI_LABEL_METRICS: Final[Mapping[str, Metric]] = _by_key(
    Metric("mean_average_precision", "mean average precision", "mAP", 100, 1, +1),
    Metric("micro_average_precision", "micro average precision", "micro", 100, 1, +1),
    Metric("head", "head average precision", "head", 100, 1, +1),
    Metric("medium", "medium average precision", "medium", 100, 1, +1),
    Metric("tail", "tail average precision", "tail", 100, 1, +1),
    Metric("auroc", "area under the ROC curve", "AUROC", 100, 1, +1),
    # Most elements are clear negatives, so both numbers are small and need one digit more.
    Metric("nll", "binary negative log-likelihood", "NLL", 1, 4, -1),
    Metric("ece", "calibration error", "ECE", 100, 2, -1),
)
"""The metrics of many labels per sample by key, in the order in which tables show them."""

CONFUSION_METRICS: Final[Mapping[str, Metric]] = _by_key(
    Metric("macro_f1", "macro F1", "F1", 100, 1, +1),
    Metric("mcc", "Matthews correlation", "MCC", 1, 3, +1),
)
"""The metrics of the confusion matrix of one class per sample."""

RANKING_METRICS: Final[Mapping[str, Metric]] = _by_key(
    Metric("auroc", "area under the ROC curve", "AUROC", 100, 1, +1),
    Metric("average_precision", "average precision", "AP", 100, 1, +1),
)
"""The metrics of the order of scores, which need no threshold and no choice of prior."""
