"""The page: a template lays out figures, rows and texts that are finished before."""

from collections import Counter
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Final

from markupsafe import Markup

from taylored.lab.data import GROUPS
from taylored.lab.judgement.sentences import name_of
from taylored.lab.report.columns import has_groups, other_columns
from taylored.lab.report.embedded import embedded, shortened
from taylored.lab.report.figures import (
    class_scores,
    curves,
    gradient_ratio,
    intervals,
    reliability,
    trade_off,
)
from taylored.lab.report.figures.lines import Line, Panel
from taylored.lab.report.figures.palette import strokes
from taylored.lab.report.markup import environment, script, script_hash, source, style, svg
from taylored.lab.report.rows import has_free_reference, loss_rows
from taylored.lab.report.sections.adjusted import adjusted_metrics, adjusted_rows
from taylored.lab.report.sections.binary import binary_rows, positive_class
from taylored.lab.report.sections.classes import class_table
from taylored.lab.report.sections.command import python_call, shell_command
from taylored.lab.report.sections.learning_rates import how_rates_were_found, rate_rows
from taylored.lab.report.sections.likelihood import likelihood_rows, resolution_text
from taylored.lab.report.sections.matched import matched_rows, price_label
from taylored.lab.report.sections.settings import dataset_card, recorded_versions, settings
from taylored.lab.report.sections.use_this import use_this
from taylored.lab.results import LossResult, Results
from taylored.lab.tasks import primary_of, task_of
from taylored.lab.wording import plural_of

SIZE_LIMIT: Final = 2_000_000
"""Most bytes a report may have; past that, details of the embedded results are left out."""
SAID_FIRST: Final = 2
"""Sentences of the verdict beside the first figure; the others follow the table."""


def render(results: Results, folder: Path | None = None) -> str:
    """The report on a comparison as one self-contained HTML page.

    The same results and versions give the same bytes. Names from the data are escaped, also
    inside the figures and the embedded JSON.

    Args:
        results: the content of ``results.json``.
        folder: the run folder; its ``versions.json`` is shown if it exists.
    """
    templates = environment([name_of(loss) for loss in results.losses])
    template = templates.get_template("page.html.j2")
    content = _content(results, folder)
    page = ""
    for without, kept in shortened(results):
        page = template.render(**content, data=embedded(kept), without=without)
        if len(page.encode()) <= SIZE_LIMIT:
            break
    return page


def _content(results: Results, folder: Path | None) -> dict[str, object]:
    """Everything that the templates name."""
    content = {
        **_frame(results),
        **_first_screen(results),
        **_sections(results),
        **_origin(results, folder),
    }
    return {**content, "contents": _contents(content, results)}


def _frame(results: Results) -> dict[str, object]:
    """What several parts of the page name."""
    task = task_of(results)
    counts = Counter(results.dataset.groups)
    return {
        "results": results,
        "verdict": results.verdict,
        "task": task,
        "nouns": plural_of(task.noun),
        "overall": task.metrics[task.overall],
        "metric": primary_of(results),
        "dataset": results.dataset,
        "grouped": has_groups(results),
        "groups": {group: counts[group] for group in GROUPS},
        "compared": len(_candidates(results)),
        "free_name": results.verdict.free,
        "free_rows": any(loss.role == "free" for loss in results.losses),
        "script": script(),
        "script_hash": script_hash(),
        "style": style(),
    }


def _first_screen(results: Results) -> dict[str, object]:
    others = other_columns(results)
    shown = {metric.key for metric in (*others, primary_of(results))}
    sentences = results.verdict.sentences
    return {
        "said_first": sentences[:SAID_FIRST],
        "said_next": sentences[SAID_FIRST:],
        "rows": loss_rows(results),
        "others": others,
        "has_plain": any(loss.versus_baseline is not None for loss in results.losses),
        "has_free": has_free_reference(results),
        "shows_ece": "ece" in shown,
        "shows_likelihood": bool(shown & {"nll", "ece"}),
        "resolution": resolution_text(results),
        "trade_off": svg(trade_off.trade_off_svg(results, trade_off.WIDE)),
        "trade_off_narrow": svg(trade_off.trade_off_svg(results, trade_off.NARROW)),
        "tail": svg(trade_off.trade_off_svg(results, trade_off.TAIL)),
        "keys": [
            _Key.of(Line(loss, stroke, (), ()))
            for loss, stroke in strokes(results.losses)
            if loss.role != "free"
        ],
    }


def _sections(results: Results) -> dict[str, object]:
    parts = intervals.parts_svg(results) if has_groups(results) else []
    table = class_table(results)
    use, rates = use_this(results), rate_rows(results)
    return {
        "use": use,
        "use_source": source(use.source),
        "differences": svg(intervals.differences_svg(results, intervals.WIDE)),
        "differences_narrow": svg(intervals.differences_svg(results, intervals.NARROW)),
        "differences_free": svg(intervals.differences_svg(results, intervals.WIDE_FREE)),
        "differences_free_narrow": svg(intervals.differences_svg(results, intervals.NARROW_FREE)),
        "parts": [(loss.name, svg(text)) for loss, text in parts],
        "matched": matched_rows(results),
        "price": price_label(results),
        "adjusted": adjusted_rows(results),
        "adjusted_metrics": adjusted_metrics(results),
        "binary": binary_rows(results),
        "positive": positive_class(results),
        "scores": _figures(class_scores.score_panels(results)) if has_groups(results) else [],
        "classes": table,
        "has_intervals": any(score.interval for row in table.rows for score in row.scores),
        "likelihood": likelihood_rows(results),
        "reliability": [(name, svg(text)) for name, text in reliability.reliability_svg(results)],
        "training": _figures(curves.training(results)),
        "ratio_epochs": _figures(gradient_ratio.by_epoch(results)) if has_groups(results) else [],
        "ratio_classes": _figures(gradient_ratio.by_class(results)) if has_groups(results) else [],
        "ratio_when": gradient_ratio.WHEN,
        "ratio_limit": gradient_ratio.LIMIT if gradient_ratio.limited(results) else None,
        "gains": _figures(curves.gains(results)),
        "without_gain": [loss.name for loss in _candidates(results) if loss.gain is None],
        "rates": rates,
        "tried": any(row.tried for row in rates),
        "how_rates_were_found": how_rates_were_found(results),
    }


def _origin(results: Results, folder: Path | None) -> dict[str, object]:
    """The data, and how to repeat the run."""
    return {
        "card": dataset_card(results),
        "frequencies": svg(class_scores.frequencies_svg(results)),
        "settings": settings(results),
        "versions": recorded_versions(folder),
        "command": source(shell_command(results.config)),
        "python": source(python_call(results.config)),
    }


def _contents(content: Mapping[str, object], results: Results) -> list[tuple[str, str]]:
    """Anchors and titles of the sections that this page has."""
    task = task_of(results)
    titles = (
        ("use", "Use this", True),
        ("differences", "Differences", content["differences"]),
        ("where", "Where it changes", content["parts"]),
        ("price", "At the same price", content["matched"]),
        ("adjusted", "After each loss's own adjustment", content["adjusted"]),
        ("binary", "Confusion, precision, recall", content["binary"]),
        ("classes", f"{task.noun.capitalize()} by {task.noun}", content["classes"]),
        ("probabilities", "Probabilities", content["likelihood"]),
        ("training", "Training", content["training"]),
        ("gradients", "Gradient ratio", content["ratio_epochs"] or content["ratio_classes"]),
        ("gains", "Gain of the losses", content["gains"]),
        ("data", "Data set", True),
        ("rates", "Learning rates", True),
        ("reproduce", "Reproduce, settings", True),
    )
    return [(anchor, title) for anchor, title, there in titles if there]


def _candidates(results: Results) -> list[LossResult]:
    return [loss for loss in results.losses if loss.role == "candidate"]


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
    return [_Figure(svg(panel.svg), list(map(_Key.of, panel.shown))) for panel in panels]
