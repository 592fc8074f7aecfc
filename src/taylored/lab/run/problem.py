"""A dataset together with its splits: what all losses of a run are compared on."""

from dataclasses import dataclass

import numpy as np
import numpy.typing as npt

from taylored.lab.data import (
    GROUPS,
    TEST,
    TRAIN,
    VALIDATION,
    Dataset,
    Group,
    class_groups,
    count_labels,
    encode,
    fingerprint,
    group_rule,
    make_split,
)
from taylored.lab.errors import UsageError
from taylored.lab.results import DatasetSummary, RunConfig
from taylored.lab.tasks import TASKS, Task
from taylored.lab.trial.protocol import Protocol, streams
from taylored.lab.wording import plural_of


@dataclass(frozen=True, eq=False)
class Problem:
    """Data, the part of each row for each seed, and what follows from the training parts.

    A class has the same number of training samples in every seed. A label of multi-label data has
    nearly the same number; its count and its group are those of the first seed.
    """

    dataset: Dataset
    parts: npt.NDArray[np.int8]
    train_counts: tuple[int, ...]
    groups: tuple[Group, ...]

    @classmethod
    def draw(cls, dataset: Dataset, *, seed: int, seeds: int) -> "Problem":
        """Draw one split for each seed; a split that came with the data is used for all."""
        parts = np.stack([_parts_of(dataset, seed, index) for index in range(seeds)])
        labels = dataset.labels[parts[0] == TRAIN]
        counts = tuple(count_labels(labels, len(dataset.class_names)).tolist())
        return cls(dataset, parts, counts, class_groups(counts))

    @property
    def task(self) -> Task:
        """What the labels make of the data: one class per sample, or any number of labels."""
        return TASKS[self.dataset.task]

    @property
    def input_shape(self) -> tuple[int, ...]:
        """The shape of one sample as the model of the first seed sees it."""
        features, columns = self.dataset.features, self.dataset.columns
        if columns:
            features = encode(columns, features, self.parts[0] == TRAIN)
        return features.shape[1:]

    @property
    def rows(self) -> dict[str, int]:
        """Number of samples in each part."""
        train, validation, test = np.bincount(self.parts[0], minlength=3).tolist()
        return {"train": train, "validation": validation, "test": test}

    @property
    def test_fraction_ratio(self) -> float:
        """Test samples per training sample, which the statistics correct for.

        It is 0 for a given split: all seeds share it, so nothing is resampled.
        """
        resampled = self.dataset.split is None
        return self.rows["test"] / self.rows["train"] if resampled else 0.0

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
        return DatasetSummary(
            **vars(dataset.card),
            name=dataset.name,
            kind=dataset.kind,
            task=dataset.task,
            fingerprint=fingerprint(dataset),
            class_names=dataset.class_names,
            train_counts=self.train_counts,
            groups=self.groups,
            group_rule=group_rule(self.train_counts, noun=plural_of(self.task.noun)),
            rows=self.rows,
            split=self.task.split if dataset.split is None else "given with the data",
        )


def _parts_of(dataset: Dataset, seed: int, index: int) -> npt.NDArray[np.int8]:
    split = make_split(dataset, streams(seed, index, "baseline").split)
    parts = np.full(len(dataset.labels), TRAIN, dtype=np.int8)
    parts[split.validation] = VALIDATION
    parts[split.test] = TEST
    return parts
