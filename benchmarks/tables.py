"""Markdown tables of the figures of losses.py."""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Sequence

from figures import LARGE_PAGES, Cell, Figures
from targets import checks, ours, winners


def table(header: Sequence[str], rows: Iterable[Sequence[str]], left: int) -> str:
    """A Markdown table; the first `left` columns are text."""
    rule = ["---"] * left + ["---:"] * (len(header) - left)
    lines = [header, rule, *rows]
    return "\n".join("| " + " | ".join(line) + " |" for line in lines)


def number(value: float | None, digits: int = 3) -> str:
    if value is None:
        return "-"
    return f"{value:,.0f}" if abs(value) >= 10**digits else f"{value:.{digits}g}"


def where(figures: Figures) -> str:
    """One paragraph: the machine and the versions."""
    env = figures.environment
    versions = ", ".join(f"{name} {found}" for name, found in env["versions"].items())
    pages = f" {LARGE_PAGES}=1." if env["large_pages"] else ""
    return (
        f"{env['processor']} ({env['instructions']}), {env['threads']} of {env['cores']} cores; "
        f"float32; Python {env['python']}, {versions}. Lowest decile of {env['rounds']} rounds "
        f"of {env['clock']} time; load average at the start {env['load']:.1f}.{pages}"
    )


def shape_table(figures: Figures, shape: str) -> str:
    """Every contestant on one shape, loss by loss, fastest first."""
    floor = figures.floor(shape)
    small = floor.small
    unit = "us" if small else "ms"
    header = ["loss", "who", f"time, {unit}", "deciles", "time / our fastest", "time / copy"]
    if not small:
        header += ["compile, s", "extra peak"]
    found = [_line(floor, None, floor)]
    for loss in dict.fromkeys(loss for loss, at in figures.rows() if at == shape):
        fastest = figures.fastest(loss, shape, ours)
        cells = sorted(figures.of(loss, shape), key=lambda cell: cell.ms)
        found += [_line(cell, fastest, floor) for cell in cells]
    return table(header, [line[: len(header)] for line in found], 2)


def _line(cell: Cell, fastest: Cell | None, floor: Cell) -> list[str]:
    scale = 1e3 if cell.small else 1.0
    low = min(low for low, _, _ in cell.passes) * scale
    high = max(high for _, _, high in cell.passes) * scale
    who = f"**{cell.who}**" if cell.ours else cell.who
    return [
        cell.loss,
        who,
        number(cell.ms * scale),
        f"{number(low)} to {number(high)}",
        f"{cell.ms / fastest.ms:.2f}" if fastest else "-",
        f"{cell.ms / floor.ms:.1f}",
        number(cell.compile_seconds),
        "-" if cell.extra_peak is None else f"{cell.extra_peak:.2f}",
    ]


def target_table(figures: Figures) -> str:
    header = ["loss", "shape", "what", "target", "found", "verdict"]
    rows = []
    for check in checks(figures):
        digits = "{:.2f}" if check.unit == "x" else "{:.0f} us"
        target = f"{check.sense} {digits.format(check.target)}"
        found = digits.format(check.found)
        verdict = check.verdict() if check.met else f"**{check.verdict()}**"
        rows.append([check.loss, check.shape, check.what, target, found, verdict])
    return table(header, rows, 3)


def winner_lines(figures: Figures) -> Iterator[str]:
    """Rows on which the passes have different winners; one sentence if there is none."""
    found = list(winners(figures))
    count = len(found[0].who) if found else 0
    if count < 2:
        return
    changed = [winner for winner in found if not winner.same]
    if not changed:
        yield f"The same winners in {count} passes, on all {len(found)} rows."
    for winner in changed:
        yield f"{winner.loss}, {winner.shape}: " + ", then ".join(winner.who)


def disagreements(figures: Figures, tolerance: float) -> Iterator[str]:
    """Contestants that compute something else, which is not a way to win."""
    for cell in figures.cells:
        if not cell.off <= tolerance:
            yield f"{cell.loss}, {cell.shape}, {cell.who}: off by {cell.off:.1e} ({cell.value})"
