"""Whether the figures of losses.py meet what the library promises, and by how much they do not."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from dataclasses import dataclass
from typing import Literal

from figures import Cell, Figures
from works import BAR

SIGMOID = ("sigmoid focal", "sigmoid Poly focal")
SOFTMAX = ("Poly-1", "Poly-3", "focal")
EXTRA_PEAK = 1.1
OVERHEAD = 20.0


@dataclass(frozen=True)
class Check:
    """One promise on one row.

    Attributes:
        loss, shape: the row.
        what: who is compared with whom.
        sense: on which side of the target the figure has to be.
        target, found: the two numbers.
        unit: "x" for ratios, "us" for microseconds.
    """

    loss: str
    shape: str
    what: str
    sense: Literal["at least", "at most"]
    target: float
    found: float
    unit: Literal["x", "us"] = "x"

    @property
    def met(self) -> bool:
        """Exactly, without allowance for noise."""
        return self.found >= self.target if self.sense == "at least" else self.found <= self.target

    def verdict(self) -> str:
        """In words."""
        if self.met:
            return "met"
        if self.unit == "us":
            return f"missed by {self.found - self.target:.0f} us"
        return f"missed by {abs(self.found / self.target - 1):.0%}"


def is_peer(how: str) -> Callable[[Cell], bool]:
    return lambda cell: not cell.ours and cell.how == how


def uncompiled(cell: Cell) -> bool:
    """Ours from torch's own operators."""
    return cell.ours and cell.how == "blocked"


def ours(cell: Cell) -> bool:
    return cell.ours


def without_compiler(cell: Cell) -> bool:
    return cell.ours and cell.how != "compiled"


def checks(figures: Figures) -> Iterator[Check]:
    """Every promise that the measured cells can settle, row by row."""
    for loss, shape in figures.rows():
        cells = figures.of(loss, shape)
        if cells[0].small:
            yield from _small(figures, loss, shape)
        elif loss in SIGMOID:
            yield from _ratios(figures, loss, shape, (loss,), blocked=6.0, best=15.0, compiled=2.5)
        elif loss in SOFTMAX:
            # The class axis is not the last in segmentation, where torch itself is slow.
            blocked, compiled = (1 / 0.6, 1.2) if shape.count("x") > 1 else (1.0, 1.5)
            yield from _ratios(
                figures, loss, shape, (loss, BAR), blocked=blocked, best=None, compiled=compiled
            )
        if not cells[0].small:
            yield from _memory(figures, loss, shape)


def _ratios(
    figures: Figures,
    loss: str,
    shape: str,
    bars: tuple[str, ...],
    *,
    blocked: float,
    best: float | None,
    compiled: float,
) -> Iterator[Check]:
    """`bars` are the losses whose peers compete; the last alone is the eager bar."""
    plain = figures.fastest(loss, shape, uncompiled)
    fastest = figures.fastest(loss, shape, ours)
    eager = figures.fastest(bars[-1], shape, is_peer("eager"))
    fused = [figures.fastest(bar, shape, is_peer("compiled")) for bar in bars]
    fused_best = min((cell for cell in fused if cell), key=lambda cell: cell.ms, default=None)
    for mine, peer, target in (
        (plain, eager, blocked), (fastest, eager, best), (fastest, fused_best, compiled)
    ):  # fmt: skip
        if mine and peer and target:
            versus = f"{peer.who}" + (f" {peer.loss}" if peer.loss != loss else "")
            what = f"{mine.how} against {versus}"
            yield Check(loss, shape, what, "at least", target, peer.ms / mine.ms)


def _memory(figures: Figures, loss: str, shape: str) -> Iterator[Check]:
    found = [cell for cell in figures.of(loss, shape) if without_compiler(cell)]
    peaks = {cell.how: cell.extra_peak for cell in found if cell.extra_peak is not None}
    for how, peak in peaks.items():
        yield Check(loss, shape, f"extra peak, {how}", "at most", EXTRA_PEAK, peak)


def _small(figures: Figures, loss: str, shape: str) -> Iterator[Check]:
    peer = figures.fastest(loss, shape, is_peer("eager"))
    for mine in filter(without_compiler, figures.of(loss, shape)):
        if peer:
            overhead = (mine.ms - peer.ms) * 1e3
            what = f"{mine.how} over {peer.who}"
            yield Check(loss, shape, what, "at most", OVERHEAD, overhead, unit="us")


@dataclass(frozen=True)
class Winner:
    """Who was fastest on one row, pass by pass."""

    loss: str
    shape: str
    who: tuple[str, ...]

    @property
    def same(self) -> bool:
        """In every pass."""
        return len(set(self.who)) == 1


def winners(figures: Figures) -> Iterator[Winner]:
    for loss, shape in figures.rows():
        cells = figures.of(loss, shape)
        count = len(cells[0].passes)
        who = [min(cells, key=lambda c, i=index: c.passes[i][0]).who for index in range(count)]
        yield Winner(loss, shape, tuple(who))
