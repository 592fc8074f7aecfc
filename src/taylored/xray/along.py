"""X-rays along whole trainings, on data of the lab."""

from __future__ import annotations

import json
from collections.abc import Sequence
from dataclasses import dataclass
from functools import partial
from pathlib import Path
from typing import TYPE_CHECKING, Any, Final

import torch
import torch.nn.functional as F
from torch import Tensor

from taylored.lab.data import TRAIN, Group, count_labels, group_rule, load
from taylored.lab.errors import RunError, UsageError
from taylored.lab.run.budget import batch_size_for
from taylored.lab.run.checks import check_learning_rate
from taylored.lab.run.problem import Problem
from taylored.lab.tasks import SINGLE_LABEL
from taylored.lab.trial.build_loss import build_loss
from taylored.lab.trial.models import choose_model
from taylored.lab.trial.prepare import prepare_trial
from taylored.lab.trial.protocol import Protocol, TrialSpec, streams
from taylored.lab.trial.train import Diverged, Part, Parts, fit, make_parts
from taylored.lab.trial.watched_loss import WatchedLoss
from taylored.xray.moment import Moment, moment_of
from taylored.xray.one_step import xray
from taylored.xray.truth import check_loss

if TYPE_CHECKING:
    import numpy as np
    from matplotlib.figure import Figure

MOMENTS: Final = (0.05, 0.2, 0.5, 1.0)
EPOCHS: Final = 6
RATE: Final = 0.01
MOST_ROWS: Final = 2**16
"""Rows of each part that a moment looks at."""


@dataclass(frozen=True, eq=False)
class TrainingXRay:
    """Moments of a training with each loss.

    Args:
        data: name of the data.
        groups: group of every class.
        class_names: name of every class.
        counts: training samples of every class.
        moments: those of each loss, by its text, in the order of time.

    """

    data: str
    groups: tuple[Group, ...]
    class_names: tuple[str, ...]
    counts: tuple[int, ...]
    moments: dict[str, tuple[Moment, ...]]

    def to_dict(self) -> dict[str, Any]:
        """Plain dictionaries, lists, numbers and strings."""
        return {
            "data": self.data,
            "group_rule": group_rule(self.counts),
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
    losses: Sequence[str],
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
    gradient descent over the training part, judged by the validation part: by the mean over the
    classes of their mean cross-entropy, the loss behind balanced accuracy. The training goes on as
    if nobody had looked. Parts of more than 65,536 rows are sampled.

    Args:
        losses: catalogue texts of the softmax link, or names of your own code
            ("path/file.py:MyLoss"); counts are those of the training part.
        data: a built-in name or a path, with one class per row.
        target: the column of the classes, for tables.
        model: "auto", "linear", "mlp", "cnn" or "grid_cnn".
        moments: shares of the training, in (0, 1], rising.
        epochs: passes over the training part.
        learning_rate: that of AdamW at the start, and of the step that is looked at.
        seed: where all randomness starts.

    Returns:
        `TrainingXRay`, with `to_dict()`, `to_json()` and `draw()`.

    Raises:
        UsageError: for data with many labels per row, moments out of range, or a loss that is
            unknown or has no X-ray.

    """
    if not losses or len(set(losses)) < len(losses):
        raise UsageError("losses: give one or several different catalogue texts.")
    if list(moments) != sorted(set(moments)) or not all(0 < each <= 1 for each in moments):
        raise UsageError(f"moments must be rising shares of a training in (0, 1], got {moments}.")
    if not moments or epochs < 1:
        raise UsageError("moments and epochs: at least one of each.")
    check_learning_rate(learning_rate)
    dataset = load(data, target=target)
    if dataset.task != "single-label":
        raise UsageError(f"data: {dataset.name} has many labels per row; use one class per row.")
    problem = Problem.draw(dataset, seed=seed, repeats=1)
    part = problem.part(0, 0)
    parts = make_parts(dataset.features, dataset.labels, part, dataset.columns)
    rows = len(parts.train.labels)
    protocol = Protocol(
        seed=seed,
        model=choose_model(model, dataset.kind, dataset.task),
        epochs=epochs,
        batch_size=batch_size_for(rows, dataset.task),
        primary_metric=SINGLE_LABEL.default_metric,
        task=dataset.task,
        groups=problem.groups,
        folds=problem.folds,
    )
    counts = tuple(count_labels(dataset.labels[part == TRAIN], len(problem.groups)).tolist())
    for loss in losses:  # before any training
        try:
            check_loss(build_loss(loss, counts))
        except ValueError as error:
            raise UsageError(f"loss {loss!r}: {error}") from error
    watch = partial(_watched, protocol=protocol, parts=parts, counts=counts, moments=moments,
                    rate=learning_rate)  # fmt: skip
    return TrainingXRay(
        data=dataset.name,
        groups=problem.groups,
        class_names=dataset.class_names,
        counts=counts,
        moments={loss: watch(loss) for loss in losses},
    )


def class_mean(classes: int) -> Any:
    """Mean over the classes that are there of their mean cross-entropy."""

    def loss(logits: Tensor, target: Tensor) -> Tensor:
        counts = torch.bincount(target, minlength=classes).to(logits.dtype)
        weight = torch.where(counts > 0, 1.0 / counts.clamp(min=1), 0.0)
        return F.cross_entropy(logits, target, weight=weight)

    return loss


def sample(part: Part, generator: torch.Generator, most: int) -> tuple[Tensor, Tensor]:
    """At most so many rows of a part."""
    if len(part.labels) <= most:
        return part.features, part.labels
    rows = torch.randperm(len(part.labels), generator=generator)[:most]
    return part.features[rows], part.labels[rows]


def _watched(
    loss: str,
    *,
    protocol: Protocol,
    parts: Parts,
    counts: Sequence[int],
    moments: Sequence[float],
    rate: float,
) -> tuple[Moment, ...]:
    """The moments of one training."""
    spec = TrialSpec(loss, "candidate", repeat=0, fold=0, learning_rate=rate)
    source = streams(protocol.seed, 0, 0)
    prepared = prepare_trial(
        protocol,
        spec,
        source,
        input_shape=parts.train.features.shape[1:],
        counts=counts,
        num_samples=len(parts.train.labels),
    )
    generator = torch.Generator().manual_seed(source.batches)
    train, validation = (
        sample(part, generator, MOST_ROWS) for part in (parts.train, parts.validation)
    )
    judge = class_mean(len(protocol.groups))
    rows = len(parts.train.labels)
    steps = protocol.epochs * (rows // min(protocol.batch_size, rows))
    wanted = {max(1, round(each * steps)): each for each in moments}
    found: list[Moment] = []
    step = 0

    def beat() -> None:
        nonlocal step
        step += 1
        if step not in wanted:
            return
        seen = xray(
            prepared.model,
            prepared.loss,
            train,
            validation,
            learning_rate=rate,
            validation_loss=judge,
            groups=protocol.groups,
        )
        with torch.no_grad():
            value = float(judge(prepared.model(validation[0]), validation[1]))
        found.append(moment_of(seen, wanted[step], value))

    watched = WatchedLoss(prepared.loss, protocol.groups)
    without = Parts(
        parts.train, Part(*(each[:0] for each in vars(parts.test).values())), parts.test
    )
    try:
        fit(protocol, without, spec, prepared, watched, source.batches, [], beat)
    except Diverged:
        raise RunError(
            f"loss {loss!r} diverged with the learning rate {rate:g}. Use a smaller --lr."
        ) from None
    return tuple(found)
