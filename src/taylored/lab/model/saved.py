"""A model that was saved: it reads rows as its data were read, predicts and exports."""

from __future__ import annotations

import os
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import numpy as np
import numpy.typing as npt
import torch
from torch import Tensor

from taylored.lab.errors import UsageError
from taylored.lab.model.card import ModelCard
from taylored.lab.model.decision import Deployed
from taylored.lab.model.onnx_program import write_onnx
from taylored.lab.model.rows import read_rows

_AT_ONCE = 2048


@dataclass(frozen=True, eq=False)
class SavedModel:
    """A trained model with everything that it takes to use it.

    Args:
        card: what it is: loss, rule of the decision, data, classes.
        module: a torch module from rows as they were read, float64, to scores and probabilities.
    """

    card: ModelCard
    module: Deployed = field(repr=False)

    def __repr__(self) -> str:
        card, rule = self.card, self.card.rule
        how = "" if rule.kind == "as it is" else f", {rule.kind} by tau {rule.tau:g}"
        return (
            f"SavedModel({card.model} trained with {card.loss}{how} on {card.data}: "
            f"{card.rows:,} rows, {len(card.class_names):,} classes)"
        )

    @property
    def classes(self) -> tuple[str, ...]:
        """The names of the classes, or labels, in the order of the columns."""
        return self.card.class_names

    def predict(self, rows: Any) -> npt.NDArray[Any]:
        """The class of each row; for many labels 0 or 1 for each.

        It decides as the comparison did, by the scores of the loss and its adjustment: with a loss
        that moves scores towards rare classes it need not be the most probable class.

        Args:
            rows: as the data of the comparison: for a table a data frame, a list of dictionaries or
                the path of a file; an array of vectors or images; or a list of images, by path or
                from Pillow.

        Shape:
            Returns (N,) names; for many labels (N, labels), 0 or 1.
        """
        scores, _ = self._run(rows)
        if self.card.task == "multi-label":
            decided: npt.NDArray[Any] = (scores > 0).to(torch.int8).numpy()
        else:
            decided = np.array(self.classes, dtype=object)[scores.argmax(1).numpy()]
        return decided

    def posterior(self, rows: Any) -> npt.NDArray[np.float32]:
        """Probabilities of the classes for data with the class frequencies of the training data.

        What the loss does to them is undone where it is known in closed form. They are not
        recalibrated.

        Shape:
            Returns (N, classes).
        """
        return self._run(rows)[1].numpy()

    def export(self, path: str | os.PathLike[str]) -> Path:
        """Write the module as a program: a ``.pt2`` of torch.export, or an ``.onnx``.

        The program takes rows as numbers in float64, as they are read: for a table its columns,
        with NaN for missing values and the position in ``card.columns[i].levels`` for a category.
        Returned are scores and probabilities. Any number of rows from 1 on may be given.
        """
        target = Path(path).expanduser()
        if target.suffix not in (".pt2", ".onnx"):
            raise UsageError(f"path must end in .pt2 or .onnx, got {target.name!r}.")
        example = torch.zeros(2, *self.card.read_shape, dtype=torch.float64)
        rows = {0: torch.export.Dim("rows", min=1)}
        program = torch.export.export(self.module, (example,), dynamic_shapes=(rows,))
        try:
            if target.suffix == ".pt2":
                torch.export.save(program, target)
            else:
                write_onnx(program, target)
        except OSError as error:
            raise UsageError(f"path: {target} cannot be written ({error}).") from error
        return target

    @torch.no_grad()
    def _run(self, rows: Any) -> tuple[Tensor, Tensor]:
        read = torch.from_numpy(read_rows(rows, self.card))
        found = [self.module(part) for part in torch.split(read, _AT_ONCE)]
        if not found:
            empty = torch.empty(0, len(self.classes))
            return empty, empty
        scores, probabilities = zip(*found, strict=True)
        return torch.cat(scores), torch.cat(probabilities)
