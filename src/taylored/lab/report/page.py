"""Assembling the page: the template gets finished figures, rows and texts and lays them out."""

from __future__ import annotations

import json
import re
from collections import Counter
from collections.abc import Iterator, Mapping, Sequence
from pathlib import Path
from typing import Any

from jinja2 import Environment, PackageLoader, StrictUndefined
from markupsafe import Markup, escape

from taylored.lab.report import class_scores, curves, gradient_ratio, intervals
from taylored.lab.report.command import python_call, shell_command
from taylored.lab.report.palette import COLOURS, strokes
from taylored.lab.report.rows import class_rows, loss_rows
from taylored.lab.report.settings import dataset_card, settings, versions
from taylored.lab.tasks import task_of
from taylored.lab.verdict.sentences import name_of
from taylored.lab.wording import plural, plural_of, printable

SIZE_LIMIT = 2_000_000
"""Most bytes a report may have; past that, details of the embedded results are left out."""


def render(results: Mapping[str, Any], folder: Path | None = None) -> str:
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
        finalize=_printable,
        trim_blocks=True,
        lstrip_blocks=True,
    )
    names = sorted({str(entry["name"]) for entry in results["losses"]}, key=len, reverse=True)
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


def embedded(results: Mapping[str, Any]) -> Markup:
    """Results as JSON that no HTML parser can leave: ``<``, ``>``, ``&`` are written as escapes."""
    text = json.dumps(results, sort_keys=True, separators=(",", ":"), allow_nan=False)
    for character in "<>&":
        text = text.replace(character, f"\\u{ord(character):04x}")
    return Markup(text)  # noqa: S704 - escaped for a script element just above


def _shortened(results: Mapping[str, Any]) -> Iterator[tuple[str, Mapping[str, Any]]]:
    """The results, then with less and less detail; first what is missing, in words."""
    yield "", results
    bulky = {"curve", "recall", "average_precision", "gradient_ratio"}
    losses = [
        {**entry, "trials": [_without(trial, bulky) for trial in entry["trials"]]}
        for entry in results["losses"]
    ]
    task = task_of(results)
    scores = f"per-{task.noun} {task.class_score} and gradient ratio"
    what = f"the curves and the {scores} of single trials"
    yield what, {**results, "losses": losses}
    dataset = _without(results["dataset"], {"class_names", "train_counts", "groups"})
    what += f" and the list of {plural_of(task.noun)}"
    yield what, {**results, "losses": losses, "dataset": dataset}


def _without(mapping: Mapping[str, Any], keys: set[str]) -> dict[str, Any]:
    return {key: value for key, value in mapping.items() if key not in keys}


def _content(results: Mapping[str, Any], folder: Path | None) -> dict[str, Any]:
    entries = results["losses"]
    dataset = results["dataset"]
    task = task_of(results)
    counts = Counter(dataset.get("groups") or ())
    return {
        "results": results,
        "verdict": results["verdict"],
        "control": results["control"],
        "task": task,
        "nouns": plural_of(task.noun),
        "overall": task.metrics[task.overall],
        "metric": task.metrics[results["primary_metric"]],
        "dataset": dataset,
        "groups": {group: counts[group] for group in ("head", "medium", "tail")},
        "seeds": max((len(entry["trials"]) for entry in entries), default=0),
        "compared": sum(entry["role"] == "candidate" for entry in entries),
        "rows": loss_rows(results),
        "legend": _legend(entries),
        "differences": _svg(intervals.differences_svg(results, intervals.WIDE)),
        "differences_narrow": _svg(intervals.differences_svg(results, intervals.NARROW)),
        "parts": [
            {"entry": entry, "svg": _svg(text)} for entry, text in intervals.parts_svg(results)
        ],
        "training": _panels(curves.training(results)),
        "ratio_epochs": _panels(gradient_ratio.by_epoch(results)),
        "ratio_classes": _panels(gradient_ratio.by_class(results)),
        "ratio_when": gradient_ratio.WHEN,
        "ratio_limit": gradient_ratio.LIMIT if gradient_ratio.limited(results) else None,
        "gains": _panels(curves.gains(results)),
        "without_gain": [
            str(entry["name"])
            for entry in entries
            if entry["gain"] is None and entry["role"] == "candidate"
        ],
        "scores": _panels(class_scores.score_panels(results)),
        "frequencies": _svg(class_scores.frequencies_svg(results)),
        "classes": class_rows(results),
        "card": dataset_card(results),
        "settings": settings(results),
        "versions": versions(folder),
        "command": _source(shell_command(results["config"])),
        "python": _source(python_call(results["config"])),
        "style": Markup(_style()),  # noqa: S704 - a file of this package
    }


def _panels(panels: Sequence[Any]) -> list[dict[str, Any]]:
    return [
        {
            "svg": _svg(panel.svg),
            "lines": [_key(line.entry, line.stroke) for line in panel.shown],
            "title": panel.shown[-1].entry["name"],
        }
        for panel in panels
    ]


def _legend(entries: Sequence[Mapping[str, Any]]) -> list[dict[str, str]]:
    return [
        _key(entry, stroke)
        for entry, stroke in zip(entries, strokes(entries), strict=True)
        if entry["role"] != "control"
    ]


def _key(entry: Mapping[str, Any], stroke: Any) -> dict[str, str]:
    dash = "" if isinstance(stroke.dash, str) else " ".join(f"{2 * n:g}" for n in stroke.dash[1])
    return {"name": str(entry["name"]), "colour": stroke.colour.variable, "dash": dash}


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


def _printable(value: object) -> object:
    return printable(value) if isinstance(value, str) and not isinstance(value, Markup) else value


def _mark_names(text: str, names: Sequence[str]) -> Markup:
    """A sentence with the names of losses set as code."""
    known = [str(escape(name_of({"name": name}))) for name in names]
    pattern = "|".join(re.escape(name) for name in known) or "(?!)"
    pieces = re.split(rf"(?<![\w-])({pattern})(?![\w-])", str(escape(printable(text))))
    # Odd pieces are the names; a minus sign is typographic everywhere but in them.
    marked = (
        f"<code>{piece}</code>" if index % 2 else _typeset(piece)
        for index, piece in enumerate(pieces)
    )
    return Markup("".join(marked))  # noqa: S704 - escaped above; only the code tags are ours


def _typeset(text: str) -> str:
    text = re.sub(r"(?<!\w)-(?=\d)", "\N{MINUS SIGN}", text)
    return re.sub(r"(?<=\d) (?=%)", "\N{NO-BREAK SPACE}", text)


def _breakable(name: str) -> Markup:
    """A name that may be broken after its first bracket and its commas, where it reads well."""
    safe = str(escape(printable(name))).replace("(", "(<wbr>", 1).replace(",", ",<wbr>")
    return Markup(safe)  # noqa: S704 - escaped above
