"""What results look like: text, tables, figures, pages."""

from __future__ import annotations

import os
from collections.abc import Mapping
from pathlib import Path
from typing import TYPE_CHECKING, Any

from taylored.lab.judgement.judge import best_of
from taylored.lab.metrics import Metric
from taylored.lab.records import to_json
from taylored.lab.report.written import csv_text, json_text
from taylored.lab.results import LossResult, Results
from taylored.lab.tasks import primary_of, task_of

if TYPE_CHECKING:
    from matplotlib.axes import Axes
    from matplotlib.figure import Figure, SubFigure
    from pandas import DataFrame

    from taylored.lab.report.table import ResultTables


class Shown:
    """Results in every form in which they are read.

    `folder` is the run folder, whose versions appear in the report, or None.
    """

    results: Results
    folder: Path | None

    @property
    def verdict(self) -> str:
        """The verdict as text: the headline, then one sentence per line."""
        verdict = self.results.verdict
        return "\n".join([verdict.headline, *verdict.sentences])

    def table(self, width: int = 100) -> str:
        """Means, differences and verdict as plain text of at most ``width`` columns."""
        from taylored.lab.report.table import plain

        return plain(self.results, width)

    def rich_table(self) -> ResultTables:
        """The same for a rich console: colours, and as wide as the terminal."""
        from taylored.lab.report.table import ResultTables

        return ResultTables(self.results)

    def plot(self, ax: Axes | None = None) -> tuple[Figure | SubFigure, Axes]:
        """Differences to cross-entropy in the primary metric with their 95 % intervals.

        Args:
            ax: axes to draw on; a new figure if None.

        Returns:
            The figure and the axes, in both cases.
        """
        from taylored.lab.report.figures.intervals import plot_differences

        return plot_differences(self.results, ax)

    def to_html(self, path: str | os.PathLike[str] | None = None) -> str:
        """The report as one self-contained page; also written to ``path`` if given."""
        from taylored.lab.report import render

        html = render(self.results, self.folder)
        if path is not None:
            Path(path).write_text(html, encoding="utf-8", newline="\n")
        return html

    def to_frame(self) -> DataFrame:
        """One row per loss: verdict, metrics, and the difference in the metric of the verdict.

        Example:
            >>> frame = result.to_frame()  # doctest: +SKIP
            >>> frame.sort_values("balanced_accuracy")["verdict"]  # doctest: +SKIP
        """
        from taylored.lab.tabular.frame import frame_of

        return frame_of(*self._tabulated)

    def to_markdown(self) -> str:
        """The same as a table in GitHub's Markdown, rounded as in the report."""
        from taylored.lab.tabular.markup import to_markdown

        return to_markdown(*self._tabulated)

    def to_latex(self) -> str:
        """The same as a LaTeX tabular with the rules of the package booktabs."""
        from taylored.lab.tabular.markup import to_latex

        return to_latex(*self._tabulated)

    @property
    def _tabulated(self) -> tuple[tuple[LossResult, ...], Mapping[str, Metric], Metric]:
        task = task_of(self.results)
        return self.results.losses, task.metrics, primary_of(self.results)

    def best(self) -> str:
        """The name of the winner: what to use, as far as this run shows.

        Where no loss is shown to beat what the baseline reaches for nothing, it is the name of
        that: the baseline, or the baseline with adjusted scores, such as "cross_entropy + tau 1".
        Of several winners it is the one with the largest gain; ``results.verdict.tied`` names those
        that cannot be told apart from it.
        """
        return best_of(self.results.verdict)

    def to_dict(self) -> dict[str, Any]:
        """The content of ``results.json`` as dictionaries, lists, text and numbers."""
        content: dict[str, Any] = to_json(self.results)
        return content

    def to_json(self) -> str:
        """The text of ``results.json``: sorted keys, the same bytes for the same results."""
        return json_text(self.results)

    def to_csv(self) -> str:
        """Means and paired differences as CSV, one row per loss and metric."""
        return csv_text(self.results)

    def _repr_html_(self) -> str:
        # The page goes into a frame so that its style cannot leak into the notebook.
        from html import escape

        return (
            '<iframe title="Comparison of losses" sandbox style="width:100%;height:80vh;border:0" '
            f'srcdoc="{escape(self.to_html())}"></iframe>'
        )
