"""`taylored xray`: where validation wants more or less push, while models train."""

from __future__ import annotations

import sys
from collections.abc import Iterable
from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import typer
from rich.console import Console
from rich.padding import Padding
from rich.table import Table
from rich.text import Text

from taylored.cli.failures import reported

if TYPE_CHECKING:
    from taylored.xray import TrainingXRay
    from taylored.xray.moment import Moment, Outcome


def xray(
    losses: Annotated[
        list[str] | None,
        typer.Argument(
            metavar="LOSS",
            help="Like balanced_softmax or file.py:Loss; left out: two usual ones.",
            show_default=False,
        ),
    ] = None,
    data: Annotated[
        str, typer.Option(help="kanjivg-strokes, kanjivg-components, a table, an .npz, images.")
    ] = "kanjivg-strokes",
    target: Annotated[str | None, typer.Option(help="Column with the classes, for tables.")] = None,
    model: Annotated[str, typer.Option(help="auto, linear, mlp, cnn or grid_cnn.")] = "auto",
    at: Annotated[
        list[float] | None,
        typer.Option(help="Share of the training to look at; may be repeated.", show_default=False),
    ] = None,
    epochs: Annotated[int, typer.Option(help="Passes over the training part.")] = 6,
    lr: Annotated[float, typer.Option(help="Learning rate at the start.")] = 0.01,
    seed: Annotated[int, typer.Option(help="Where all randomness starts.")] = 0,
    as_json: Annotated[bool, typer.Option("--json", help="Print everything as JSON.")] = False,
    png: Annotated[
        Path | None, typer.Option(help="Draw the curves into this file.", show_default=False)
    ] = None,
    svg: Annotated[Path | None, typer.Option(help="The same as SVG.", show_default=False)] = None,
) -> None:
    """Where on the axis of p does validation want more push, and where less?

    Trains a model with each loss and looks, at a few moments, at the probability p of the true
    class: where on its axis, and for which classes, more push lowers the validation loss (the mean
    of the classes' cross-entropies). The last rows say what more of q, q^2, ... in the loss,
    q = 1 - p, would do to it in one step: below 0 is better. With many labels per row, p is that of
    the true answer about a label, positives and negatives apart. Example:

      taylored xray cross_entropy balanced_softmax --png xray.png
    """
    with reported():
        from taylored.xray import xray_training
        from taylored.xray.along import MOMENTS

        found = xray_training(
            losses or None,
            data,
            target=target,
            model=model,
            moments=tuple(at or MOMENTS),
            epochs=epochs,
            learning_rate=lr,
            seed=seed,
        )
        written = list(_write(found, png, svg))
    if as_json:
        sys.stdout.write(found.to_json() + "\n")
        return
    console = Console(highlight=False)
    for name, moments in found.moments.items():
        console.rule(Text(name, style="bold"), style="dim", align="left")
        for moment in moments:
            _show(console, moment)
    for file in written:
        console.print(Text(f"\nWritten: {file}"), soft_wrap=True)


def _write(found: TrainingXRay, png: Path | None, svg: Path | None) -> Iterable[Path]:
    for file, kind in ((png, "png"), (svg, "svg")):
        if file is not None:
            import matplotlib as mpl

            mpl.use("agg")
            figure, _ = found.draw()
            figure.savefig(file, format=kind, dpi=90)
            yield file


def _show(console: Console, moment: Moment) -> None:
    console.print(
        Text(
            f"\nAfter {moment.progress:.0%} of the training, validation loss "
            f"{moment.validation_loss:.3g}."
        )
    )
    for name, outcome in moment.outcomes.items():
        of = "" if name == "truth" else f" of the {name}"
        console.print(f"Wanted change of p{of}, by p (samples):")
        console.print(Padding(_table(outcome, moment.steepness or 1.0), (0, 2)))


def _table(outcome: Outcome, unit: float) -> Table:
    from taylored.xray.moment import POWERS

    edges = outcome.curve.edges
    table = Table(box=None, pad_edge=False, header_style="dim", padding=(0, 2, 0, 0))
    table.add_column("p")
    for group in outcome.curve.groups:
        table.add_column(group, justify="right")
    for index, low in enumerate(edges[:-1]):
        bins = [each[index] for each in outcome.curve.groups.values()]
        if not any(bins):
            continue
        cells = ("" if each is None else f"{-each.dp / unit:+.2g} ({each.count})" for each in bins)
        table.add_row(f"{low:g} - {edges[index + 1]:g}", *cells)
    table.add_section()
    for index, power in enumerate(POWERS):
        effects = (f"{each[index]:+.1e}" for each in outcome.by_group.values())
        table.add_row("more q" if power == 1 else f"more q^{power}", *effects)
    return table
