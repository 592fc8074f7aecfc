"""The results as terminal tables: headline and warnings, differences, other metrics, words."""

from collections import Counter
from dataclasses import dataclass
from io import StringIO
from textwrap import wrap

from rich import box
from rich.console import Console, ConsoleOptions, RenderableType, RenderResult
from rich.table import Table
from rich.text import Text

from taylored.lab.data import GROUPS
from taylored.lab.metrics import Metric
from taylored.lab.report.columns import has_groups, other_columns
from taylored.lab.report.rows import (
    half_width_text,
    has_free_reference,
    probability_text,
    word_in,
)
from taylored.lab.report.sections.likelihood import resolution_text
from taylored.lab.results import Difference, LossResult, Results
from taylored.lab.tasks import primary_of, task_of
from taylored.lab.wording import plural, printable

ROOM_FOR_PROBABILITIES = 96
"""Width from which on the first table has P(better)."""
STYLES = {
    "better": "bold green",
    "better trade-off": "green",
    "free gain": "yellow",
    "worse": "red",
    "diverged": "bold red",
}


@dataclass(frozen=True)
class ResultTables:
    """Headline, warnings, two tables and sentences, as wide as the console."""

    results: Results

    def __rich_console__(self, console: Console, options: ConsoleOptions) -> RenderResult:
        results = self.results
        yield Text(printable(results.verdict.headline), style="bold")
        for warning in results.verdict.warnings:
            yield _bullet(printable(warning), "!", "yellow")
        yield Text()
        yield _verdict_table(results, options.max_width)
        yield Text(printable(_verdict_note(results)), style="dim")
        if other_columns(results):
            yield Text()
            yield _other_table(results, options.max_width)
            yield Text(printable(_other_note(results)), style="dim")
        yield Text()
        for sentence in results.verdict.sentences:
            yield _bullet(printable(sentence))


def plain(results: Results, width: int) -> str:
    """The same as text without colour."""
    return as_text(ResultTables(results), width)


def as_text(shown: RenderableType, width: int) -> str:
    """What rich shows, as text without colour, at most ``width`` columns wide, but at least 20."""
    console = Console(
        file=StringIO(),
        width=max(width, 20),
        color_system=None,
        force_terminal=False,
        legacy_windows=False,
    )
    with console.capture() as capture:
        console.print(shown)
    return "\n".join(line.rstrip() for line in capture.get().splitlines())


def _verdict_table(results: Results, width: int) -> Table:
    """The metric of the verdict, and the differences in it to both references."""
    primary = primary_of(results)
    headings = [f"over {task_of(results).reference}"]
    if has_free_reference(results):
        headings.append("over the free reference")
    wide = width >= ROOM_FOR_PROBABILITIES
    table = _table("loss")
    table.add_column("\n".join(wrap(primary.short, 10)), justify="right", no_wrap=True)
    for heading in headings if any(loss.versus_baseline for loss in results.losses) else ():
        table.add_column(_heading(heading), justify="right", no_wrap=True)
        if wide:
            table.add_column("P(better)", justify="right", no_wrap=True)
    table.add_column("verdict", no_wrap=True)
    numbers = 31 + len(headings) * (27 if wide else 16)
    for loss in results.losses:
        cells = []
        for found in (loss.versus_baseline, loss.versus_free)[: len(headings)]:
            difference = None if found is None else found[primary.key]
            cells.append(_difference(difference, primary))
            if wide:
                cells.append(probability_text(difference) if difference else "")
        word = Text(printable(word_in(loss, results)), style=STYLES.get(loss.verdict or "", ""))
        table.add_row(
            _broken_name(loss, width - numbers),
            primary.value(loss.metrics[primary.key]),
            *cells[: len(table.columns) - 3],
            word,
            style=_row_style(loss),
        )
    return table


def _heading(text: str) -> str:
    return "\n".join([*wrap(text, 13), "± 95 %"])


def _difference(found: Difference | None, metric: Metric) -> str:
    """The difference with half its interval; every text ends in a star or a blank."""
    if found is None:
        return ""
    if found.identical:
        return "identical "
    text = f"{metric.difference(found.difference)} {half_width_text(found, metric)}".rstrip()
    return text + ("*" if found.beyond_noise else " ")


def _verdict_note(results: Results) -> str:
    primary, task = primary_of(results), task_of(results)
    unit = " in points" if primary.scale == 100 else ""
    free = results.verdict.free
    said = f" The free reference is {free}: no training." if has_free_reference(results) else ""
    return (
        f"{primary.label.capitalize()}; differences{unit} with half their 95 % intervals, for new "
        f"{task.examples} from this source. * beyond noise, corrected for the number of losses "
        f"(Holm).{said}"
    )


def _other_table(results: Results, width: int) -> Table:
    """The other metrics of the report, as many as fit."""
    counts = Counter[str](results.dataset.groups)
    table = _table("loss", 1)  # every cell ends in a star or a blank
    metrics = other_columns(results)
    for metric in metrics:
        size = f"\n({counts[metric.key]})" if metric.key in GROUPS else "\n"
        table.add_column(metric.short + size, justify="right", no_wrap=True)
    for loss in results.losses:
        cells = [_other_cell(loss, metric) for metric in metrics]
        room = width - 9 * len(metrics)
        table.add_row(_broken_name(loss, room), *cells, style=_row_style(loss))
    return table


def _other_cell(loss: LossResult, metric: Metric) -> str:
    found = loss.versus_baseline[metric.key] if loss.versus_baseline else None
    star = "*" if found is not None and found.beyond_noise else " "
    return metric.value(loss.metrics[metric.key]) + star


def _other_note(results: Results) -> str:
    task = task_of(results)
    shown = {metric.key for metric in other_columns(results)}
    counts = Counter[str](results.dataset.groups)
    text = f"{task.scores.capitalize()}{' and ECE' if 'ece' in shown else ''} in %."
    if has_groups(results):
        sizes = ", ".join(plural(counts[group], f"{group} {task.noun}") for group in GROUPS)
        text += f" {sizes}."
    text += f" * differs from {task.reference} as it is beyond noise."
    if "ece" in shown:
        text += (
            " NLL and ECE are taken after recalibration; ECE is not tested. What a perfect model "
            f"would show here by chance, {resolution_text(results)}, is taken off."
        )
    return text


def _table(first: str, gap: int = 2) -> Table:
    table = Table(box=box.SIMPLE_HEAD, pad_edge=False, padding=(0, gap, 0, 0), show_edge=False)
    table.add_column(first, overflow="fold")
    return table


def _broken_name(loss: LossResult, width: int) -> Text:
    """The name of a loss, broken where it reads well when there are few columns for it."""
    # Text, never markup: a name from the user such as "[red]" must stay what it is.
    return Text("\n".join(_broken(printable(loss.name), max(12, width))))


def _broken(name: str, width: int) -> list[str]:
    """Lines of at most ``width`` characters, cut after a comma or bracket where there is one.

    >>> _broken("class_balanced(focal(gamma=2), beta=0.999)", 24)
    ['class_balanced(', 'focal(gamma=2),', 'beta=0.999)']
    >>> _broken("distribution_balanced", 20)
    ['distribution_', 'balanced']
    >>> _broken("x" * 20, 16)
    ['xxxxxxxxxxxxxxxx', 'xxxx']
    """
    lines = []
    while len(name) > width:
        place = max(name.rfind(",", 0, width), name.rfind(" ", 0, width))
        if place < 1:
            place = name.find("(", 0, width)
        if place < 1 and (name[width].isalnum() or name[width] == "_"):
            place = name.rfind("_", 0, width)
        place = place + 1 if place > 0 else width
        lines.append(name[:place].rstrip())
        name = name[place:].lstrip()
    return [*lines, name]


def _row_style(loss: LossResult) -> str:
    return "dim" if loss.role == "free" else ""


def _bullet(text: str, mark: str = "-", style: str = "") -> Table:
    grid = Table.grid(padding=(0, 1))
    grid.add_row(Text(mark, style=style), Text(text, style=style))
    return grid
