"""Intersection over union for every class, head to tail, and what the differences show."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Self

import torch
from rich import box
from rich.table import Table
from torch import Tensor

from taylored.lab.data.groups import class_groups
from taylored.lab.judgement.statistics import SIGNIFICANCE, compare_paired, holm

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


def verdicts(scores: Mapping[str, Sequence[Scores]], test_fraction_ratio: float) -> list[str]:
    """One sentence for each loss after the first: does its mean IoU differ from the first's?

    The corrected resampled t-test of `taylored compare`, over seeds, with Holm's correction.
    `test_fraction_ratio` is the size of the test part relative to the training part.
    """
    baseline, *others = scores
    base = [s.mean_iou for s in scores[baseline]]
    paired = [
        compare_paired(
            [s.mean_iou for s in scores[loss]], base, test_fraction_ratio=test_fraction_ratio
        )
        for loss in others
    ]
    corrected = iter(holm([result.p for result in paired if result.p is not None]))
    sentences = []
    for loss, result in zip(others, paired, strict=True):
        said = f"{loss}: mean IoU {_points(result.difference)} points against {baseline}"
        if result.p is None or result.low is None or result.high is None:
            sentences.append(f"{said} with {result.n} seed(s): no spread to judge it by, no claim.")
            continue
        p = next(corrected)
        known = "a difference" if p < SIGNIFICANCE else "no difference"
        sentences.append(
            f"{said} (95 % interval {_points(result.low)} to {_points(result.high)}, "
            f"corrected p = {p:.3f}): {known} beyond the spread of {result.n} seeds."
        )
    return sentences


def _cell(values: Sequence[float]) -> str:
    """Mean and standard deviation over the seeds that have a value."""
    known = torch.tensor([value for value in values if value == value], dtype=torch.float64)
    if not len(known):
        return "-"
    mean = f"{100 * known.mean().item():.1f}"
    return mean if len(known) < 2 else f"{mean} ± {100 * known.std().item():.1f}"


def _points(value: float | None) -> str:
    return "?" if value is None else f"{100 * value:+.1f}"
