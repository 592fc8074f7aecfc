"""The results as terminal tables: means first, then differences, then the verdict in words."""

from collections import Counter
from collections.abc import Sequence
from dataclasses import dataclass
from io import StringIO
from textwrap import wrap

from rich import box
from rich.console import Console, ConsoleOptions, RenderResult
from rich.table import Table
from rich.text import Text

from taylored.lab.data import GROUPS
from taylored.lab.judgement.multiplicity import SIGNIFICANCE
from taylored.lab.metrics import Metric
from taylored.lab.results import Difference, LossResult, Results
from taylored.lab.tasks import Task, primary_of, task_of
from taylored.lab.wording import MISSING, p_text, plural, printable

NUMBERS = 60
"""Columns that the numbers of the first table take; the names get the rest."""
STYLES = {
    "better": "bold green",
    "worse": "red",
    "diverged": "bold red",
    "differs": "bold red",
    "untrusted": "yellow",
}


@dataclass(frozen=True)
class ResultTables:
    """Headline, table of means, table of differences and sentences, as wide as the console."""

    results: Results

    def __rich_console__(self, console: Console, options: ConsoleOptions) -> RenderResult:
        results = self.results
        yield Text(printable(results.verdict.headline), style="bold")
        yield Text()
        yield _mean_table(results, options.max_width)
        yield Text(printable(_means_note(results)), style="dim")
        yield Text()
        if any(loss.versus_baseline is not None for loss in results.losses):
            yield _difference_table(results, options.max_width)
            yield Text(printable(_differences_note(results)), style="dim")
            yield Text()
        for sentence in results.verdict.sentences:
            yield _bullet(printable(sentence))


def plain(results: Results, width: int) -> str:
    """The same as text without colour, at most ``width`` columns wide, but no less than 20."""
    console = Console(
        file=StringIO(),
        width=max(width, 20),
        color_system=None,
        force_terminal=False,
        legacy_windows=False,
    )
    with console.capture() as capture:
        console.print(ResultTables(results))
    return "\n".join(line.rstrip() for line in capture.get().splitlines())


def _mean_table(results: Results, width: int) -> Table:
    task, primary = task_of(results), primary_of(results)
    counts = Counter[str](results.dataset.groups)
    table = _table("loss", 1)  # every cell ends in a star or a blank
    ordered = _metrics(task, primary)
    for metric in ordered:
        size = f"\n({counts[metric.key]})" if metric.key in GROUPS else "\n"
        table.add_column(metric.short + size, justify="right", no_wrap=True)
    for loss in results.losses:
        cells = [_mean_cell(loss, metric, primary) for metric in ordered]
        table.add_row(_broken_name(loss, width), *cells, style=_row_style(loss))
    return table


def _metrics(task: Task, primary: Metric) -> list[Metric]:
    """The metrics with the primary one first."""
    return [primary, *(metric for metric in task.metrics.values() if metric is not primary)]


def _mean_cell(loss: LossResult, metric: Metric, primary: Metric) -> str:
    text = metric.value(loss.metrics[metric.key])
    deviation = loss.spread[metric.key]
    if metric is primary and deviation is not None:
        text += f" ± {metric.value(deviation)}"
    versus = loss.versus_baseline
    return text + ("*" if versus is not None and versus[metric.key].beyond_noise else " ")


def _means_note(results: Results) -> str:
    task = task_of(results)
    counts = Counter[str](results.dataset.groups)
    sizes = ", ".join(plural(counts[group], f"{group} {task.noun}") for group in GROUPS)
    return (
        f"Test set, mean over {plural(results.trainings, 'training')} (± standard deviation); "
        f"{task.scores} and ECE in %. {sizes}. * differs from {task.reference} beyond noise "
        f"(corrected p < {SIGNIFICANCE})."
    )


def _difference_table(results: Results, width: int) -> Table:
    task, primary = task_of(results), primary_of(results)
    table = _table(f"difference to {task.reference}", 2)
    # Three lines of heading, so that the names of the losses keep their room.
    for heading in ("\n".join(wrap(primary.label, 10)), "95 % interval", "corrected p"):
        table.add_column(heading, justify="right", no_wrap=True)
    table.add_column("verdict", no_wrap=True)
    for loss in results.losses:
        if loss.versus_baseline is None:
            continue
        found = loss.versus_baseline[primary.key]
        table.add_row(
            _broken_name(loss, width),
            primary.difference(found.difference),
            interval_text(found, primary),
            p_text(found.p_corrected),
            Text(printable(_verdict_text(loss)), style=STYLES.get(loss.verdict or "", "")),
            style=_row_style(loss),
        )
    return table


def interval_text(found: Difference, metric: Metric) -> str:
    """The interval as ``-0.4 to +1.2``, or a dash where there is none."""
    if found.low is None:
        return MISSING
    return f"{metric.difference(found.low)} to {metric.difference(found.high)}"


def _verdict_text(loss: LossResult) -> str:
    if loss.diverged:
        way = "failed" if loss.failed else "diverged"
        return f"{way} {loss.diverged}/{len(loss.trials)}"
    return str(loss.verdict)


def _differences_note(results: Results) -> str:
    primary = primary_of(results)
    unit = "percentage points" if primary.scale == 100 else "units of the metric"
    return (
        f"In {unit}, paired over seeds: {results.statistics.test}, "
        "p corrected for the number of losses (Holm)."
    )


def _table(first: str, gap: int) -> Table:
    table = Table(box=box.SIMPLE_HEAD, pad_edge=False, padding=(0, gap, 0, 0), show_edge=False)
    table.add_column(first, overflow="fold")
    return table


def _broken_name(loss: LossResult, width: int) -> Text:
    """The name of a loss, broken where it reads well when the console is narrow."""
    name = printable(loss.name) + (" (control)" if loss.role == "free" else "")
    # Text, never markup: a name from the user such as "[red]" must stay what it is.
    return Text("\n".join(_broken(name, max(12, width - NUMBERS))))


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


def _bullet(text: str) -> Table:
    grid = Table.grid(padding=(0, 1))
    grid.add_row("-", Text(text))
    return grid


def tidy_rows(results: Results) -> tuple[Sequence[str], list[list[object]]]:
    """Header and rows of a tidy table: one row per loss and metric."""
    names = ("difference", "low", "high", "p", "p_corrected", "standard_error")
    header = ["loss", "role", "metric", "value", "spread_over_folds", *names]
    rows = []
    for loss in results.losses:
        for key in task_of(results).metrics:
            row: list[object] = [loss.name, loss.role, key]
            row += [loss.metrics[key], loss.spread[key]]
            if loss.versus_baseline is None:
                row += [None] * len(names)
            else:
                found = loss.versus_baseline[key]
                row += [found.difference, found.low, found.high]
                row += [found.p, found.p_corrected, found.standard_error]
            rows.append(row)
    return header, rows
