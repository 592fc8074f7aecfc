"""What a comparison was asked to do, and on which data."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Literal

from taylored.lab.data import Group, Kind, Reading, TaskName
from taylored.lab.metrics import MetricName

Budget = Literal["default", "quick"]
TuneLearningRate = Literal["each", "cross_entropy"]
WeightDecay = float | Sequence[float] | Literal["tune"]
"""A setting, or several to choose from."""
Until = Literal["done", "decided"]
"""When a run ends: when its repeats are done, or when no loss is undecided that another repeat
could decide."""


@dataclass(frozen=True)
class RunConfig:
    """What a run was asked to do, with every default resolved.

    ``data`` is None for arrays given in Python. ``learning_rate`` is None when it is tuned, for the
    losses that ``tune_lr`` names; of several values of ``weight_decay`` one is chosen with it.
    ``looks`` counts how often the numbers of the run were, or may be, tested: once, and again after
    every growth.
    """

    losses: tuple[str, ...]
    data: str | None
    target: str | None
    reading: Reading
    model: str
    budget: Budget
    repeats: int
    until: Until
    looks: int
    seed: int
    epochs: int
    batch_size: int
    primary_metric: MetricName
    tune_lr: TuneLearningRate
    learning_rate: float | None
    optimizer: str
    weight_decay: tuple[float, ...]


@dataclass(frozen=True)
class DatasetSummary:
    """The card of the data set, its classes, and the parts that were drawn from it.

    ``train_counts`` are training samples of each class, for multi-label data positives of each
    label, when the first fold is tested. ``rows`` are the samples in each part then.
    ``tested_counts`` are the samples of each class that are tested in every repeat.
    """

    name: str
    kind: Kind
    task: TaskName
    source: str
    licence: str
    description: str
    citation: str
    samples: int
    classes: int
    largest_class: int
    smallest_class: int
    dropped: tuple[tuple[str, int], ...]
    dropped_reason: str
    notes: tuple[str, ...]
    fingerprint: str
    class_names: tuple[str, ...]
    train_counts: tuple[int, ...]
    tested_counts: tuple[int, ...]
    groups: tuple[Group, ...]
    group_rule: str
    rows: Mapping[str, int]
    split: str
