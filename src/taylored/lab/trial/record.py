"""The record of one trial, as it is written to `trials/<id>.json`."""

from collections.abc import Iterable
from typing import Literal, TypedDict

from taylored.lab.protocol import Role, TrialSpec


class Trial(TypedDict):
    """Outcome of one loss with one seed: test metrics at the epoch chosen on validation.

    One of the two score lists has a number per class, the other is None: the task says which.
    `gradient_ratio` is the positive to negative gradient of each class over the training.
    """

    loss: str
    role: Role
    seed: int
    learning_rate: float
    best_epoch: int | None
    metrics: dict[str, float | None]
    recall: list[float | None] | None
    average_precision: list[float | None] | None
    gradient_ratio: list[float] | None
    curve: list[dict[str, float]]
    status: Literal["ok", "diverged"]
    seconds: float


_KEYS = frozenset(Trial.__annotations__)


def diverged(
    spec: TrialSpec, metrics: Iterable[str], curve: list[dict[str, float]], seconds: float
) -> Trial:
    """Record of a trial whose loss or logits became infinite or not a number."""
    return Trial(
        loss=spec.loss,
        role=spec.role,
        seed=spec.seed,
        learning_rate=spec.learning_rate,
        best_epoch=None,
        metrics=dict.fromkeys(metrics),
        recall=None,
        average_precision=None,
        gradient_ratio=None,
        curve=curve,
        status="diverged",
        seconds=seconds,
    )


def matches(record: object, spec: TrialSpec) -> bool:
    """Whether a record read from disk is complete and belongs to this trial."""
    if not isinstance(record, dict) or set(record) != _KEYS:
        return False
    identity = (record["loss"], record["role"], record["seed"], record["learning_rate"])
    return identity == (spec.loss, spec.role, spec.seed, spec.learning_rate)


def validation_value(trial: Trial, metric: str) -> float | None:
    """Validation value of the metric at the chosen epoch; None for a diverged trial."""
    if trial["best_epoch"] is None:
        return None
    return trial["curve"][trial["best_epoch"] - 1][f"validation_{metric}"]
