"""The losses by themselves: the metrics that their scores allow."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass

import numpy as np
from torch import Tensor

from taylored.lab.data import Group
from taylored.lab.judgement.describe import Described, describe
from taylored.lab.judgement.free import free_references
from taylored.lab.judgement.trained import Trained
from taylored.lab.measures import Measured, measure
from taylored.lab.metrics import Metric
from taylored.lab.results import LossResult
from taylored.lab.scores.read import Read
from taylored.lab.tasks import Task
from taylored.lab.trial_result import Role


@dataclass(frozen=True, eq=False)
class Setting:
    """What is known about the scores: their metrics, groups and priors."""

    read: Read
    task: Task
    primary: Metric
    groups: tuple[Group, ...] = ()
    priors: Tensor | None = None

    def described(self, names: Sequence[str]) -> list[Described]:
        """The losses by themselves, the baseline first, then what it reaches for nothing."""
        read, task = self.read, self.task
        if read.numbers:
            return [self._of_number(name, _role(name, task)) for name in names]
        losses = [
            Trained(name, _role(name, task), None, None, None, (), read.tested[name])
            for name in names
        ]
        if read.form != "logits" or self.priors is None:
            return [self._as_they_are(loss) for loss in losses]
        free = free_references(losses[0], self.priors, self.primary, self.groups)
        ordered = [losses[0], *free, *losses[1:]]
        return [describe(loss, self.priors, task, self.groups) for loss in ordered]

    def _of_number(self, name: str, role: Role) -> Described:
        numbers = self.read.numbers[name]
        found = Measured(float(numbers.mean()), numbers[:, None])
        trained = Trained(name, role, None, None, None, (), None)
        return _described(trained, {self.primary.key: found})

    def _as_they_are(self, loss: Trained) -> Described:
        assert loss.tested is not None  # noqa: S101 - rows were given
        return _described(loss, measure(loss.tested, self.groups, [*self.task.metrics]))


def _described(trained: Trained, measures: Mapping[str, Measured]) -> Described:
    values = {key: found.by_fold[~np.isnan(found.by_fold)] for key, found in measures.items()}
    result = LossResult(
        name=trained.name,
        role=trained.role,
        gain=None,
        formula=None,
        learning_rate=None,
        trials=(),
        diverged=0,
        metrics={key: found.value for key, found in measures.items()},
        spread={k: float(v.std(ddof=1)) if len(v) > 1 else None for k, v in values.items()},
        class_scores=(),
    )
    return Described(trained, measures, result)


def _role(name: str, task: Task) -> Role:
    return "baseline" if name == task.baseline else "candidate"
