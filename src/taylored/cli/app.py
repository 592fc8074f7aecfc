"""The typer application: one line for each command."""

from importlib.metadata import version
from typing import Annotated

import typer

from taylored.cli.catalog import list_losses, show
from taylored.cli.certify import certify
from taylored.cli.compare import compare
from taylored.cli.doctor import doctor
from taylored.cli.env import env
from taylored.cli.explain import explain
from taylored.cli.study import study
from taylored.cli.tailor import tailor
from taylored.cli.xray import xray

# Plain help: the boxes of rich would make it twice as long, and unreadable in a pipe.
app = typer.Typer(
    no_args_is_help=True,
    add_completion=False,
    rich_markup_mode=None,
    pretty_exceptions_enable=False,
    context_settings={"help_option_names": ["-h", "--help"]},
)


def _print_version(wanted: bool) -> None:
    if wanted:
        typer.echo(version("taylored"))
        raise typer.Exit


@app.callback()
def root(
    _version: Annotated[
        bool,
        typer.Option(
            "--version", help="Print the version.", callback=_print_version, is_eager=True
        ),
    ] = False,
) -> None:
    """Losses tailored to long-tailed data, compared on your own."""


app.command()(compare)
app.command("list")(list_losses)
app.command()(show)
app.command()(certify)
app.command()(explain)
app.command()(xray)
app.command()(study)
app.command()(doctor)
app.command()(tailor)
app.command()(env)
