"""The judgement on scores of any trainer as a Python object."""

from __future__ import annotations

import json
from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Any

from taylored.lab.judgement.judge import best_of
from taylored.lab.metrics import Metric
from taylored.lab.records import to_json
from taylored.lab.results import Difference, LossResult, StatisticalTest, Verdict
from taylored.lab.tabular.frame import frame_of
from taylored.lab.tabular.markup import to_latex, to_markdown
from taylored.lab.tabular.text import to_text
from taylored.lab.wording import printable

if TYPE_CHECKING:
    from pandas import DataFrame


@dataclass(frozen=True)
class Judgement:
    """What scores say about losses, by the statistics of a comparison.

    Args:
        losses: one result per loss, the baseline first, then what it reaches for nothing.
        verdict: headline, warnings and sentences.
        metrics: the metrics that the scores allow, by key.
        primary: the metric of the verdict.
        statistics: how the differences were tested.

    ``print`` shows the verdict in words.
    """

    losses: tuple[LossResult, ...] = field(repr=False)
    verdict: Verdict = field(repr=False)
    metrics: Mapping[str, Metric] = field(repr=False)
    primary: Metric
    statistics: StatisticalTest

    def __str__(self) -> str:
        lines = [self.verdict.headline, *self.verdict.warnings, *self.verdict.sentences]
        return "\n".join(map(printable, lines))

    def difference(self, loss: str, metric: str | None = None) -> Difference:
        """The difference of a loss to the baseline, in the metric of the verdict by default."""
        found = next((each for each in self.losses if each.name == loss), None)
        if found is None:
            names = ", ".join(each.name for each in self.losses)
            raise KeyError(f"loss must be one of {names}, got {loss!r}")
        return found.against_baseline(metric or self.primary.key)

    def best(self) -> str:
        """The name of the winner, or of the best free reference where nothing beats it."""
        return best_of(self.verdict)

    def table(self, width: int = 100) -> str:
        """Metrics, differences and verdict as plain text of at most ``width`` columns."""
        return to_text(self.losses, self.metrics, self.primary, width) + f"\n{self}"

    def to_frame(self) -> DataFrame:
        """One row per loss: verdict, metrics, and the difference in the metric of the verdict."""
        return frame_of(self.losses, self.metrics, self.primary)

    def to_markdown(self) -> str:
        """The same as a table in GitHub's Markdown."""
        return to_markdown(self.losses, self.metrics, self.primary)

    def to_latex(self) -> str:
        """The same as a LaTeX tabular with the rules of the package booktabs."""
        return to_latex(self.losses, self.metrics, self.primary)

    def to_dict(self) -> dict[str, Any]:
        """Everything as dictionaries, lists, text and numbers."""
        return {
            "losses": to_json(self.losses),
            "verdict": to_json(self.verdict),
            "primary_metric": self.primary.key,
            "statistics": to_json(self.statistics),
        }

    def to_json(self) -> str:
        """The same as JSON with sorted keys."""
        return json.dumps(self.to_dict(), sort_keys=True, indent=1, allow_nan=False)
