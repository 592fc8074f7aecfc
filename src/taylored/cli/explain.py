"""`taylored explain`: what losses do, in the terminal, as a picture, as data, as a page."""

from __future__ import annotations

import sys
from collections.abc import Iterable, Sequence
from dataclasses import replace
from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import typer
from rich.console import Console
from rich.padding import Padding
from rich.table import Table
from rich.text import Text

from taylored.cli.failures import USAGE, stop, told

if TYPE_CHECKING:
    from taylored.explain import (
        Effect,
        Explanation,
        LossView,
        OnData,
        Optimum,
        Outputs,
        Polynomials,
        View,
    )

_AT = (0.01, 0.1, 0.3, 0.5, 0.7, 0.9, 0.99)
_BARS = " ▁▂▃▄▅▆▇█"
_WIDTH = 24
"""Characters of a small plot, from p_t = 0 to 1."""


def explain(
    losses: Annotated[
        list[str],
        typer.Argument(metavar="LOSS", help="Like 'focal(gamma=2)' or file.py:Loss; up to eight."),
    ],
    as_json: Annotated[bool, typer.Option("--json", help="Print everything as JSON.")] = False,
    png: Annotated[
        Path | None, typer.Option(help="Draw the curves into this file.", show_default=False)
    ] = None,
    svg: Annotated[Path | None, typer.Option(help="The same as SVG.", show_default=False)] = None,
    data: Annotated[
        Path | None,
        typer.Option(
            help="An .npz with `logits` and `target`: where a model's samples are, and which of "
            "them get the gradient.",
            show_default=False,
        ),
    ] = None,
    html: Annotated[
        Path | None,
        typer.Option(help="Write a page whose sliders move the parameters.", show_default=False),
    ] = None,
) -> None:
    """Explain what losses do: curves, easy and hard, parameters, series, what p means, proofs.

    Several losses are laid over each other. Example:

      taylored explain cross_entropy "focal(gamma=2)" "poly(epsilon=2)" --html losses.html
    """
    from taylored.explain import explain as explained

    try:
        found = explained(losses, data=None if data is None else _outputs(data))
    except ValueError as error:
        stop(str(error), USAGE)
    with told():
        written = list(_write(found, png, svg, html))
    if as_json:
        sys.stdout.write(found.to_json() + "\n")
        return
    console = Console(highlight=False)
    _overlay(console, found)
    for loss in found.losses:
        _show(console, loss)
    for file in written:
        console.print(Text(f"\nWritten: {file}"), soft_wrap=True)


def _outputs(file: Path) -> Outputs:
    """Logits and target of a file, with the classes in groups by how often each is true."""
    import torch

    from taylored.explain import Outputs
    from taylored.lab.data import class_groups
    from taylored.lab.data.formats.archive import ArchiveError, read_archive

    mend = "Fix: save it by numpy.savez(path, logits=logits, target=target)"
    try:
        arrays, names = read_archive(file, ("logits", "target"))
    except ArchiveError as error:
        raise ValueError(f"`data` {file.name}: {error}. {mend}") from error
    if len(arrays) < 2:
        listed = ", ".join(names) or "nothing"
        raise ValueError(f"`data` {file.name} must hold logits and target, got {listed}. {mend}")
    found = Outputs(torch.as_tensor(arrays["logits"]), torch.as_tensor(arrays["target"]))
    if found.logits.shape[1] < 2:
        return found
    return replace(found, groups=class_groups(found.of_each_class()))


def _write(
    found: Explanation, png: Path | None, svg: Path | None, html: Path | None
) -> Iterable[Path]:
    for file, kind in ((png, "png"), (svg, "svg")):
        if file is not None:
            import matplotlib as mpl

            mpl.use("agg")
            figure, _ = found.draw()
            figure.savefig(file, format=kind, dpi=160)
            yield file
    if html is not None:
        html.write_text(found.to_html(), encoding="utf-8")
        yield html


def _overlay(console: Console, found: Explanation) -> None:
    """The gain of all losses at the same p_t."""
    console.print(Text("Gain: the gradient relative to cross-entropy, at p_t", style="bold"))
    table = _table("loss", *(f"{p:g}" for p in _AT), "p_t from 0 to 1")
    for loss in found.losses:
        for view in loss.views:
            name = loss.name if len(loss.views) == 1 else f"{loss.name}, {view.side}"
            table.add_row(
                Text(name), *(f"{view.at(p)[2]:.3g}" for p in _AT), _plot(console, view, 2)
            )
    console.print(Padding(table, (0, 2)))


def _show(console: Console, loss: LossView) -> None:
    console.print()
    console.rule(Text.assemble((loss.name, "bold")), style="dim", align="left")
    if loss.summary:
        console.print(Text(f"{loss.summary}; {loss.subject.link} link"))
    for note in loss.notes:
        console.print(Text(f"Note: {note}."), style="yellow")
    _head(console, "Loss and gradient")
    table = _table("", *(f"p_t {p:g}" for p in _AT), "p_t from 0 to 1")
    for view in loss.views:
        for at, name in enumerate(("loss", "gradient")):
            label = name if len(loss.views) == 1 else f"{name}, {view.side}"
            table.add_row(label, *(f"{view.at(p)[at]:.3g}" for p in _AT), _plot(console, view, at))
    console.print(Padding(table, (0, 2)))
    _head(console, "Easy and hard")
    for view, regions in zip(loss.views, loss.regions, strict=True):
        side = "" if len(loss.views) == 1 else f"{view.side}: "
        _lines(console, [f"{side}{'; '.join(regions.sentences())}"])
    if loss.effects:
        _head(console, "Parameters: gain at p_t = 0.1, 0.5, 0.9")
        for effect in loss.effects:
            _effect(console, effect)
    if loss.polynomials is not None:
        _series(console, loss.polynomials)
    _head(console, "What p means: the p of the model that is optimal where labels are noisy")
    for side, optimum in loss.optimum.items():
        _optimum(console, "" if len(loss.optimum) == 1 else side, optimum)
    if loss.data is not None:
        _on_data(console, loss.data)
    if loss.certificate:
        _head(console, "Proved (taylored certify)")
        _lines(console, loss.certificate)


def _effect(console: Console, effect: Effect) -> None:
    _lines(console, [f"{effect.knob.label} = {effect.knob.value:g}: {effect.knob.effect}"])
    table = _table("side", *(f"{value:.3g}" for value in effect.values))
    for side, views in effect.family.items():
        gains = (" ".join(f"{view.at(p)[2]:.2g}" for p in (0.1, 0.5, 0.9)) for view in views)
        table.add_row(side, *gains)
    console.print(Padding(table, (0, 4)))


def _series(console: Console, found: Polynomials) -> None:
    _head(console, "Series in q = 1 - p_t")
    pairs = zip(found.exponents, found.coefficients, strict=True)
    listed = " + ".join(f"{c:.4g} q^{e:g}" for e, c in pairs)
    _lines(console, [f"{listed} + ...".replace("+ -", "- ")])
    table = _table("", *(f"p_t {p:g}" for p in found.p))
    table.add_row("loss", *(f"{v:.4g}" for v in found.value))
    for count, rest in found.remainders.items():
        table.add_row(f"left after {count}", *(f"{v:.2g}" for v in rest))
    table.add_row("gradient of the first", *(f"{share:.0%}" for share in found.first))
    console.print(Padding(table, (0, 2)))
    said = (
        f"{'more than 400' if count is None else count} for {error:g} from p_t = {low:g} on"
        for error, low, count in found.needed
    )
    _lines(console, [f"terms needed for an error of: {'; '.join(said)}"])


def _optimum(console: Console, side: str, found: Optimum) -> None:
    table = _table(side or "noise", *(f"{noise:.0%}" for noise in found.noise))
    table.add_row("truth", *(f"{truth:.3g}" for truth in found.truth))
    models = (
        "none" if p is None else f"{p:.3g}" if inside else f"-> {round(p)}"
        for p, inside in zip(found.model, found.finite, strict=True)
    )
    table.add_row("model's p", *models)
    if any(read is not None for read in found.posterior):
        table.add_row("posterior", *("-" if p is None else f"{p:.3g}" for p in found.posterior))
    console.print(Padding(table, (0, 2)))


def _on_data(console: Console, found: OnData) -> None:
    _head(console, "On the outputs given")
    _lines(console, found.sentences())
    table = _table("p_t below", *(f"{(k + 1) / len(found.samples):.1f}"
                                  for k in range(len(found.samples))))  # fmt: skip
    table.add_row("samples", *(f"{share:.0%}" for share in found.samples))
    table.add_row("gradient", *(f"{share:.0%}" for share in found.gradient))
    console.print(Padding(table, (0, 2)))


def _plot(console: Console, view: View, at: int) -> Text:
    """A line of bars, 0 to its own largest value; no bars where they cannot be written."""
    values = [view.at((i + 0.5) / _WIDTH)[at] for i in range(_WIDTH)]
    top = max(values)
    if not 0 < top < float("inf") or console.options.ascii_only:
        return Text("")
    steps = (min(max(round(v / top * 8), 0), 8) if v == v else 0 for v in values)
    return Text("".join(_BARS[step] for step in steps), style="cyan")


def _table(*columns: str) -> Table:
    table = Table(box=None, pad_edge=False, header_style="dim", padding=(0, 2, 0, 0))
    for number, column in enumerate(columns):
        table.add_column(Text(column), no_wrap=number > 0, overflow="ellipsis")
    return table


def _head(console: Console, text: str) -> None:
    console.print(Text(f"\n{text}", style="bold"))


def _lines(console: Console, lines: Sequence[str]) -> None:
    for line in lines:
        console.print(Padding(Text(line), (0, 2)))
