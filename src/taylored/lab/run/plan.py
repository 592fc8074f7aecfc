"""What a run is going to do, with every default resolved; it is the `config` of the results."""

from dataclasses import asdict, dataclass, fields
from typing import Any

from taylored.lab.data import TaskName
from taylored.lab.errors import UsageError
from taylored.lab.protocol import (
    OPTIMIZER,
    WEIGHT_DECAY,
    Budget,
    Metric,
    Protocol,
    TuneLearningRate,
)


@dataclass(frozen=True)
class Plan:
    """The resolved settings of a comparison; `data` is None for arrays given in Python.

    `learning_rate` is None when it is tuned, for the losses that `tune_lr` names.
    """

    losses: tuple[str, ...]
    data: str | None
    target: str | None
    model: str
    budget: Budget
    seeds: int
    seed: int
    epochs: int
    batch_size: int
    primary_metric: Metric
    tune_lr: TuneLearningRate
    learning_rate: float | None

    def to_config(self) -> dict[str, Any]:
        """JSON-ready, with the fixed parts of the protocol for the reader's benefit."""
        settings = asdict(self) | {"losses": list(self.losses)}
        return settings | {"optimizer": OPTIMIZER, "weight_decay": WEIGHT_DECAY}

    @classmethod
    def from_config(cls, config: dict[str, Any]) -> "Plan":
        """The plan that was recorded; refuses settings of another version."""
        names = {field.name for field in fields(cls)}
        if set(config) != names | {"optimizer", "weight_decay"}:
            raise UsageError(
                "resume: config.json is from another version of taylored. Start a new run."
            )
        settings = {name: config[name] for name in names}
        return cls(**settings | {"losses": tuple(config["losses"])})

    def protocol(self, task: TaskName, groups: tuple[str, ...]) -> Protocol:
        """The part that the trials need."""
        return Protocol(
            seed=self.seed,
            model=self.model,
            epochs=self.epochs,
            batch_size=self.batch_size,
            primary_metric=self.primary_metric,
            task=task,
            groups=groups,
        )
