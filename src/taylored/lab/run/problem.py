"""A dataset together with its splits: what all losses of a run are compared on."""

from dataclasses import dataclass
from typing import Any

import numpy as np
import numpy.typing as npt

from taylored.lab.data import (
    Dataset,
    class_groups,
    count_labels,
    fingerprint,
    group_rule,
    make_split,
)
from taylored.lab.errors import UsageError
from taylored.lab.protocol import streams
from taylored.lab.tasks import TASKS, Task
from taylored.lab.wording import plural_of

TRAIN, VALIDATION, TEST = 0, 1, 2


@dataclass(frozen=True, eq=False)
class Problem:
    """Data, the part of each row for each seed, and what follows from the training parts.

    Classes have as many samples in the parts of every seed. Labels nearly so: for multi-label data
    counts and groups are those of the first seed, and the groups stay the same for all.
    """

    dataset: Dataset
    parts: npt.NDArray[np.int8]
    train_counts: tuple[int, ...]
    groups: tuple[str, ...]

    @classmethod
    def draw(cls, dataset: Dataset, *, seed: int, seeds: int) -> "Problem":
        """Draw one split for each seed; a split that came with the data is used for all."""
        parts = np.stack([_parts(dataset, seed, index) for index in range(seeds)])
        labels = dataset.labels[parts[0] == TRAIN]
        counts = tuple(count_labels(labels, len(dataset.class_names)).tolist())
        return cls(dataset, parts, counts, class_groups(counts))

    @property
    def task(self) -> Task:
        """One class per sample, or any number of labels."""
        return TASKS[self.dataset.task]

    @property
    def rows(self) -> dict[str, int]:
        """Number of samples in each part."""
        train, validation, test = np.bincount(self.parts[0], minlength=3).tolist()
        return {"train": train, "validation": validation, "test": test}

    @property
    def test_fraction_ratio(self) -> float:
        """Test to training samples, or 0 for one given split: what the statistics correct for."""
        resampled = self.dataset.split is None
        return self.rows["test"] / self.rows["train"] if resampled else 0.0

    def check_metric(self, metric: str) -> None:
        """Refuse a metric of the other task, or of a group without samples to judge by."""
        task = self.task
        if metric not in task.metrics:
            raise UsageError(
                f"metric: {metric} does not exist for {task.name} data such as "
                f"{self.dataset.name}. Use one of {', '.join(task.primary_metrics)}."
            )
        if metric not in ("head", "medium", "tail"):
            return
        groups = np.array(self.groups)
        for number, name in ((VALIDATION, "validation"), (TEST, "test")):
            labels = self.dataset.labels[self.parts[0] == number]
            if metric not in groups[count_labels(labels, len(groups)) > 0]:
                raise UsageError(
                    f"metric: there are no {metric} {plural_of(task.noun)} in the {name} part. "
                    f"Use {task.fallback_metrics}."
                )

    def to_dict(self) -> dict[str, Any]:
        """The `dataset` of the results."""
        given = self.dataset.split is not None
        return self.dataset.card.to_dict() | {
            "name": self.dataset.name,
            "kind": self.dataset.kind,
            "task": self.dataset.task,
            "fingerprint": fingerprint(self.dataset),
            "class_names": list(self.dataset.class_names),
            "train_counts": list(self.train_counts),
            "groups": list(self.groups),
            "group_rule": group_rule(self.train_counts, noun=plural_of(self.task.noun)),
            "rows": self.rows,
            "split": "given with the data" if given else self.task.split,
        }


def _parts(dataset: Dataset, seed: int, index: int) -> npt.NDArray[np.int8]:
    split = make_split(dataset, streams(seed, index, "baseline").split)
    parts = np.full(len(dataset.labels), TRAIN, dtype=np.int8)
    parts[split.validation] = VALIDATION
    parts[split.test] = TEST
    return parts
