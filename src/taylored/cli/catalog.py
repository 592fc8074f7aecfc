"""`taylored list` and `taylored show`: the catalogue in the terminal."""

from collections.abc import Iterator
from contextlib import contextmanager, suppress
from typing import Annotated

import typer
from rich.console import Console
from rich.padding import Padding
from rich.table import Table
from rich.text import Text

from taylored import catalog
from taylored.cli.failures import USAGE, stop
from taylored.core.written import literal
from taylored.lab.wording import plural
from taylored.modules.base import Loss
from taylored.modules.classification import ClassificationLoss
from taylored.modules.fields.parameter import REQUIRED, Parameter
from taylored.modules.spec import Spec

_GAINS_AT = (0.01, 0.1, 0.5, 0.9, 0.99)


def list_losses(
    family: Annotated[str | None, typer.Option(help="Only losses of this family.")] = None,
) -> None:
    """List the losses of the catalogue."""
    with _message_for_value_errors():
        names = catalog.names(family)
        if not names:
            families = sorted({spec.family for spec in catalog.SPECS.values()})
            raise ValueError(
                f"`--family` must be one of {', '.join(families)}, got {family!r}. "
                "Fix: pick one of these, or leave it out"
            )
        table = Table(box=None, pad_edge=False, header_style="bold")
        table.add_column("loss", no_wrap=True)
        table.add_column("links", no_wrap=True)
        table.add_column("what it is")
        for name in names:
            spec = catalog.SPECS[name]
            table.add_row(name, ", ".join(spec.links) or "-", spec.summary)
        console = Console(highlight=False)
        console.print(table)
        console.print("\nMore on one of them: taylored show focal", style="dim")


def show(
    loss: Annotated[str, typer.Argument(metavar="LOSS", help="Like 'poly(epsilon=2)'.")],
) -> None:
    """Show a loss: formula, parameters, reference, how other libraries differ.

    For example: taylored show "poly(epsilon=2)"; of a sum, "dice + 0.5 * focal", every part
    """
    with _message_for_value_errors():
        parts = catalog.parts(loss)
        if len(parts) == 1 and parts[0][0] == 1:
            return _show_one(loss)
        console = Console(highlight=False)
        text = f": a weighted sum of {plural(len(parts), 'loss')}, called on {catalog.takes(loss)}"
        console.print(Text.assemble((loss, "bold"), text))
        if not catalog.needs(loss):
            console.print(Padding(Text(repr(catalog.get(loss))), (0, 2)))
        for weight, part in parts:
            console.rule(Text(part if weight == 1 else f"{weight:g} * {part}"), style="dim")
            _show_one(part)


def _show_one(loss: str) -> None:
    spec = catalog.spec(loss)
    bare_wrapper = spec.inner == "required" and loss.strip() == spec.name
    # Losses that need class counts can only be built where there is data.
    built = None if bare_wrapper or catalog.needs(loss) else catalog.get(loss)
    console = Console(highlight=False)
    console.print(Text.assemble((spec.name, "bold"), f": {spec.summary}"))
    _facts(console, spec)
    if built is not None:
        _this_one(console, built)
    if not bare_wrapper:
        _guarantees(console, loss)
    _parameters(console, spec)
    if spec.differs:
        console.print("\nElsewhere", style="bold")
        for library, difference in spec.differs:
            console.print(Padding(Text.assemble((library, "italic"), f": {difference}"), (0, 2)))


@contextmanager
def _message_for_value_errors() -> Iterator[None]:
    """End wrong names and parameters in a message and not in a traceback."""
    try:
        yield
    except ValueError as error:
        stop(str(error), USAGE)


def _facts(console: Console, spec: Spec) -> None:
    reference = spec.reference
    python = f"taylored.{spec.module.__name__}"
    if spec.function is not None:
        python += f", taylored.{spec.function.__name__}"
    rows = (
        ("formula (LaTeX)", spec.formula),
        ("Python", python),
        *([("links", ", ".join(spec.links))] if spec.links else []),
        ("targets", ", ".join(spec.targets)),
        ("range", spec.value_range),
        ("mean divides by", spec.denominator),
        *([("accuracy", spec.accuracy)] if spec.accuracy else []),
        (
            "reference",
            f"{reference.authors}. {reference.title}. {reference.venue}, {reference.equation}",
        ),
    )
    table = Table(box=None, show_header=False, pad_edge=False)
    table.add_column(style="dim", no_wrap=True)
    table.add_column()
    for name, text in rows:
        table.add_row(name, Text(text))
    console.print(table)


def _this_one(console: Console, built: Loss) -> None:
    console.print("\nThis one", style="bold")
    console.print(Padding(Text(repr(built)), (0, 2)))
    if not isinstance(built, ClassificationLoss) or not built.has_term:
        return
    term = built.term
    console.print(Padding(Text(f"loss of p_t:  {term}"), (0, 2)))
    if term.parameters():  # one value per class: no single curve or series
        return
    with suppress(ValueError):  # a term with a margin has no series that says anything
        console.print(Padding(Text(f"series in q = 1 - p:  {term.series(4)!r} ..."), (0, 2)))
    gains = "   ".join(f"{p:g}: {term.gain(p).item():.3g}" for p in _GAINS_AT)
    console.print(Padding(Text(f"gradient relative to cross-entropy at p_t =  {gains}"), (0, 2)))


def _guarantees(console: Console, loss: str) -> None:
    """What is proved about it, in short; nothing for a loss that is no function of p_t."""
    from taylored.certificates.wording import short

    try:
        certificate = catalog.certify(loss)
    except ValueError:
        return
    console.print("\nProved (taylored certify)", style="bold")
    for line in short(certificate.to_dict()):
        console.print(Padding(Text(line), (0, 2)))


def _parameters(console: Console, spec: Spec) -> None:
    console.print("\nParameters", style="bold")
    table = Table(box=None, pad_edge=False, header_style="dim", padding=(0, 2, 0, 0))
    for column in ("name", "default", "domain", "effect"):
        table.add_column(column, no_wrap=column in ("name", "default"))
    for parameter in spec.accepted:
        table.add_row(parameter.name, _default(parameter, spec), parameter.domain, parameter.effect)
    console.print(Padding(table, (0, 2)))


def _default(parameter: Parameter, spec: Spec) -> str:
    if parameter.default is REQUIRED:
        return "from the data"
    return literal(spec.links[0] if parameter.name == "link" else parameter.default)
