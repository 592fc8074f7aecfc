"""`taylored doctor`: what is wrong with a loss, in the terminal, as data, and for code hosts."""

from __future__ import annotations

import sys
from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import typer
from rich.console import Console
from rich.padding import Padding
from rich.text import Text

from taylored.cli.failures import USAGE, reported, stop
from taylored.cli.terminal import FAILURE
from taylored.lab.wording import escaped

if TYPE_CHECKING:
    from taylored.doctor import Finding, Report

_STYLES = {"error": "bold red", "warning": "yellow", "info": "cyan"}


def doctor(
    loss: Annotated[
        str,
        typer.Argument(
            metavar="TARGET",
            help="'focal(gamma=2)', 'package.module:Loss(gamma=2)' or 'path/file.py:Loss'.",
        ),
    ],
    link: Annotated[
        str | None, typer.Option(help="softmax or sigmoid; else tried.", show_default=False)
    ] = None,
    target: Annotated[
        str | None, typer.Option(help="index or multi-hot; else tried.", show_default=False)
    ] = None,
    classes: Annotated[int, typer.Option(help="Columns of the logits.")] = 5,
    layout: Annotated[
        str | None, typer.Option(help="rows or maps (N, C, H, W); else tried.", show_default=False)
    ] = None,
    check: Annotated[
        list[str] | None, typer.Option(help="Only this check; may be repeated.", show_default=False)
    ] = None,
    time_limit: Annotated[float, typer.Option(help="Seconds for each check.")] = 60.0,
    as_json: Annotated[bool, typer.Option("--json", help="Print the findings as JSON.")] = False,
    sarif: Annotated[
        Path | None, typer.Option(help="Write the findings as SARIF.", show_default=False)
    ] = None,
) -> None:
    """Find what is wrong with a classification loss, yours or anybody's.

    Extremes, gradients, reductions, masks, weights, targets, state, devices, compilers: each fault
    with its numbers, a program that shows it, and a fix. The loss runs in a process of its own.
    Exit code 1 means that there is a finding of severity error. Example:

      taylored doctor losses.py:FocalLoss(gamma=2) --sarif doctor.sarif
    """
    from taylored.doctor import examine

    try:
        report = examine(
            loss,
            link=link,  # type: ignore[arg-type]
            target=target,  # type: ignore[arg-type]
            classes=classes,
            layout=layout,  # type: ignore[arg-type]
            checks=tuple(check or ()),
            time_limit=time_limit,
        )
    except ValueError as error:
        stop(str(error), USAGE)
    if sarif is not None:
        with reported():
            sarif.write_text(report.to_sarif() + "\n", encoding="utf-8")
    if as_json:
        sys.stdout.write(report.to_json() + "\n")
    else:
        _show(Console(highlight=False), report)
    if report.errors:
        raise typer.Exit(FAILURE)


def _show(console: Console, report: Report) -> None:
    console.print(Text.assemble((escaped(report.loss), "bold"), f": {report.form}"))
    for finding in report.findings:
        _finding(console, finding)
    counts = {kind: sum(f.severity == kind for f in report.findings) for kind in _STYLES}
    said = ", ".join(f"{count} {kind}" for kind, count in counts.items())
    console.print(Text(f"\n{len(report.asked)} questions asked: {said}", style="dim"))


def _finding(console: Console, finding: Finding) -> None:
    console.print()
    console.print(
        Text.assemble((finding.severity, _STYLES[finding.severity]), " ", (finding.name, "bold"))
    )
    seen = "; ".join(
        f"{name}: {value if isinstance(value, str) else format(value, '.6g')}"
        for name, value in finding.evidence.items()
    )
    for line in (finding.title, seen, f"Fix: {finding.fix}"):
        console.print(Padding(Text(escaped(line)), (0, 2)))
    if finding.severity != "info" and finding.snippet:
        from rich.syntax import Syntax  # which brings a library of languages

        code = Syntax(finding.snippet, "python", theme="ansi_light", background_color="default")
        console.print(Padding(code, (1, 4, 0, 4)))
