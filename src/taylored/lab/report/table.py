"""The results as terminal tables: means first, then differences, then the verdict in words."""

from __future__ import annotations

from collections import Counter
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from io import StringIO
from textwrap import wrap
from typing import Any

from rich import box
from rich.console import Console, ConsoleOptions, RenderResult
from rich.table import Table
from rich.text import Text

from taylored.lab.tasks import Task, task_of
from taylored.lab.verdict.statistics import SIGNIFICANCE
from taylored.lab.wording import MISSING, Metric, p_text, plural, printable

GROUPS = ("head", "medium", "tail")
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

    results: Mapping[str, Any]

    def __rich_console__(self, console: Console, options: ConsoleOptions) -> RenderResult:
        results = self.results
        verdict = results["verdict"]
        yield Text(printable(verdict["headline"]), style="bold")
        yield Text()
        yield _means(results, options.max_width)
        yield Text(_means_note(results), style="dim")
        yield Text()
        if any(entry["versus_baseline"] for entry in results["losses"]):
            yield _differences(results, options.max_width)
            yield Text(_differences_note(results), style="dim")
            yield Text()
        for sentence in [*verdict["sentences"], results["control"]["sentence"]]:
            yield _bullet(printable(sentence))


def plain(results: Mapping[str, Any], width: int) -> str:
    """The same as text without colour, at most ``width`` columns wide."""
    console = Console(
        file=StringIO(), width=width, color_system=None, force_terminal=False, legacy_windows=False
    )
    with console.capture() as capture:
        console.print(ResultTables(results))
    return "\n".join(line.rstrip() for line in capture.get().splitlines())


def _means(results: Mapping[str, Any], width: int) -> Table:
    task = task_of(results)
    primary = task.metrics[results["primary_metric"]]
    counts = Counter(results["dataset"].get("groups") or ())
    table = _table("loss", 1)  # every cell ends in a star or a blank
    ordered = _metrics(task, primary)
    for metric in ordered:
        size = f"\n({counts[metric.key]})" if metric.key in GROUPS and counts else "\n"
        table.add_column(metric.short + size, justify="right", no_wrap=True)
    for entry in results["losses"]:
        cells = [_mean_cell(entry, metric, metric is primary) for metric in ordered]
        table.add_row(_name(entry, width), *cells, style=_row_style(entry))
    return table


def _metrics(task: Task, primary: Metric) -> list[Metric]:
    """The metrics with the primary one first."""
    return [primary, *(metric for metric in task.metrics.values() if metric is not primary)]


def _mean_cell(entry: Mapping[str, Any], metric: Metric, with_deviation: bool) -> str:
    text = metric.value(entry["mean"][metric.key])
    deviation = entry["standard_deviation"][metric.key]
    if with_deviation and deviation is not None:
        text += f" ± {metric.value(deviation)}"
    versus = entry["versus_baseline"]
    return text + ("*" if versus and versus[metric.key]["beyond_noise"] else " ")


def _means_note(results: Mapping[str, Any]) -> str:
    task = task_of(results)
    counts = Counter(results["dataset"].get("groups") or ())
    seeds = max((len(entry["trials"]) for entry in results["losses"]), default=0)
    sizes = ", ".join(plural(counts[group], f"{group} {task.noun}") for group in GROUPS)
    return (
        f"Test set, mean over {plural(seeds, 'seed')} (± standard deviation); {task.scores} "
        f"and ECE in %. {sizes}. * differs from {task.reference} beyond noise "
        f"(corrected p < {SIGNIFICANCE})."
    )


def _differences(results: Mapping[str, Any], width: int) -> Table:
    task = task_of(results)
    primary = task.metrics[results["primary_metric"]]
    table = _table(f"difference to {task.reference}", 2)
    # Three lines of heading, so that the names of the losses keep their room.
    for heading in ("\n".join(wrap(primary.label, 10)), "95 % interval", "corrected p"):
        table.add_column(heading, justify="right", no_wrap=True)
    table.add_column("verdict", no_wrap=True)
    for entry in results["losses"]:
        if entry["versus_baseline"] is None:
            continue
        cell = entry["versus_baseline"][primary.key]
        word = str(entry["verdict"])
        table.add_row(
            _name(entry, width),
            primary.difference(cell["difference"]),
            interval_text(cell, primary),
            p_text(cell["p_corrected"]),
            Text(_verdict_text(entry), style=STYLES.get(word, "")),
            style=_row_style(entry),
        )
    return table


def interval_text(cell: Mapping[str, Any], metric: Metric) -> str:
    """The interval as ``-0.4 to +1.2``, or a dash where there is none."""
    if cell["low"] is None:
        return MISSING
    return f"{metric.difference(cell['low'])} to {metric.difference(cell['high'])}"


def _verdict_text(entry: Mapping[str, Any]) -> str:
    if entry["diverged"]:
        return f"diverged {entry['diverged']}/{len(entry['trials'])}"
    return str(entry["verdict"])


def _differences_note(results: Mapping[str, Any]) -> str:
    primary = task_of(results).metrics[results["primary_metric"]]
    unit = "percentage points" if primary.scale == 100 else "units of the metric"
    return (
        f"In {unit}, paired over seeds: {results['statistics']['test']}, "
        "p corrected for the number of losses (Holm)."
    )


def _table(first: str, gap: int) -> Table:
    table = Table(box=box.SIMPLE_HEAD, pad_edge=False, padding=(0, gap, 0, 0), show_edge=False)
    table.add_column(first, overflow="fold")
    return table


def _name(entry: Mapping[str, Any], width: int) -> Text:
    """The name of a loss, broken where it reads well when the console is narrow."""
    name = printable(str(entry["name"])) + (" (control)" if entry["role"] == "control" else "")
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


def _row_style(entry: Mapping[str, Any]) -> str:
    return "dim" if entry["role"] == "control" else ""


def _bullet(text: str) -> Table:
    grid = Table.grid(padding=(0, 1))
    grid.add_row("-", Text(text))
    return grid


def tidy_rows(results: Mapping[str, Any]) -> tuple[Sequence[str], list[list[Any]]]:
    """Header and rows of a tidy table: one row per loss and metric."""
    header = [
        "loss",
        "role",
        "metric",
        "mean",
        "standard_deviation",
        "difference",
        "low",
        "high",
        "p",
        "p_corrected",
        "n",
    ]
    rows = []
    for entry in results["losses"]:
        for key in task_of(results).metrics:
            cell = (entry["versus_baseline"] or {}).get(key, {})
            row = [
                entry["name"],
                entry["role"],
                key,
                entry["mean"][key],
                entry["standard_deviation"][key],
            ]
            rows.append(row + [cell.get(column) for column in header[5:]])
    return header, rows
