"""Losses as a table of plain text."""

from collections.abc import Mapping, Sequence
from io import StringIO
from typing import Literal

from rich import box
from rich.console import Console
from rich.table import Table
from rich.text import Text

from taylored.lab.metrics import Metric
from taylored.lab.results import LossResult
from taylored.lab.tabular.markup import cells_of


def to_text(
    losses: Sequence[LossResult], metrics: Mapping[str, Metric], primary: Metric, width: int
) -> str:
    """The table, at most ``width`` columns wide, but no less than 20."""
    header, rows = cells_of(losses, metrics, primary)
    shown = _fitting(header, rows, width)
    table = Table(box=box.SIMPLE_HEAD, pad_edge=False, show_edge=False)
    for place in shown:
        inner = 0 < place < len(header) - 1
        justify: Literal["right", "left"] = "right" if inner else "left"
        table.add_column(Text(header[place]), justify=justify, no_wrap=inner, overflow="fold")
    for row in rows:
        # A name from the user such as "[red]" stays what it is.
        table.add_row(*(Text(row[place]) for place in shown))
    console = Console(file=StringIO(), width=max(width, 20), color_system=None)
    with console.capture() as capture:
        console.print(table)
    return "\n".join(line.rstrip() for line in capture.get().splitlines()) + "\n"


def _fitting(header: Sequence[str], rows: Sequence[Sequence[str]], width: int) -> list[int]:
    """The columns that fit: the metrics after the first go, from the right, where there are many.

    The name of a loss may be folded to twelve columns.
    """
    widths = [max(len(row[place]) for row in (header, *rows)) for place in range(len(header))]
    widths[0] = min(widths[0], 12)
    shown = list(range(len(header)))
    last_three = len(header) - 3
    while sum(widths[place] + 3 for place in shown) > width and len(shown) > 5:
        shown.remove(max(place for place in shown if place < last_three))
    return shown
