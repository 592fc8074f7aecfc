"""The result of a comparison as a Python object: load it, ask its run folder, save its winner."""

from __future__ import annotations

import json
import os
from dataclasses import dataclass, field
from pathlib import Path
from typing import TYPE_CHECKING, Any

from taylored.lab.errors import UsageError
from taylored.lab.model.train import Given, save_model
from taylored.lab.records import from_json
from taylored.lab.report.written import FAILURES, RESULTS, TIMINGS
from taylored.lab.results import SCHEMA, Results
from taylored.lab.run.grow import read_again
from taylored.lab.run.progress import Reporter
from taylored.lab.run.sources import Source
from taylored.lab.shown import Shown
from taylored.lab.store.folder import RunFolder
from taylored.lab.trial.protocol import TrialSpec

if TYPE_CHECKING:
    from pandas import DataFrame


@dataclass(frozen=True)
class Comparison(Shown):
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
