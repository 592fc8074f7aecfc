"""`taylored compare`: parse and print; the work is `taylored.lab.compare`."""

import sys
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any

import typer

from taylored.cli.failures import USAGE, reported, stop
from taylored.cli.snippet import call
from taylored.cli.terminal import FAILURE

if TYPE_CHECKING:
    from taylored.lab import Comparison

_UNESCAPED = {"\\t": "\t"}
"""A tab as a shell passes it on."""
_WITH = {
    "resume": {"as_json", "workers", "time_limit", "data", "repeats", "add_loss"},
    "join": {"as_json", "workers", "time_limit", "data"},
}
"""The options that go with each way to go on with a run."""


def _columns(text: str = "") -> Any:
    """An option that may be given several times, with a column each time."""
    return typer.Option(help=text, metavar="COLUMN", show_default=False, hidden=not text)


def _named_above(*names: str) -> Any:
    """An option that the text of the help names; a line for each would make it twice as long."""
    return typer.Option(*names, hidden=True)


def compare(
    context: typer.Context,
    losses: Annotated[
        list[str] | None,
        typer.Argument(
            metavar="LOSS",
            help="Like 'focal(gamma=2)', or your own: file.py:Loss.",
            show_default=False,
        ),
    ] = None,
    data: Annotated[
        str,
        typer.Option(
            help="kanjivg-strokes, kanjivg-components, digits-lt, a table, an .npz, images.",
        ),
    ] = "kanjivg-strokes",
    target: Annotated[str | None, typer.Option(help="Column with the classes, for tables.")] = None,
    drop: Annotated[list[str] | None, _columns("Column to leave out; may be repeated.")] = None,
    keep: Annotated[list[str] | None, _columns()] = None,
    category: Annotated[list[str] | None, _columns()] = None,
    group: Annotated[str | None, _named_above()] = None,
    na: Annotated[list[str] | None, _named_above()] = None,
    separator: Annotated[str | None, _named_above()] = None,
    decimal: Annotated[str | None, _named_above()] = None,
    encoding: Annotated[str | None, _named_above()] = None,
    no_header: Annotated[bool, _named_above("--no-header")] = False,
    image_size: Annotated[int | None, _named_above()] = None,
    backbone: Annotated[str | None, _named_above()] = None,
    skip_damaged: Annotated[bool, _named_above("--skip-damaged")] = False,
    min_per_class: Annotated[int, _named_above()] = 5,
    model: Annotated[
        str,
        typer.Option(
            help="auto, linear, mlp, cnn, grid_cnn or module:function.", show_default=False
        ),
    ] = "auto",
    metric: Annotated[
        str | None,
        typer.Option(
            help="balanced_accuracy, accuracy, head, medium, tail, macro_f1, mcc, auroc, nll, "
            "average_precision (labels: mean_, micro_).",
            show_default=False,
        ),
    ] = None,
    quick: Annotated[bool, typer.Option("--quick", help="Six losses, fewer steps.")] = False,
    repeats: Annotated[int | None, typer.Option(help="Of the cross-validation (1).")] = None,
    until_decided: Annotated[
        bool, typer.Option("--until-decided", help="One more repeat for undecided losses.")
    ] = False,
    seed: Annotated[int, typer.Option(help="Where all randomness starts.")] = 0,
    epochs: Annotated[int | None, typer.Option(help="Passes over the training part.")] = None,
    tune_lr: Annotated[
        str, typer.Option(help="For each loss (default) or cross_entropy.", show_default=False)
    ] = "each",
    lr: Annotated[float | None, typer.Option(help="Fix the learning rate instead.")] = None,
    weight_decay: Annotated[str, _named_above()] = "0.01",
    workers: Annotated[int | None, typer.Option(help="Processes (one per processor).")] = None,
    time_limit: Annotated[float | None, _named_above()] = None,
    out: Annotated[Path | None, typer.Option(help="Run folder (runs/compare/<date>).")] = None,
    resume: Annotated[
        Path | None, typer.Option(help="Finish a run; more --repeats let it grow.")
    ] = None,
    add_loss: Annotated[
        list[str] | None, typer.Option(metavar="LOSS", help="A loss to add with --resume.")
    ] = None,
    join: Annotated[Path | None, typer.Option(help="Help with a run that others work on.")] = None,
    as_json: Annotated[bool, typer.Option("--json", help="Print results.json only.")] = False,
) -> None:
    """Which loss is better on my data?

    Trains every loss on the same folds, weights and batches, and says what differs from the best
    that cross-entropy reaches for nothing. With many labels per sample losses need link="sigmoid".
    Reading is steered by --drop, --keep, --category, --group, --na, --separator, --decimal,
    --encoding, --no-header, --image-size, --backbone, --skip-damaged and --min-per-class;
    --time-limit (300) ends trainings that hang, --weight-decay (0.01; a list or "tune" chooses) is
    that of AdamW. Example:

      taylored compare "focal(gamma=2)" --data my.csv --target species --quick
    """
    settings: dict[str, object] = {
        "losses": losses or None,
        "data": data,
        "target": target,
        "model": model,
        "metric": metric,
        "budget": "quick" if quick else "default",
        "repeats": repeats,
        "until": "decided" if until_decided else "done",
        "seed": seed,
        "epochs": epochs,
        "tune_lr": tune_lr,
        "lr": lr,
        "weight_decay": _decays(weight_decay),
        "workers": workers,
        "time_limit": time_limit,
        "out": None if out is None else str(out),
    }
    with reported():
        from taylored import lab

        reading = lab.Reading(
            drop=tuple(drop or ()),
            keep=tuple(keep or ()),
            categories=tuple(category or ()),
            group=group,
            na=None if na is None else tuple(na),
            separator=_UNESCAPED.get(separator or "", separator),
            decimal=decimal,  # type: ignore[arg-type]  # checked there
            encoding=encoding,
            header="none" if no_header else "first line",
            image_size=image_size,
            backbone=backbone,  # type: ignore[arg-type]  # checked there
            damaged="skip" if skip_damaged else "refuse",
            min_per_class=min_per_class,
        )
        if reading.given():
            settings["reading"] = reading
        given = _given(context)
        go_on = {"workers": workers, "time_limit": time_limit, "data": given.get("data")}
        if resume is not None:
            _refuse_others("resume", given)
            go_on |= {"folder": str(resume), "repeats": repeats, "add_losses": add_loss or ()}
            result = lab.resume(**go_on)  # type: ignore[arg-type]
            snippet = call(lab.resume, go_on)
        elif join is not None:
            _refuse_others("join", given)
            go_on["folder"] = str(join)
            result = lab.join(**go_on)  # type: ignore[arg-type]
            snippet = call(lab.join, go_on)
        else:
            if add_loss:
                stop("--add-loss goes with --resume: name all losses at once.", USAGE)
            result = lab.compare(**settings)  # type: ignore[arg-type]
            snippet = call(lab.compare, settings)
        _print(result, snippet, as_json)
        if result.failures:
            reasons = "\n".join(f"  {name}: {why}" for name, why in result.failures.items())
            stop(f"{len(result.failures)} trainings failed:\n{reasons}", FAILURE)


def _decays(text: str) -> float | list[float] | str:
    """The number, or the numbers between commas; other text as it is, which is checked later."""
    try:
        numbers = [float(part) for part in text.split(",")]
    except ValueError:
        return text
    return numbers[0] if len(numbers) == 1 else numbers


def _given(context: typer.Context) -> dict[str, object]:
    """The arguments that were typed, by name."""
    return {
        name: value
        for name, value in context.params.items()
        if _source(context, name) == "COMMANDLINE"
    }


def _refuse_others(how: str, given: dict[str, object]) -> None:
    others = [name for name in given if name != how and name not in _WITH[how]]
    if others:
        options = ", ".join(name.replace("_", "-") for name in others)
        stop(f"--{how} takes all settings from the run: leave out {options}.", USAGE)


def _source(context: typer.Context, name: str) -> str:
    source = context.get_parameter_source(name)
    return "" if source is None else source.name


def _print(result: "Comparison", snippet: str, as_json: bool) -> None:
    if as_json:
        sys.stdout.write(result.to_json() + "\n")
        return
    from rich.console import Console

    from taylored.lab.wording import escaped

    console = Console()
    console.print(result.rich_table())
    console.print()
    assert result.folder is not None  # noqa: S101 - a run always has a folder
    seconds = ", ".join(f"{name} {each:.3g}" for name, each in result.seconds().items())
    files = ", ".join(sorted(p.name for p in result.folder.iterdir() if p.is_file()))
    for line in (
        f"Seconds per epoch, one thread each: {seconds}",
        f"Report: {result.folder / 'report.html'}",
        f"Folder: {result.folder} ({files})",
    ):
        # Not markup: a folder may be called "[red]".
        console.print(escaped(line), soft_wrap=True, highlight=False, markup=False)
    console.print("The same in Python:", highlight=False)
    console.print(snippet, soft_wrap=True, highlight=False, markup=False)
