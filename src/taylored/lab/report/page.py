"""The page: a template lays out figures, rows and texts that are finished before."""

import json
import re
from collections import Counter
from collections.abc import Iterator, Sequence
from dataclasses import dataclass, replace
from pathlib import Path

from jinja2 import Environment, PackageLoader, StrictUndefined
from markupsafe import Markup, escape

from taylored.lab.data import GROUPS
from taylored.lab.judgement.sentences import name_of
from taylored.lab.records import to_json
from taylored.lab.report import class_scores, curves, gradient_ratio, intervals
from taylored.lab.report.command import python_call, shell_command
from taylored.lab.report.figures.lines import Line, Panel
from taylored.lab.report.figures.palette import COLOURS
from taylored.lab.report.rows import class_table, loss_rows
from taylored.lab.report.settings import dataset_card, recorded_versions, settings
from taylored.lab.results import LossResult, Results
from taylored.lab.tasks import primary_of, task_of
from taylored.lab.wording import plural, plural_of, printable

SIZE_LIMIT = 2_000_000
"""Most bytes a report may have; past that, details of the embedded results are left out."""


def render(results: Results, folder: Path | None = None) -> str:
    """The report on a comparison as one self-contained HTML page.

    The same results and versions give the same bytes. Names from the data are escaped, also
    inside the figures and the embedded JSON.

    Args:
        results: the content of ``results.json``.
        folder: the run folder; its ``versions.json`` is shown if it exists.
    """
    environment = Environment(
        loader=PackageLoader("taylored.lab.report", "templates"),
        autoescape=True,
        undefined=StrictUndefined,
        finalize=_made_printable,
        trim_blocks=True,
        lstrip_blocks=True,
    )
    names = sorted({name_of(loss) for loss in results.losses}, key=len, reverse=True)
    environment.filters["sentence"] = lambda text: _mark_names(text, names)
    environment.filters["breakable"] = _breakable
    environment.globals["plural"] = plural
    template = environment.get_template("page.html.j2")
    content = _content(results, folder)
    page = ""
    for without, kept in _shortened(results):
        page = template.render(**content, data=embedded(kept), without=without)
        if len(page.encode()) <= SIZE_LIMIT:
            break
    return page


def embedded(results: Results) -> Markup:
    """Results as JSON that no HTML parser can leave: ``<``, ``>``, ``&`` are written as escapes."""
    text = json.dumps(to_json(results), sort_keys=True, separators=(",", ":"), allow_nan=False)
    for character in "<>&":
        text = text.replace(character, f"\\u{ord(character):04x}")
    return Markup(text)  # noqa: S704 - escaped for a script element just above


def _shortened(results: Results) -> Iterator[tuple[str, Results]]:
    """The results, then with less and less detail; first what is missing, in words."""
    yield "", results
    task = task_of(results)
    small = replace(results, losses=tuple(map(_without_lists, results.losses)))
    scores = f"per-{task.noun} {task.class_score} and gradient ratio"
    what = f"the curves and the {scores} of single trials"
    yield what, small
    what += f" and the list of {plural_of(task.noun)}"
    dataset = replace(results.dataset, class_names=(), train_counts=(), groups=())
    yield what, replace(small, dataset=dataset)


def _without_lists(loss: LossResult) -> LossResult:
    """The loss without what its trials hold for each class and each epoch."""
    trials = tuple(replace(trial, curve=(), gradient_ratio=None) for trial in loss.trials)
    return replace(loss, trials=trials)


def _content(results: Results, folder: Path | None) -> dict[str, object]:
    """Everything that the template names."""
    task = task_of(results)
    counts = Counter(results.dataset.groups)
    candidates = [loss for loss in results.losses if loss.role == "candidate"]
    return {
        "results": results,
        "verdict": results.verdict,
        "task": task,
        "nouns": plural_of(task.noun),
        "overall": task.metrics[task.overall],
        "metric": primary_of(results),
        "dataset": results.dataset,
        "groups": {group: counts[group] for group in GROUPS},
        "compared": len(candidates),
        "rows": loss_rows(results),
        "differences": _svg(intervals.differences_svg(results, intervals.WIDE)),
        "differences_narrow": _svg(intervals.differences_svg(results, intervals.NARROW)),
        "parts": [(loss.name, _svg(text)) for loss, text in intervals.parts_svg(results)],
        "training": _figures(curves.training(results)),
        "ratio_epochs": _figures(gradient_ratio.by_epoch(results)),
        "ratio_classes": _figures(gradient_ratio.by_class(results)),
        "ratio_when": gradient_ratio.WHEN,
        "ratio_limit": gradient_ratio.LIMIT if gradient_ratio.limited(results) else None,
        "gains": _figures(curves.gains(results)),
        "without_gain": [loss.name for loss in candidates if loss.gain is None],
        "scores": _figures(class_scores.score_panels(results)),
        "frequencies": _svg(class_scores.frequencies_svg(results)),
        "classes": class_table(results),
        "card": dataset_card(results),
        "settings": settings(results),
        "versions": recorded_versions(folder),
        "command": _source(shell_command(results.config)),
        "python": _source(python_call(results.config)),
        "style": Markup(_style()),  # noqa: S704 - a file of this package
    }


@dataclass(frozen=True)
class _Key:
    """The legend of one line: the name of its loss, its colour and its dashes."""

    name: str
    colour: str
    dash: str

    @classmethod
    def of(cls, line: Line) -> "_Key":
        dash = line.stroke.dash
        dashes = "" if isinstance(dash, str) else " ".join(f"{2 * n:g}" for n in dash[1])
        return cls(line.loss.name, line.stroke.colour.variable, dashes)


@dataclass(frozen=True)
class _Figure:
    """A panel as the template shows it, with the legend of its lines."""

    svg: Markup
    lines: list[_Key]


def _figures(panels: Sequence[Panel]) -> list[_Figure]:
    return [_Figure(_svg(panel.svg), list(map(_Key.of, panel.shown))) for panel in panels]


def _svg(text: str) -> Markup:
    return Markup(text)  # noqa: S704 - serialised by ElementTree, which escapes text and attributes


def _source(text: str | None) -> Markup | None:
    """Source text, whose line breaks stay."""
    if text is None:
        return None
    return Markup("\n").join(escape(printable(line)) for line in text.split("\n"))


def _style() -> str:
    light = "".join(f"--{c.variable}:{c.light};" for c in COLOURS)
    dark = "".join(f"--{c.variable}:{c.dark};" for c in COLOURS)
    css = (Path(__file__).parent / "templates" / "style.css").read_text(encoding="utf-8")
    return css.replace("/* light colours */", light).replace("/* dark colours */", dark)


def _made_printable(value: object) -> object:
    return printable(value) if isinstance(value, str) and not isinstance(value, Markup) else value


def _mark_names(text: str, names: Sequence[str]) -> Markup:
    """A sentence with the names of losses set as code."""
    known = [str(escape(name)) for name in names]
    pattern = "|".join(re.escape(name) for name in known) or "(?!)"
    pieces = re.split(rf"(?<![\w-])({pattern})(?![\w-])", str(escape(printable(text))))
    # Odd pieces are the names, which stay as they are: a hyphen in them is no minus sign.
    marked = (
        f"<code>{piece}</code>" if index % 2 else _typographic(piece)
        for index, piece in enumerate(pieces)
    )
    return Markup("".join(marked))  # noqa: S704 - escaped above; only the code tags are ours


def _typographic(text: str) -> str:
    text = re.sub(r"(?<!\w)-(?=\d)", "\N{MINUS SIGN}", text)
    return re.sub(r"(?<=\d) (?=%)", "\N{NO-BREAK SPACE}", text)


def _breakable(name: str) -> Markup:
    """A name that may be broken after its first bracket and its commas, where it reads well."""
    safe = str(escape(printable(name))).replace("(", "(<wbr>", 1).replace(",", ",<wbr>")
    return Markup(safe)  # noqa: S704 - escaped above
