"""The result of a comparison as a Python object: print it, plot it, save it, load it again."""

from __future__ import annotations

import csv
import json
import os
from dataclasses import dataclass, field
from io import StringIO
from pathlib import Path
from typing import TYPE_CHECKING, Any

from taylored.lab.records import from_json, to_json
from taylored.lab.results import SCHEMA, Results

if TYPE_CHECKING:
    from matplotlib.axes import Axes
    from matplotlib.figure import Figure, SubFigure

    from taylored.lab.report.table import ResultTables

RESULTS = "results.json"
FAILURES = "failures.json"


@dataclass(frozen=True)
class Comparison:
    """What a comparison of losses found.

    Args:
        results: the content of ``results.json``; `taylored.lab.results` documents it.
        folder: the run folder, if the results came from one. The versions that it records then
            appear in the report.

    A notebook shows the object as its report; `table` is for a terminal.
    """

    results: Results = field(repr=False)
    folder: Path | None = None

    @classmethod
    def load(cls, folder: str | os.PathLike[str]) -> Comparison:
        """Read the results of a finished run from its folder."""
        path = Path(folder) / RESULTS
        if not path.is_file():
            raise FileNotFoundError(
                f"folder must be the folder of a finished run, with a file {RESULTS} inside: "
                f"{str(folder)!r} has none; pass the folder that the run printed"
            )
        try:
            content = json.loads(path.read_text(encoding="utf-8"))
        except ValueError as error:
            raise ValueError(
                f"{path} must be JSON: {error}; the file was changed or cut off, run again"
            ) from error
        schema = content.get("schema") if isinstance(content, dict) else None
        if schema != SCHEMA:
            raise ValueError(
                f"{path} must be results of schema {SCHEMA}: got {schema!r}; read them with the "
                "version of taylored that wrote them"
            )
        return cls(from_json(Results, content, RESULTS), Path(folder))

    @property
    def failures(self) -> dict[str, str]:
        """Why trainings failed, by the name of the trial; it is read from the run folder."""
        path = None if self.folder is None else self.folder / FAILURES
        if path is None or not path.is_file():
            return {}
        found: dict[str, str] = json.loads(path.read_text(encoding="utf-8"))
        return found

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
        from taylored.lab.report.intervals import plot_differences

        return plot_differences(self.results, ax)

    def to_html(self, path: str | os.PathLike[str] | None = None) -> str:
        """The report as one self-contained page; also written to ``path`` if given."""
        from taylored.lab.report import render

        html = render(self.results, self.folder)
        if path is not None:
            Path(path).write_text(html, encoding="utf-8", newline="\n")
        return html

    def to_dict(self) -> dict[str, Any]:
        """The content of ``results.json`` as dictionaries, lists, text and numbers."""
        content: dict[str, Any] = to_json(self.results)
        return content

    def to_json(self) -> str:
        """The text of ``results.json``: sorted keys, the same bytes for the same results."""
        return json.dumps(self.to_dict(), sort_keys=True, indent=1, allow_nan=False)

    def to_csv(self) -> str:
        """Means and paired differences as CSV, one row per loss and metric."""
        from taylored.lab.report.table import tidy_rows

        header, rows = tidy_rows(self.results)
        text = StringIO()
        writer = csv.writer(text, lineterminator="\n")
        writer.writerow(header)
        writer.writerows(rows)
        return text.getvalue()

    def _repr_html_(self) -> str:
        # The page goes into a frame so that its style cannot leak into the notebook.
        from html import escape

        return (
            '<iframe title="Comparison of losses" sandbox style="width:100%;height:80vh;border:0" '
            f'srcdoc="{escape(self.to_html())}"></iframe>'
        )
