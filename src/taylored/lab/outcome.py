"""The result of a comparison as a Python object: print it, plot it, save it, load it again."""

from __future__ import annotations

import json
import os
from collections.abc import Mapping
from dataclasses import dataclass, field
from pathlib import Path
from typing import TYPE_CHECKING, Any

from taylored.lab.errors import UsageError
from taylored.lab.judgement.judge import best_of
from taylored.lab.metrics import Metric
from taylored.lab.model.train import Given, save_model
from taylored.lab.records import from_json, to_json
from taylored.lab.report.written import FAILURES, RESULTS, TIMINGS, csv_text, json_text
from taylored.lab.results import SCHEMA, LossResult, Results
from taylored.lab.run.grow import read_again
from taylored.lab.run.progress import Reporter
from taylored.lab.run.sources import Source
from taylored.lab.store.folder import RunFolder
from taylored.lab.tasks import primary_of, task_of
from taylored.lab.trial.protocol import TrialSpec

if TYPE_CHECKING:
    from matplotlib.axes import Axes
    from matplotlib.figure import Figure, SubFigure
    from pandas import DataFrame

    from taylored.lab.report.table import ResultTables


@dataclass(frozen=True)
class Comparison:
    """What a comparison of losses found.

    Args:
        results: the content of ``results.json``; `taylored.lab.results` documents it.
        folder: the run folder, if the results came from one. The versions that it records then
            appear in the report.
        given: the data and objects that it was made of, where it was made in this session.

    A notebook shows the object as its report; `table` is for a terminal.
    """

    results: Results = field(repr=False)
    folder: Path | None = None
    given: Given | None = field(default=None, repr=False, compare=False)

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

    def seconds(self) -> dict[str, float]:
        """Seconds that an epoch took with each loss, a mean over its trainings.

        They are times of one thread on a machine that may have been busy: no benchmark.
        """
        times = self._from_folder(TIMINGS)["trials"]
        epochs = self.results.config.epochs
        found = {}
        for loss in self.results.losses:
            ids = [TrialSpec.of(trial).id for trial in loss.worked]
            known = [times[each] for each in ids if each in times]
            if known:
                found[loss.name] = sum(known) / len(known) / epochs
        return found

    def predictions(self) -> DataFrame:
        """What the models said about every row that they had not seen, from the run folder.

        One row per row of the data (``row``, counted from 0 in the order in which they were read)
        and repeat, with the ``fold`` that tested it and its ``label``; for every loss the class
        that was ``predicted`` and ``p``, the probability of the truth by what the loss knows of its
        outputs. With many labels per row there is one row per label, with ``truth`` 0 or 1.
        """
        from taylored.lab.tabular.predictions import predictions_of

        return predictions_of(self.results, self._folder)

    def save_model(
        self,
        path: str | os.PathLike[str],
        loss: str | None = None,
        data: Source | None = None,
    ) -> Path:
        """Train the best loss once more, on all rows, and save a model that can be used.

        It is trained with its own learning rate, as in the comparison; of data that came with a
        split, on the training part. The file has the weights, how rows are read and encoded, the
        names of the classes, and how outputs are read: the loss, and the adjustment of scores where
        that is what won. `lab.load_model` reads it; `taylored.lab.model.saved` says what it can do.

        Args:
            path: the file.
            loss: the name of a loss in the results, or of the baseline after an adjustment; by
                default that of `best`.
            data: where the data are now; by default those that the comparison was made on.

        Returns:
            The path.

        Raises:
            UsageError: for a loss that is not in the results, for other data, and where a loss or
                model was given in Python and is no longer there.

        Example:
            >>> result.save_model("winner.model")  # doctest: +SKIP
            >>> model = lab.load_model("winner.model")  # doctest: +SKIP
            >>> model.predict(new_rows), model.posterior(new_rows)  # doctest: +SKIP
        """
        target = Path(path).expanduser()
        save_model(self.results, self.best() if loss is None else loss, self._given(data), target)
        return target

    def _given(self, data: Source | None) -> Given:
        """The data, read again where they are not at hand, and the objects."""
        objects = {} if self.given is None else self.given.objects
        if data is None and self.given is not None:
            return self.given
        record = RunFolder.open(self._folder).read_record()
        with Reporter("off") as reporter:
            return Given(read_again(data, record, self._folder, reporter), objects)

    @property
    def _folder(self) -> Path:
        if self.folder is None:
            raise UsageError(
                "this comparison has no run folder, which holds what is asked for. "
                "Load it with lab.Comparison.load(folder)."
            )
        return self.folder

    def _from_folder(self, name: str) -> dict[str, Any]:
        try:
            found: dict[str, Any] = json.loads((self._folder / name).read_text(encoding="utf-8"))
        except (OSError, ValueError) as error:
            raise UsageError(f"{self._folder / name} cannot be read ({error}).") from error
        return found

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
