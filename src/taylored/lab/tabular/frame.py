"""Losses as a pandas data frame, one row each."""

from collections.abc import Mapping, Sequence
from typing import TYPE_CHECKING

from taylored.lab.data.optional import require
from taylored.lab.metrics import Metric
from taylored.lab.results import Difference, LossResult

if TYPE_CHECKING:
    from pandas import DataFrame

NUMBERS = ("difference", "low", "high", "p_corrected", "probability_better", "within")
"""What a frame has of the difference to the baseline in the metric of the verdict."""


def frame_of(
    losses: Sequence[LossResult], metrics: Mapping[str, Metric], primary: Metric
) -> "DataFrame":
    """One row per loss, by name: its role and verdict, the metrics, the primary difference.

    Numbers are as in the results, accuracies between 0 and 1; missing ones are NaN.
    """
    pandas = require("pandas", extra="lab", purpose="A data frame")
    rows = []
    for loss in losses:
        plain = (loss.versus_baseline or {}).get(primary.key, Difference(None))
        free = (loss.versus_free or {}).get(primary.key, Difference(None))
        rows.append(
            {
                "role": loss.role,
                "verdict": loss.verdict,
                "learning_rate": loss.learning_rate,
                **{key: loss.metrics.get(key) for key in metrics},
                **{name: getattr(plain, name) for name in NUMBERS},
                "difference_to_free": free.difference,
            }
        )
    names = pandas.Index([loss.name for loss in losses], name="loss")
    frame: DataFrame = pandas.DataFrame(rows, index=names)
    numeric = [*metrics, "learning_rate", *NUMBERS, "difference_to_free"]
    return frame.astype(dict.fromkeys(numeric, float))
