"""Intersection over union for every class, head to tail, and what the differences show."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Self

import torch
from rich import box
from rich.table import Table
from torch import Tensor

from taylored import lab
from taylored.lab.data import class_groups

GROUPS = ("head", "medium", "tail")


@dataclass(frozen=True)
class Scores:
    """One network on one test part.

    `iou` is (C,), NaN for a class that neither occurs nor is predicted; the means leave such
    classes out. `groups` holds the mean IoU of head, medium and tail.
    """

    iou: Tensor
    mean_iou: float
    pixel_accuracy: float
    groups: Mapping[str, float]

    @classmethod
    def of(cls, confusion: Tensor, train_pixels: Sequence[int]) -> Self:
        """From the counts of pixels by truth (rows) and prediction (columns), shape (C, C)."""
        right = confusion.diag().double()
        union = confusion.sum(0) + confusion.sum(1) - right
        iou = right / union  # 0 / 0 is the NaN that is wanted
        group = class_groups(list(train_pixels))
        members = {name: [g == name for g in group] for name in GROUPS}
        return cls(
            iou=iou,
            mean_iou=iou.nanmean().item(),
            pixel_accuracy=(right.sum() / confusion.sum()).item(),
            groups={name: iou[torch.tensor(m)].nanmean().item() for name, m in members.items()},
        )


def table(
    names: Sequence[str], train_pixels: Sequence[int], scores: Mapping[str, Sequence[Scores]]
) -> Table:
    """A row for each class, most training pixels first, then the means; one column for each loss.

    `scores` has the results of every loss, one for each seed.
    """
    grid = Table(box=box.SIMPLE_HEAD, pad_edge=False, show_edge=False)
    grid.add_column("IoU in %", no_wrap=True)
    grid.add_column("training pixels", justify="right")
    for loss in scores:
        grid.add_column(loss, justify="right")
    for c in sorted(range(len(names)), key=lambda c: -train_pixels[c]):
        cells = [_cell([s.iou[c].item() for s in seeds]) for seeds in scores.values()]
        grid.add_row(names[c], f"{train_pixels[c]:,}", *cells)
    grid.add_section()
    group = class_groups(list(train_pixels))
    means = [("mean IoU", [[s.mean_iou for s in seeds] for seeds in scores.values()])]
    for name in GROUPS:
        values = [[s.groups[name] for s in seeds] for seeds in scores.values()]
        means.append((f"{name} ({group.count(name)} types)", values))
    means.append(("pixel accuracy", [[s.pixel_accuracy for s in t] for t in scores.values()]))
    for label, values in means:
        grid.add_row(label, "", *map(_cell, values))
    return grid


def verdicts(scores: Mapping[str, Sequence[Scores]]) -> list[str]:
    """What the mean IoU over the seeds shows about each loss, compared with the first.

    One number per training tells how other trainings would come out on the same test part.
    """
    baseline, *_ = scores
    if len(scores[baseline]) < 2:
        return ["One seed: no spread to judge the differences by, no claim."]
    numbers = {loss: [100 * s.mean_iou for s in seeds] for loss, seeds in scores.items()}
    found = lab.verdict(numbers, baseline=baseline, metric="mean IoU", better="higher").verdict
    return [f"{found.headline}.", *found.warnings, *found.sentences]


def _cell(values: Sequence[float]) -> str:
    """Mean and standard deviation over the seeds that have a value."""
    known = torch.tensor([value for value in values if value == value], dtype=torch.float64)
    if not len(known):
        return "-"
    mean = f"{100 * known.mean().item():.1f}"
    return mean if len(known) < 2 else f"{mean} ± {100 * known.std().item():.1f}"
