"""X-rays along whole trainings, on data of the lab."""

from __future__ import annotations

import json
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from functools import partial
from pathlib import Path
from typing import TYPE_CHECKING, Any, Final

from taylored.core.plan.options import LinkName
from taylored.lab.data import TRAIN, Dataset, Group, TaskName, group_rule, load
from taylored.lab.errors import UsageError
from taylored.lab.run.budget import batch_size_for
from taylored.lab.run.checks import check_learning_rate
from taylored.lab.run.problem import Problem
from taylored.lab.tasks import TASKS
from taylored.lab.trial.build_loss import build_loss
from taylored.lab.trial.links import link_of, require_sigmoid
from taylored.lab.trial.models import choose_model
from taylored.lab.trial.protocol import Protocol
from taylored.lab.trial.train import make_parts
from taylored.lab.wording import plural_of
from taylored.xray.asked import options_of
from taylored.xray.moment import Moment
from taylored.xray.watched import watched

if TYPE_CHECKING:
    import numpy as np
    from matplotlib.figure import Figure

MOMENTS: Final = (0.05, 0.2, 0.5, 1.0)
EPOCHS: Final = 6
RATE: Final = 0.01
LOSSES: Final[Mapping[TaskName, tuple[str, ...]]] = {
    "single-label": ("cross_entropy", "balanced_softmax"),
    "multi-label": ("binary_cross_entropy", "asymmetric"),
}
"""What is looked at where the user names no loss."""


@dataclass(frozen=True, eq=False)
class TrainingXRay:
    """Moments of a training with each loss.

    Args:
        data: name of the data.
        task: one class per row, or any number of labels.
        groups: group of every class.
        class_names: name of every class.
        counts: training samples of every class.
        moments: those of each loss, by its text, in the order of time.

    """

    data: str
    task: TaskName
    groups: tuple[Group, ...]
    class_names: tuple[str, ...]
    counts: tuple[int, ...]
    moments: dict[str, tuple[Moment, ...]]

    def to_dict(self) -> dict[str, Any]:
        """Plain dictionaries, lists, numbers and strings."""
        return {
            "data": self.data,
            "task": self.task,
            "group_rule": group_rule(self.counts, noun=plural_of(TASKS[self.task].noun)),
            "groups": list(self.groups),
            "class_names": list(self.class_names),
            "counts": list(self.counts),
            "losses": {
                name: [each.to_dict() for each in moments] for name, moments in self.moments.items()
            },
        }

    def to_json(self) -> str:
        """The same as text."""
        return json.dumps(self.to_dict(), allow_nan=False)

    def draw(self) -> tuple[Figure, np.ndarray[Any, Any]]:
        """What validation wants of p, over p: a row for each loss, a column for each moment."""
        from taylored.xray.drawing import drawn

        return drawn(self)


def xray_training(
    losses: Sequence[str] | None = None,
    data: str | Path = "kanjivg-strokes",
    *,
    target: str | None = None,
    model: str = "auto",
    moments: Sequence[float] = MOMENTS,
    epochs: int = EPOCHS,
    learning_rate: float = RATE,
    seed: int = 0,
) -> TrainingXRay:
    """Train with each loss and look, at chosen moments, where validation wants more or less push.

    The trainings are those of `lab.compare`: the first fold, AdamW with cosine decay, the same
    weights and batches for every loss. A moment takes the X-ray (`xray`) of one step of plain
    gradient descent over the training part, judged by the validation part. For losses of the
    softmax link the judge is the mean over the classes of their mean cross-entropy, the loss behind
    balanced accuracy; for those of the sigmoid link the mean over the labels of their cross-entropy
    per positive, in which rare labels count as frequent ones do. The training goes on as if nobody
    had looked. Parts of more than 65,536 rows are sampled, and looked at piece by piece.

    Args:
        losses: catalogue texts of one link, or names of your own code ("path/file.py:MyLoss");
            counts are those of the training part. None is two usual ones of the task.
        data: a built-in name or a path.
        target: the column of the classes, for tables.
        model: "auto", "linear", "mlp", "cnn" or "grid_cnn".
        moments: shares of the training, in (0, 1], rising.
        epochs: passes over the training part.
        learning_rate: that of AdamW at the start, and of the step that is looked at.
        seed: where all randomness starts.

    Returns:
        `TrainingXRay`, with `to_dict()`, `to_json()` and `draw()`.

    Raises:
        UsageError: for moments out of range, losses of both links, the softmax link where rows have
            many labels, or a loss that is unknown or has no X-ray.

    """
    if losses is not None and (not losses or len(set(losses)) < len(losses)):
        raise UsageError("losses: give one or several different catalogue texts.")
    if list(moments) != sorted(set(moments)) or not all(0 < each <= 1 for each in moments):
        raise UsageError(f"moments must be rising shares of a training in (0, 1], got {moments}.")
    if not moments or epochs < 1:
        raise UsageError("moments and epochs: at least one of each.")
    check_learning_rate(learning_rate)
    dataset = load(data, target=target)
    problem = Problem.draw(dataset, seed=seed, repeats=1)
    losses = LOSSES[dataset.task] if losses is None else losses
    _check_losses(losses, dataset, problem)  # before any training
    parts = make_parts(dataset.features, dataset.labels, problem.part(0, 0), dataset.columns)
    protocol = Protocol(
        seed=seed,
        model=choose_model(model, dataset.kind, dataset.task),
        epochs=epochs,
        batch_size=batch_size_for(len(parts.train.labels), dataset.task),
        primary_metric=TASKS[dataset.task].default_metric,
        task=dataset.task,
        groups=problem.groups,
        folds=problem.folds,
    )
    watch = partial(
        watched,
        protocol=protocol,
        parts=parts,
        counts=problem.train_counts,
        moments=moments,
        rate=learning_rate,
    )
    return TrainingXRay(
        data=dataset.name,
        task=dataset.task,
        groups=problem.groups,
        class_names=dataset.class_names,
        counts=problem.train_counts,
        moments={loss: watch(loss) for loss in losses},
    )


def _check_losses(losses: Sequence[str], dataset: Dataset, problem: Problem) -> None:
    """Refuse losses that have no X-ray on these data, or whose validation losses differ."""
    rows = int((problem.part(0, 0) == TRAIN).sum())
    build = partial(build_loss, counts=problem.train_counts, num_samples=rows)
    links: dict[LinkName, str] = {}
    for name in losses:
        loss = build(name)
        if dataset.task == "multi-label":
            require_sigmoid(name, loss, build)
        link: LinkName = "sigmoid" if link_of(loss, dataset.task) == "sigmoid" else "softmax"
        try:
            options_of(loss, link)
        except ValueError as error:
            raise UsageError(f"loss {name!r}: {error}") from error
        links.setdefault(link, name)
    if len(links) == 2:
        raise UsageError(
            f"losses: {links['softmax']} has the softmax link and {links['sigmoid']} the sigmoid "
            "link, and the validation losses of the two cannot be compared. Take two X-rays."
        )
