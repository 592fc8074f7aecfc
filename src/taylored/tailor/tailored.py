"""The result of `tailor`: a loss, the way to it, and its judge."""

from __future__ import annotations

import json
from collections.abc import Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import TYPE_CHECKING, Any

from taylored.analysis.drawing import canvas
from taylored.lab.comparison import compare
from taylored.lab.data import Dataset
from taylored.lab.outcome import Comparison
from taylored.lab.run.progress import ProgressMode
from taylored.lab.run_config import Budget
from taylored.tailor.numbers import Numbers

if TYPE_CHECKING:
    from matplotlib.axes import Axes
    from matplotlib.figure import Figure

RIVALS = ("poly(epsilon=2)", "logit_adjusted(tau=1)")


@dataclass(frozen=True, eq=False)
class Tailored:
    """A loss that was learned.

    Args:
        numbers: those of the loss.
        way: the numbers after each of their steps.
        seconds: how long the training took.
        dataset: the data with the split; its test rows were not looked at.
        model: the model that was trained.

    """

    numbers: Numbers
    way: tuple[Numbers, ...] = field(repr=False)
    seconds: float
    dataset: Dataset = field(repr=False)
    model: str

    @property
    def loss(self) -> str:
        """The loss as the catalogue reads it; it asks for the class counts."""
        return self.numbers.text()

    def judge(
        self,
        rivals: Sequence[str] = RIVALS,
        *,
        budget: Budget = "default",
        repeats: int | None = None,
        epochs: int | None = None,
        lr: float | None = None,
        workers: int | None = None,
        out: str | Path | None = None,
        progress: ProgressMode = "auto",
    ) -> Comparison:
        """Train with the loss and its rivals from scratch, and test on rows that it never saw.

        Cross-entropy and its adjustment after training are always there (`lab.compare`, which
        explains the arguments). Each loss gets a learning rate of its own.
        """
        return compare(
            list(dict.fromkeys([*rivals, self.loss])),
            self.dataset,
            model=self.model,
            budget=budget,
            repeats=repeats,
            epochs=epochs,
            lr=lr,
            workers=workers,
            out=out,
            progress=progress,
        )

    def to_dict(self) -> dict[str, Any]:
        """Plain dictionaries, lists, numbers and strings."""
        return {
            "loss": self.loss,
            "data": self.dataset.name,
            "model": self.model,
            "seconds": self.seconds,
            "numbers": vars(self.numbers),
            "way": [vars(each) for each in self.way],
        }

    def to_json(self) -> str:
        """The same as text."""
        return json.dumps(self.to_dict(), allow_nan=False)

    def draw(self, axes: Axes | None = None) -> tuple[Figure, Axes]:
        """The numbers along the training."""
        figure, axes = canvas(axes)
        share = [(number + 1) / len(self.way) for number in range(len(self.way))]
        for j in range(len(self.numbers.epsilon)):
            axes.plot(share, [each.epsilon[j] for each in self.way], label=f"e_{j + 1}")
        axes.plot(share, [each.tau for each in self.way], "k-", label="tau")
        axes.plot(share, [each.temperature for each in self.way], "k--", label="temperature")
        axes.set(xlabel="share of the training", ylabel="number of the loss", xlim=(0, 1))
        axes.legend(frameon=False)
        return figure, axes
