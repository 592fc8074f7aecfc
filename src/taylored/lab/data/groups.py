"""Head, medium and tail: the groups of classes by their number of training samples."""

from collections.abc import Sequence
from typing import Final, Literal

import numpy as np
import numpy.typing as npt

from taylored.lab.data.errors import DataError

Group = Literal["head", "medium", "tail"]
GROUPS: Final[tuple[Group, ...]] = ("head", "medium", "tail")
HEAD_FROM: Final = 100
TAIL_BELOW: Final = 20


def class_groups(train_counts: Sequence[int] | npt.NDArray[np.int64]) -> tuple[Group, ...]:
    """The group of each class, from its number of training samples.

    A class is head from 100 samples on, tail below 20, and medium between. These are the limits of
    LVIS and of the ImageNet-LT literature. Where they leave a group empty, the classes are put in
    order of frequency instead: the first third is the head and the last third the tail. Two classes
    are one head and one tail. `group_rule` says which rule was used.

    >>> class_groups([500, 40, 3])
    ('head', 'medium', 'tail')
    >>> class_groups([9, 900, 90, 90])
    ('tail', 'head', 'medium', 'medium')
    >>> class_groups([900, 800, 700])
    ('head', 'medium', 'tail')
    """
    counts = _checked_counts(train_counts)
    groups = _by_limits(counts)
    return groups if len(set(groups)) == 3 else _by_rank(counts)


def group_rule(
    train_counts: Sequence[int] | npt.NDArray[np.int64], *, noun: str = "classes"
) -> str:
    """The rule that `class_groups` uses for these counts, in words; `noun` is what is grouped."""
    groups = _by_limits(_checked_counts(train_counts))
    if len(set(groups)) == 3:
        return (
            f"head: at least {HEAD_FROM} training samples, "
            f"medium: {TAIL_BELOW} to {HEAD_FROM - 1}, tail: fewer than {TAIL_BELOW}"
        )
    return (
        f"thirds of the {noun} by training frequency, because the limits "
        f"{HEAD_FROM} and {TAIL_BELOW} would leave a group empty"
    )


def _by_limits(counts: npt.NDArray[np.int64]) -> tuple[Group, ...]:
    return tuple(
        "head" if count >= HEAD_FROM else "tail" if count < TAIL_BELOW else "medium"
        for count in counts.tolist()
    )


def _by_rank(counts: npt.NDArray[np.int64]) -> tuple[Group, ...]:
    classes = len(counts)
    third = (2 * classes + 3) // 6  # classes / 3, rounded
    groups: list[Group] = ["medium"] * classes
    order = np.argsort(-counts, kind="stable").tolist()
    for index in order[:third]:
        groups[index] = "head"
    for index in order[classes - third :]:
        groups[index] = "tail"
    return tuple(groups)


def _checked_counts(train_counts: Sequence[int] | npt.NDArray[np.int64]) -> npt.NDArray[np.int64]:
    counts = np.asarray(train_counts, dtype=np.int64)
    if counts.ndim != 1 or len(counts) < 2 or counts.min() < 0:
        raise DataError(
            f"train_counts must hold one number >= 0 for each of at least 2 classes, "
            f"got shape {counts.shape}"
        )
    return counts
