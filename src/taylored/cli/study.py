"""`taylored study`: parse and print; the work is `taylored.studies`."""

import sys
from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import typer

from taylored.cli.failures import USAGE, reported, stop
from taylored.cli.snippet import call

if TYPE_CHECKING:
    from taylored.studies import StudyOutcome


def study(
    context: typer.Context,
    name: Annotated[
        str | None, typer.Argument(help="Which study; none lists them.", show_default=False)
    ] = None,
    data: Annotated[
        list[str] | None,
        typer.Option(
            help="As for compare; may be repeated (kanjivg-strokes and digits-lt).",
            show_default=False,
        ),
    ] = None,
    target: Annotated[
        str | None, typer.Option(help="Column with the classes, for tables.", show_default=False)
    ] = None,
    quick: Annotated[
        bool, typer.Option("--quick", help="Few settings and short trainings: two minutes.")
    ] = False,
    repeats: Annotated[int, typer.Option(help="Of the cross-validation.")] = 1,
    seed: Annotated[int, typer.Option(help="Where all randomness starts.")] = 0,
    epochs: Annotated[
        int | None, typer.Option(help="Passes over the training part.", show_default=False)
    ] = None,
    workers: Annotated[
        int | None, typer.Option(help="Processes (one per processor).", show_default=False)
    ] = None,
    out: Annotated[
        Path | None, typer.Option(help="Folder (runs/study/<name>-<date>).", show_default=False)
    ] = None,
    resume: Annotated[Path | None, typer.Option(help="Finish a study.", show_default=False)] = None,
    as_json: Annotated[bool, typer.Option("--json", help="Print results.json only.")] = False,
) -> None:
    """Repeat the study of a paper: does its claim hold here?

    Each report states what the paper claims, what was found, the smallest effect that would have
    been seen, and a verdict. Example:

      taylored study epsilon-sweep --quick
    """
    with reported():
        from taylored import studies

        if resume is not None:
            given = [key for key in context.params if _typed(context, key)]
            others = [key for key in given if key not in _WITH_RESUME]
            if others:
                stop(f"--resume takes all settings from the study: leave out {others[0]}.", USAGE)
            settings: dict[str, object] = {"folder": str(resume), "workers": workers}
            settings["data"] = data or None
            outcome = studies.resume(**settings)  # type: ignore[arg-type]
            snippet = call(studies.resume, settings, "studies")
        elif name is None:
            _list()
            return
        else:
            settings = {
                "name": name,
                "data": data or None,
                "target": target,
                "budget": "quick" if quick else "default",
                "repeats": repeats,
                "seed": seed,
                "epochs": epochs,
                "workers": workers,
                "out": None if out is None else str(out),
            }
            outcome = studies.study(**settings)  # type: ignore[arg-type]
            snippet = call(studies.study, settings, "studies")
        _print(outcome, snippet, as_json=as_json)


_WITH_RESUME = {"resume", "workers", "data", "as_json"}


def _typed(context: typer.Context, key: str) -> bool:
    found = context.get_parameter_source(key)
    return found is not None and found.name == "COMMANDLINE"


def _list() -> None:
    from rich.console import Console
    from rich.table import Table

    from taylored.studies.papers import names, study_of

    table = Table(box=None, pad_edge=False, show_header=False, padding=(0, 2, 0, 0))
    for each in names():
        table.add_row(each, study_of(each).question)
    Console().print(table, highlight=False)


def _print(outcome: "StudyOutcome", snippet: str, *, as_json: bool) -> None:
    if as_json:
        sys.stdout.write(outcome.to_json() + "\n")
        return
    from rich.console import Console

    from taylored.lab.wording import escaped

    console = Console()
    console.print(outcome.rich_table())
    console.print()
    assert outcome.folder is not None  # noqa: S101 - a study always has a folder
    for line in (
        f"Report: {outcome.folder / 'report.html'}",
        f"Folder: {outcome.folder}",
    ):
        # Not markup: a folder may be called "[red]".
        console.print(escaped(line), soft_wrap=True, highlight=False, markup=False)
    console.print("The same in Python:", highlight=False)
    console.print(snippet, soft_wrap=True, highlight=False, markup=False)
