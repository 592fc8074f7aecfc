"""The figures of a run of losses.py: one cell per contestant, saved as JSON and looked up again."""

from __future__ import annotations

import json
import os
import platform
import statistics
from collections.abc import Callable, Iterator
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import Any

import torch
from peers import DISTRIBUTIONS, installed
from timing import Deciles
from works import FLOOR

LARGE_PAGES = "THP_MEM_ALLOC_ENABLE"
"""Set to 1, this makes torch ask for large pages for all of its memory, for every library."""


@dataclass(frozen=True)
class Cell:
    """One contestant on one shape.

    Attributes:
        loss, shape, library, how: which.
        small: whether the shape is one where calls cost more than numbers.
        passes: lowest decile, median and highest decile of the milliseconds, one per pass.
        compile_seconds: of the first pass, whose compiler starts with an empty cache.
        extra_peak: in multiples of the logits.
        value: the loss.
        off: relative difference of loss or gradient to the first contestant.
    """

    loss: str
    shape: str
    library: str
    how: str
    small: bool
    passes: tuple[Deciles, ...]
    compile_seconds: float | None
    extra_peak: float | None
    value: float
    off: float

    @property
    def ms(self) -> float:
        """The time that is compared: the lowest decile, averaged over the passes."""
        return statistics.fmean(low for low, _, _ in self.passes)

    @property
    def who(self) -> str:
        """As shown in the tables."""
        return f"{self.library}, {self.how}"

    @property
    def ours(self) -> bool:
        """Whether it is no peer."""
        return self.library == "taylored"


@dataclass(frozen=True)
class Figures:
    """Everything a report needs."""

    environment: dict[str, Any]
    cells: tuple[Cell, ...]

    def rows(self) -> Iterator[tuple[str, str]]:
        """(loss, shape) in the order measured, without the floor."""
        yield from dict.fromkeys((c.loss, c.shape) for c in self.cells if c.loss != FLOOR)

    def of(self, loss: str, shape: str) -> list[Cell]:
        """One row."""
        return [cell for cell in self.cells if (cell.loss, cell.shape) == (loss, shape)]

    def fastest(self, loss: str, shape: str, keep: Callable[[Cell], bool]) -> Cell | None:
        """Of the cells of a row that are kept; None where none is."""
        return min(filter(keep, self.of(loss, shape)), key=lambda cell: cell.ms, default=None)

    def floor(self, shape: str) -> Cell:
        """Copying the logits into a fresh buffer."""
        return self.of(FLOOR, shape)[0]

    def save(self, path: Path) -> None:
        """Write what `load` reads."""
        cells = [asdict(cell) for cell in self.cells]
        path.write_text(json.dumps({"environment": self.environment, "cells": cells}, indent=1))


def load(path: Path) -> Figures:
    saved = json.loads(path.read_text())
    cells = tuple(
        Cell(**cell | {"passes": tuple(map(tuple, cell["passes"]))}) for cell in saved["cells"]
    )
    return Figures(saved["environment"], cells)


def environment(threads: int, rounds: int, clock: str) -> dict[str, Any]:
    """Where the figures come from."""
    versions = {name: installed(name) for name in ("taylored", *DISTRIBUTIONS)}
    return {
        "processor": processor(),
        "instructions": torch.backends.cpu.get_cpu_capability(),
        "cores": os.cpu_count(),
        "python": platform.python_version(),
        "versions": {name: found for name, found in versions.items() if found},
        "threads": threads,
        "rounds": rounds,
        "clock": clock,
        "large_pages": os.environ.get(LARGE_PAGES) == "1",
        "load": os.getloadavg()[0],
    }


def processor() -> str:
    info = Path("/proc/cpuinfo")
    if not info.exists():
        return platform.processor()
    lines = [line for line in info.read_text().splitlines() if line.startswith("model name")]
    return lines[0].split(": ", 1)[1] if lines else platform.machine()
