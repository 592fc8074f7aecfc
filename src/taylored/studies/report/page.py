"""The page of a study, in the style of a comparison's: one file without anything outside of it."""

import json
from collections.abc import Mapping
from dataclasses import dataclass, replace
from pathlib import Path
from shlex import quote
from typing import Final

from markupsafe import Markup

from taylored.lab.records import to_json
from taylored.lab.report.markup import environment, script, script_hash, source, style, svg
from taylored.lab.report.sections.settings import card_of, recorded_versions
from taylored.lab.trial_result import LearningRates
from taylored.studies.records import Panel, StudyConfig, StudyResults, Surveyed
from taylored.studies.report.figure import colours, panel_svg
from taylored.studies.report.text import (
    FINDINGS,
    finding_rows,
    panel_columns,
    panel_rows,
    statistics_text,
    sureness,
)

SIZE_LIMIT: Final = 2_000_000
"""Most bytes a report may have."""


@dataclass(frozen=True)
class _Shown:
    """A panel with its figure, its legend and its table."""

    panel: Panel
    svg: Markup
    keys: list[tuple[str, str]]
    columns: tuple[str, ...]
    rows: list[tuple[str, ...]]


def render(results: StudyResults, folder: Path | None = None) -> str:
    """The report on a study; the same results and versions give the same bytes.

    Args:
        results: the content of ``results.json``.
        folder: of the study; its ``versions.json`` is shown if it exists.
    """
    losses = {loss for each in results.data for loss in each.learning_rate.chosen}
    template = environment([*losses], "taylored.studies.report").get_template("study.html.j2")
    return template.render(
        results=results,
        claims=[(claim, sureness(claim.confidence)) for claim in results.claims],
        columns=FINDINGS,
        rows=finding_rows(results),
        panels=[_shown(panel, index) for index, panel in enumerate(results.panels)],
        statistics=statistics_text(results),
        surveyed=[(each.dataset.name, _card(each), _trained(each)) for each in results.data],
        settings=_settings(results),
        command=source(shell_command(results.config)),
        python=source(python_call(results.config)),
        versions=recorded_versions(folder),
        style=style(),
        script=script(),
        script_hash=script_hash(),
        data=_embedded(results),
    )


def shell_command(config: StudyConfig) -> str | None:
    """The command line that repeats a study; None where its data were given in Python."""
    if None in config.data:
        return None
    words = ["taylored study", config.study]
    words += [f"--data {quote(each or '')}" for each in config.data]
    words += [f"--target {quote(config.target)}"] if config.target is not None else []
    words += ["--quick"] if config.budget == "quick" else []
    words += [f"--repeats {config.repeats}"] if config.repeats != 1 else []
    words += [f"--seed {config.seed}"] if config.seed else []
    words += [f"--epochs {config.epochs}"] if config.epochs is not None else []
    return " ".join(words)


def python_call(config: StudyConfig) -> str:
    """The same as a call."""
    given = [repr(each) if each is not None else "(features, labels)" for each in config.data]
    arguments = [repr(config.study), f"[{', '.join(given)}]"]
    arguments += [f"target={config.target!r}"] if config.target is not None else []
    arguments += ["budget='quick'"] if config.budget == "quick" else []
    arguments += [f"repeats={config.repeats}"] if config.repeats != 1 else []
    arguments += [f"seed={config.seed}"] if config.seed else []
    arguments += [f"epochs={config.epochs}"] if config.epochs is not None else []
    call = ", ".join(arguments)
    return f"from taylored import studies\n\noutcome = studies.study({call})"


def _shown(panel: Panel, index: int) -> _Shown:
    tabled = panel.tabled
    return _Shown(
        panel,
        svg(panel_svg(panel, f"panel{index}")),
        colours(panel),
        panel_columns(panel) if tabled else (),
        panel_rows(panel) if tabled else [],
    )


def _settings(results: StudyResults) -> list[tuple[str, str]]:
    config = results.config
    return [
        ("study", config.study),
        ("budget", config.budget),
        ("repeats", str(config.repeats)),
        ("seed", str(config.seed)),
        ("settings chosen by", config.metric.replace("_", " ")),
        ("level of each finding", f"{results.level:.4g}"),
    ]


def _trained(each: Surveyed) -> list[tuple[str, str]]:
    return [
        ("model", each.model),
        ("epochs", str(each.epochs)),
        ("batch size", str(each.batch_size)),
        ("trainings", str(each.trainings)),
        ("learning rate", _rates(each.learning_rate)),
    ]


def _rates(rates: LearningRates) -> str:
    """The learning rates; one number where cross-entropy's is that of all."""
    if len(set(rates.chosen.values())) == 1:
        how = "tuned for cross-entropy, the same for all"
        how = how if rates.tuned == "cross_entropy" else "tuned for each loss, the same for all"
        return f"{next(iter(rates.chosen.values())):g}, {how}"
    return ", ".join(f"{loss} {rate:g}" for loss, rate in rates.chosen.items())


def _card(each: Surveyed) -> list[tuple[str, str]]:
    return card_of(each.dataset)


def _embedded(results: StudyResults) -> Markup:
    """The results as JSON that no HTML parser can leave, without class lists of large data."""
    data = tuple(
        replace(each, dataset=replace(each.dataset, dropped=(), notes=())) for each in results.data
    )
    content: Mapping[str, object] = to_json(replace(results, data=data))
    text = json.dumps(content, sort_keys=True, separators=(",", ":"), allow_nan=False)
    for character in "<>&":
        text = text.replace(character, f"\\u{ord(character):04x}")
    return Markup(text)  # noqa: S704 - escaped for a script element just above
