"""What a saved model says about itself, as JSON."""

from collections.abc import Mapping
from dataclasses import dataclass

from taylored.lab.data import Column, Kind, Reading, TaskName
from taylored.lab.decision_rule import DecisionRule


@dataclass(frozen=True)
class Encoding:
    """How the columns of a table become numbers, as it was learnt from the training rows.

    `medians` stand for missing numbers; `indicated` are the numbers, by position among the numbers,
    that have a column saying so. For every category `kept` has the positions of the texts with a
    column of their own, and `rest` says whether the others share one.
    """

    medians: tuple[float, ...]
    indicated: tuple[int, ...]
    kept: tuple[tuple[float, ...], ...]
    rest: tuple[bool, ...]


@dataclass(frozen=True)
class ModelCard:
    """What a saved model is, and how its outputs are read.

    `input_shape` is one row after encoding, `read_shape` one row as it is read. `counts` are the
    training rows of each class, `reading` are the options that the data were read with. `metrics`
    are those that the comparison measured for the loss on rows that its models had not seen; the
    model itself was not tested.
    """

    taylored: str
    loss: str
    rule: DecisionRule
    link: str
    learning_rate: float
    weight_decay: float
    epochs: int
    model: str
    head: str
    input_shape: tuple[int, ...]
    read_shape: tuple[int, ...]
    data: str
    kind: Kind
    task: TaskName
    class_names: tuple[str, ...]
    counts: tuple[int, ...]
    rows: int
    columns: tuple[Column, ...]
    reading: Reading
    encoding: Encoding | None
    metrics: Mapping[str, float | None]
