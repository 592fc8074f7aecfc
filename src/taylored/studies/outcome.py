"""The result of a study as a Python object: load it, print it, write its page."""

from __future__ import annotations

import json
import os
from dataclasses import dataclass, field
from pathlib import Path
from typing import TYPE_CHECKING, Any, Final

from taylored.lab.records import from_json, to_json
from taylored.studies.records import SCHEMA, StudyResults

if TYPE_CHECKING:
    from taylored.studies.report.terminal import StudyTables

RESULTS: Final = "results.json"


@dataclass(frozen=True)
class StudyOutcome:
    """What a study found.

    Args:
        results: the content of ``results.json``; `taylored.studies.records` documents it.
        folder: the folder of the study, whose versions then appear in the report.

    A notebook shows the object as its report; `table` is for a terminal.
    """

    results: StudyResults = field(repr=False)
    folder: Path | None = None

    @classmethod
    def load(cls, folder: str | os.PathLike[str]) -> StudyOutcome:
        """Read the results of a finished study from its folder."""
        path = Path(folder) / RESULTS
        if not path.is_file():
            raise FileNotFoundError(
                f"folder must be that of a finished study, with a file {RESULTS} inside: "
                f"{str(folder)!r} has none; pass the folder that the study printed"
            )
        content = json.loads(path.read_text(encoding="utf-8"))
        schema = content.get("schema") if isinstance(content, dict) else None
        if schema != SCHEMA or "findings" not in content:
            raise ValueError(
                f"{path} must be results of a study of schema {SCHEMA}: got {schema!r}; runs of "
                "compare are read by taylored.lab.Comparison.load"
            )
        return cls(from_json(StudyResults, content, RESULTS), Path(folder))

    @property
    def verdicts(self) -> dict[tuple[str, str], list[str]]:
        """The verdicts by claim and data set, one for each finding."""
        found: dict[tuple[str, str], list[str]] = {}
        for each in self.results.findings:
            found.setdefault((each.claim, each.data), []).append(each.word)
        return found

    def table(self, width: int = 100) -> str:
        """Verdicts and panels as plain text of at most ``width`` columns."""
        from taylored.studies.report.terminal import plain

        return plain(self.results, width)

    def rich_table(self) -> StudyTables:
        """The same for a rich console: colours, and as wide as the terminal."""
        from taylored.studies.report.terminal import StudyTables

        return StudyTables(self.results)

    def to_html(self, path: str | os.PathLike[str] | None = None) -> str:
        """The report as one self-contained page; also written to ``path`` if given."""
        from taylored.studies.report.page import render

        html = render(self.results, self.folder)
        if path is not None:
            Path(path).write_text(html, encoding="utf-8", newline="\n")
        return html

    def to_markdown(self) -> str:
        """The verdicts and panels in Markdown."""
        from taylored.studies.report.text import markdown

        return markdown(self.results)

    def to_dict(self) -> dict[str, Any]:
        """The content of ``results.json`` as dictionaries, lists, text and numbers."""
        content: dict[str, Any] = to_json(self.results)
        return content

    def to_json(self) -> str:
        """The text of ``results.json``: sorted keys, the same bytes for the same results."""
        return json_text(self.results)

    def _repr_html_(self) -> str:
        from html import escape

        return (
            '<iframe title="Study of losses" sandbox style="width:100%;height:80vh;border:0" '
            f'srcdoc="{escape(self.to_html())}"></iframe>'
        )


def json_text(results: StudyResults) -> str:
    """The text of ``results.json``: sorted keys, the same bytes for the same results."""
    return json.dumps(to_json(results), sort_keys=True, indent=1, allow_nan=False)
