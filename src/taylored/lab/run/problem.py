"""A dataset together with its folds: what all losses of a run are compared on."""

from dataclasses import dataclass

import numpy as np
import numpy.typing as npt

from taylored.lab.data import (
    FOLDS,
    GROUPS,
    TEST,
    TRAIN,
    VALIDATION,
    Dataset,
    Group,
    Labels,
    class_groups,
    count_labels,
    draw_folds,
    encode,
    fingerprint,
    group_rule,
    parts_of,
)
from taylored.lab.errors import UsageError
from taylored.lab.run_config import DatasetSummary, RunConfig
from taylored.lab.store.tested_rows import TestedRows
from taylored.lab.tasks import TASKS, Task
from taylored.lab.trial.protocol import Protocol, fold_seed
from taylored.lab.wording import plural_of


@dataclass(frozen=True, eq=False)
class Problem:
    """Data, the part of each row in every training, and what follows from the training parts.

    A class has nearly the same number of training samples in every fold; its count and its group
    are those of the first.

    Shape:
        parts (repeats * folds, N); tested (repeats, M), the fold that tests each of the rows that
        are tested at all, in ascending order.
    """

    dataset: Dataset
    parts: npt.NDArray[np.int8]
    tested: npt.NDArray[np.int64]
    train_counts: tuple[int, ...]
    groups: tuple[Group, ...]

    @classmethod
    def draw(cls, dataset: Dataset, *, seed: int, repeats: int) -> "Problem":
        """Draw the folds of each repeat; a split that came with the data is used for all."""
        if dataset.split is None:
            tested = _folds_of(dataset, seed, repeats)
            parts = np.stack([parts_of(folds, fold) for folds in tested for fold in range(FOLDS)])
        else:
            parts = np.broadcast_to(dataset.split.astype(np.int8), (repeats, len(dataset.labels)))
            tested = np.zeros((repeats, int((dataset.split == TEST).sum())), dtype=np.int64)
        labels = dataset.labels[parts[0] == TRAIN]
        counts = tuple(count_labels(labels, len(dataset.class_names)).tolist())
        return cls(dataset, np.ascontiguousarray(parts), tested, counts, class_groups(counts))

    @property
    def folds(self) -> int:
        """Models that test the rows in one repeat."""
        return len(self.parts) // len(self.tested)

    @property
    def tested_labels(self) -> Labels:
        """The labels of the rows that are tested."""
        if self.dataset.split is None:
            return self.dataset.labels
        labels: Labels = self.dataset.labels[self.dataset.split == TEST]
        return labels

    @property
    def tested_rows(self) -> TestedRows:
        """Which rows are tested, with their labels and folds, as it is kept."""
        given = self.dataset.split
        rows = (
            np.arange(len(self.dataset.labels)) if given is None else np.flatnonzero(given == TEST)
        )
        labels = self.tested_labels
        several = labels.ndim == 2
        return TestedRows(
            tuple(rows.tolist()),
            tuple(
                tuple(np.flatnonzero(row).tolist()) if several else (int(row),) for row in labels
            ),
            tuple(map(tuple, self.tested.tolist())),
        )

    def part(self, repeat: int, fold: int) -> npt.NDArray[np.int8]:
        """The part of each row in one training."""
        parts: npt.NDArray[np.int8] = self.parts[repeat * self.folds + fold]
        return parts

    @property
    def task(self) -> Task:
        """What the labels make of the data: one class per sample, or any number of labels."""
        return TASKS[self.dataset.task]

    @property
    def input_shape(self) -> tuple[int, ...]:
        """The shape of one sample as the model of the first fold sees it."""
        features, columns = self.dataset.features, self.dataset.columns
        if columns:
            features = encode(columns, features, self.parts[0] == TRAIN)
        return features.shape[1:]

    @property
    def rows(self) -> dict[str, int]:
        """Number of samples in each part when the first fold is tested."""
        train, validation, test = np.bincount(self.parts[0], minlength=3).tolist()
        return {"train": train, "validation": validation, "test": test}

    def protocol(self, config: RunConfig) -> Protocol:
        """The training protocol of a run on this data."""
        return Protocol(
            seed=config.seed,
            model=config.model,
            epochs=config.epochs,
            batch_size=config.batch_size,
            primary_metric=config.primary_metric,
            task=self.task.name,
            groups=self.groups,
            folds=self.folds,
        )

    def check_metric(self, metric: str) -> None:
        """Refuse a metric of the other task, or of a group without samples to judge by."""
        task = self.task
        if metric not in task.metrics:
            raise UsageError(
                f"metric: {metric} does not exist for {task.name} data such as "
                f"{self.dataset.name}. Use one of {', '.join(task.primary_metrics)}."
            )
        if metric not in GROUPS:
            return
        groups = np.array(self.groups)
        for number, name in ((VALIDATION, "validation"), (TEST, "test")):
            labels = self.dataset.labels[self.parts[0] == number]
            if metric not in groups[count_labels(labels, len(groups)) > 0]:
                raise UsageError(
                    f"metric: there are no {metric} {plural_of(task.noun)} in the {name} part. "
                    f"Use {task.fallback_metrics}."
                )

    def summary(self) -> DatasetSummary:
        """What the results say about the data."""
        dataset = self.dataset
        classes = len(dataset.class_names)
        return DatasetSummary(
            **vars(dataset.card),
            name=dataset.name,
            kind=dataset.kind,
            task=dataset.task,
            fingerprint=fingerprint(dataset),
            class_names=dataset.class_names,
            train_counts=self.train_counts,
            tested_counts=tuple(count_labels(self.tested_labels, classes).tolist()),
            groups=self.groups,
            group_rule=group_rule(self.train_counts, noun=plural_of(self.task.noun)),
            rows=self.rows,
            split=self.task.split if dataset.split is None else "given with the data",
        )


def _folds_of(dataset: Dataset, seed: int, repeats: int) -> npt.NDArray[np.int64]:
    return np.stack([draw_folds(dataset, fold_seed(seed, repeat)) for repeat in range(repeats)])


def problem_of(dataset: Dataset, config: RunConfig) -> Problem:
    """The problem of a run, with the repeat that it may add for what is still undecided."""
    more = int(config.until == "decided")
    return Problem.draw(dataset, seed=config.seed, repeats=config.repeats + more)
