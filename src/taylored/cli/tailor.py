"""`taylored tailor`: learn a loss from the data, and have it judged."""

from __future__ import annotations

import sys
from pathlib import Path
from typing import Annotated

import typer
from rich.console import Console
from rich.text import Text

from taylored.cli.failures import reported


def tailor(
    data: Annotated[
        str, typer.Option(help="kanjivg-strokes, digits-lt, a table, an .npz, images.")
    ] = "kanjivg-strokes",
    target: Annotated[str | None, typer.Option(help="Column with the classes, for tables.")] = None,
    model: Annotated[str, typer.Option(help="auto, linear, mlp, cnn or grid_cnn.")] = "auto",
    powers: Annotated[int, typer.Option(help="Coefficients to learn, at most 8.")] = 4,
    epochs: Annotated[int | None, typer.Option(help="Passes over the training part.")] = None,
    lr: Annotated[float, typer.Option(help="Learning rate at the start.")] = 0.01,
    seed: Annotated[int, typer.Option(help="Where all randomness starts.")] = 0,
    against: Annotated[
        list[str] | None,
        typer.Option(
            metavar="LOSS",
            help="Compare with this loss, on rows that were not looked at; may be repeated.",
            show_default=False,
        ),
    ] = None,
    out: Annotated[
        Path | None, typer.Option(help="Run folder of the comparison.", show_default=False)
    ] = None,
    as_json: Annotated[bool, typer.Option("--json", help="Print everything as JSON.")] = False,
    png: Annotated[
        Path | None, typer.Option(help="Draw the numbers along the training.", show_default=False)
    ] = None,
) -> None:
    """Learn a loss: coefficients of 1 - p, strength of the class prior, and a temperature.

    They are learned along one training, from what the next step does to the validation loss. With
    --against the loss is then trained from scratch beside others. Example:

      taylored tailor --against "poly(epsilon=2)" --against "logit_adjusted(tau=1)"
    """
    with reported():
        from taylored.tailor import tailor as tailored

        found = tailored(
            data, target=target, model=model, powers=powers, epochs=epochs, learning_rate=lr,
            seed=seed,
        )  # fmt: skip
        if png is not None:
            import matplotlib as mpl

            mpl.use("agg")
            found.draw()[0].savefig(png, dpi=110)
        result = found.judge(against, out=out) if against else None
    if as_json:
        sys.stdout.write(found.to_json() + "\n")
        return
    console = Console(highlight=False)
    console.print(Text(f"Learned in {found.seconds:.1f} seconds: {found.loss}"), soft_wrap=True)
    if result is not None:
        console.print(result.rich_table())
        console.print(Text(result.verdict), soft_wrap=True)
        console.print(Text(f"Report: {result.folder}/report.html"), soft_wrap=True)
