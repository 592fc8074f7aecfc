"""Puts the figures of losses.py and growth.py into docs/speed.md, between its markers.

    python benchmarks/losses.py --repeat 2 --json losses.json
    python benchmarks/growth.py --json growth.json --plots docs
    python benchmarks/report.py losses.json growth.json                     # docs/speed.md
    python benchmarks/report.py losses.json growth.json --into README.md    # the short table
    THP_MEM_ALLOC_ENABLE=1 python benchmarks/losses.py --memory no --json pages.json
    python benchmarks/report.py losses.json growth.json --pages pages.json

A page says where a table goes with a pair of comments, `<!-- figures: NAME -->` and
`<!-- end -->`; what stands between them is replaced. Names: machine, advantage, pages,
targets, losses, compiling, winners, growth, short.
"""

from __future__ import annotations

import argparse
import json
import re
from collections.abc import Callable
from pathlib import Path
from typing import Any

from figures import Cell, Figures, load
from growth_plot import exponent_table
from tables import number, shape_table, table, target_table, where, winner_lines
from targets import checks, is_peer, ours, without_compiler

PAGE = Path(__file__).parent.parent / "docs" / "speed.md"
MARKED = re.compile(r"(<!-- figures: (\w+) -->\n).*?(<!-- end -->)", re.DOTALL)


def all_shapes(figures: Figures) -> str:
    """A table for each shape."""
    shapes = dict.fromkeys(shape for _, shape in figures.rows())
    return "\n\n".join(f"### {shape}\n\n{shape_table(figures, shape)}" for shape in shapes)


def verdicts(figures: Figures) -> str:
    """How many targets are met, and the table."""
    found = list(checks(figures))
    met = sum(check.met for check in found)
    return f"{met} of {len(found)} met.\n\n{target_table(figures)}"


def compiling(figures: Figures) -> str:
    """What torch.compile cost before the first step was done."""
    seconds = [c.compile_seconds for c in figures.cells if c.compile_seconds is not None]
    if not seconds:
        return "Not measured in this run."
    start = figures.environment["compiler_start"]
    return (
        f"Compiling took {min(seconds):.1f} to {max(seconds):.1f} s per loss and shape (in all "
        f"{sum(seconds):.0f} s for the {len(seconds)} of this page), after {start:.0f} s for the "
        "first compilation of a process, whatever it compiles."
    )


def winners(figures: Figures) -> str:
    """Whether a second pass names the same fastest contestants."""
    lines = list(winner_lines(figures))
    return "\n".join(lines) if lines else "One pass was measured."


def short(figures: Figures) -> str:
    """Ours without a compiler, the best peer as it is and compiled; for the README."""
    header = ["loss", "shape", "ours, ms", "best peer, ms", "best compiled peer, ms"]
    header += ["extra memory", "of that peer"]
    rows = []
    for loss, shape in figures.rows():
        mine = figures.fastest(loss, shape, without_compiler)
        eager = figures.fastest(loss, shape, is_peer("eager"))
        fused = figures.fastest(loss, shape, is_peer("compiled"))
        if mine is None or eager is None:
            continue
        memory = [mine.extra_peak, eager.extra_peak]
        rows.append(
            [loss, shape, f"{number(mine.ms)} ({mine.how})", _named(eager), _named(fused)]
            + ["-" if peak is None else f"{peak:.1f}" for peak in memory]
        )
    return table(header, rows, 2)


def _named(cell: Cell | None) -> str:
    return "-" if cell is None else f"{number(cell.ms)} ({cell.library})"


def advantage(figures: Figures) -> str:
    """One line per row: how many times faster than the best peers."""
    header = ["loss", "shape", "our fastest", "best peer", "times", "best compiled peer", "times"]
    rows = []
    for loss, shape in figures.rows():
        mine = figures.fastest(loss, shape, ours)
        line = [loss, shape, mine.how if mine else "-"]
        for how in ("eager", "compiled"):
            peer = figures.fastest(loss, shape, is_peer(how))
            known = peer is not None and mine is not None
            line += [peer.library, f"{peer.ms / mine.ms:.1f}"] if known else ["-", "-"]
        rows.append(line)
    return table(header, rows, 3)


def fill(text: str, tables: dict[str, Callable[[], str]]) -> str:
    """The page with every marked place renewed."""

    def renew(found: re.Match[str]) -> str:
        before, name, after = found.groups()
        if name not in tables:
            raise SystemExit(f"No figures are called {name!r}; there are {', '.join(tables)}")
        return f"{before}\n{tables[name]()}\n\n{after}"

    return MARKED.sub(renew, text)


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("losses", type=Path, help="of losses.py --json")
    parser.add_argument("growth", type=Path, help="of growth.py --json")
    parser.add_argument("--pages", type=Path, help="of losses.py with large pages for everybody")
    parser.add_argument("--into", type=Path, nargs="+", default=[PAGE], help="pages with markers")
    options = parser.parse_args()
    figures = load(options.losses)
    pages = load(options.pages) if options.pages else None
    growth: dict[str, Any] = json.loads(options.growth.read_text())
    tables: dict[str, Callable[[], str]] = {
        "machine": lambda: where(figures),
        "advantage": lambda: advantage(figures),
        "pages": lambda: advantage(pages) if pages else "Not measured this time.",
        "targets": lambda: verdicts(figures),
        "losses": lambda: all_shapes(figures),
        "compiling": lambda: compiling(figures),
        "winners": lambda: winners(figures),
        "growth": lambda: exponent_table(growth["curves"]),
        "short": lambda: short(figures),
    }
    for page in options.into:
        page.write_text(fill(page.read_text(), tables))


if __name__ == "__main__":
    main()
