"""The results of a study as terminal tables: headline, verdicts, panels."""

from collections.abc import Iterator
from dataclasses import dataclass

from rich import box
from rich.console import Console, ConsoleOptions, RenderResult
from rich.table import Table
from rich.text import Text

from taylored.lab.report.table import as_text
from taylored.lab.wording import printable
from taylored.studies.records import Panel, StudyResults
from taylored.studies.report.text import (
    panel_columns,
    panel_rows,
    statistics_text,
    sureness,
)

_STYLES = {"held": "bold green", "did not hold": "bold red", "could not be seen": "yellow"}


@dataclass(frozen=True)
class StudyTables:
    """Headline, verdicts and panels, as wide as the console."""

    results: StudyResults

    def __rich_console__(self, console: Console, options: ConsoleOptions) -> RenderResult:
        results = self.results
        yield Text(printable(results.title), style="bold")
        yield Text(printable(results.headline), style="bold")
        yield from _verdicts(results)
        yield Text()
        yield Text(printable(statistics_text(results)), style="dim")
        for panel in results.panels:
            if panel.tabled:
                yield Text()
                yield Text(printable(panel.title), style="bold")
                yield _panel(panel)
        if results.remarks:
            yield Text()
        for remark in results.remarks:
            yield Text(f"- {printable(remark)}")


def plain(results: StudyResults, width: int) -> str:
    """The same as text without colour."""
    return as_text(StudyTables(results), width)


def _verdicts(results: StudyResults) -> Iterator[Text]:
    """Each claim, and below it what each data set says about it."""
    for claim in results.claims:
        yield Text()
        yield Text(printable(claim.short), style="bold")
        published = f" Published: {claim.published}." if claim.published else ""
        about = f"{claim.text}{published} {claim.reference}; {sureness(claim.confidence)}."
        yield Text(printable(about), style="dim")
        for found in results.findings:
            if found.claim == claim.key:
                line = Text(f"- {printable(found.data)}: {printable(found.sentence)}")
                line.highlight_words([found.word], style=_STYLES[found.word])
                yield line


def _panel(panel: Panel) -> Table:
    table = Table(box=box.SIMPLE_HEAD, pad_edge=False, header_style="dim")
    columns = panel_columns(panel)
    first_number = len(columns) - (2 if panel.reference else 1)
    for index, column in enumerate(columns):
        justify = "right" if index >= first_number else "left"
        table.add_column(Text(printable(column)), justify=justify)  # type: ignore[arg-type]
    for row in panel_rows(panel):
        table.add_row(*(Text(printable(cell)) for cell in row))
    return table
