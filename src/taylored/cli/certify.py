"""`taylored certify`: what is proved about a loss, in the terminal."""

import json
import sys
from pathlib import Path
from typing import Annotated, Any

import typer
from rich.console import Console
from rich.padding import Padding
from rich.table import Table
from rich.text import Text

from taylored.cli.failures import USAGE, stop
from taylored.cli.terminal import FAILURE

_STYLES = {"yes": "green", "finite": "green", "no": "yellow", "infinite": "yellow"}


def certify(
    loss: Annotated[
        str | None,
        typer.Argument(
            metavar="LOSS",
            help="Like 'poly(epsilon=-0.9)', or a term, 'power(2) * nll'.",
            show_default=False,
        ),
    ] = None,
    link: Annotated[
        str | None, typer.Option(help="softmax or sigmoid, for a term.", show_default=False)
    ] = None,
    as_json: Annotated[bool, typer.Option("--json", help="Print it with all proofs.")] = False,
    check: Annotated[
        Path | None,
        typer.Option(help="Re-check the certificate in this file instead.", show_default=False),
    ] = None,
) -> None:
    """Prove what a loss guarantees, or show where it does not.

    Falls with p, keeps the order of the classes, strictly proper, bounded, tolerant of label noise,
    Lipschitz, convex: each is proved or disproved by an example, and re-checked by a second
    program. Exit code 1 means that a proof was not confirmed. Example:

      taylored certify "poly(epsilon=-0.9)" --json > proof.json

      taylored certify --check proof.json
    """
    if (loss is None) == (check is None):
        stop("give a loss, or --check with a file. Fix: taylored certify 'focal(gamma=2)'", USAGE)
    given = _read(check) if check is not None else _certified(str(loss), link)
    _confirm(given)
    if as_json:
        sys.stdout.write(json.dumps(given) + "\n")
        return
    console = Console(highlight=False)
    show_certificate(console, given)
    console.print("\nEvery proof was followed again by an independent checker.", style="dim")


def _certified(loss: str, link: str | None) -> dict[str, Any]:
    from taylored.catalog.certificates import certify as certificate

    try:
        return certificate(loss, link=link).to_dict()  # type: ignore[arg-type]
    except ValueError as error:
        stop(str(error), USAGE)
        raise


def _read(path: Path) -> dict[str, Any]:
    try:
        found = json.loads(path.read_text())
    except (OSError, UnicodeDecodeError, json.JSONDecodeError) as error:
        fix = "Fix: write one with taylored certify LOSS --json > FILE"
        stop(f"cannot read a certificate from {path}: {error}. {fix}", USAGE)
    if not isinstance(found, dict):
        stop(f"{path} is no certificate. Fix: write one with taylored certify LOSS --json", USAGE)
    return dict(found)


def _confirm(certificate: dict[str, Any]) -> None:
    from taylored.certificates.checker import faults

    found = faults(certificate)
    if found:
        stop("not confirmed: " + "; ".join(found), FAILURE)


def show_certificate(console: Console, certificate: dict[str, Any]) -> None:
    """A table for each term of a certificate."""
    from taylored.certificates.wording import rows_of

    link = certificate["link"]
    console.print(Text.assemble((str(certificate.get("loss")), "bold"), f", {link} link"))
    for term in certificate["terms"]:
        applies = f"{term['applies']}: " if term.get("applies") else ""
        console.print(Text(f"{applies}{term['term']}", style="dim"))
        table = Table(box=None, show_header=False, pad_edge=False, padding=(0, 2, 0, 0))
        table.add_column(no_wrap=True)
        table.add_column(no_wrap=True)
        table.add_column()
        for title, verdict, said in rows_of(term, link):
            table.add_row(title, Text(verdict, style=_STYLES.get(verdict, "red")), said)
        console.print(Padding(table, (0, 2)))
