"""What an examination found."""

from __future__ import annotations

import json
from collections.abc import Mapping
from dataclasses import dataclass, field

import torch

from taylored.doctor.finding import SEVERITIES, Finding


@dataclass(frozen=True)
class Report:
    """All findings about one loss.

    Attributes:
        loss: what it is shown by.
        form: on what it was called, in words.
        findings: errors first.
        asked: names of the checks that were run.
    """

    loss: str
    form: str
    findings: tuple[Finding, ...]
    asked: tuple[str, ...]
    torch: str = field(default=torch.__version__)

    @property
    def errors(self) -> tuple[Finding, ...]:
        """Findings of severity "error"."""
        return tuple(each for each in self.findings if each.severity == "error")

    @property
    def names(self) -> frozenset[str]:
        """Names of all findings."""
        return frozenset(each.name for each in self.findings)

    def __str__(self) -> str:
        """A line for each finding."""
        lines = [f"{self.loss}: {self.form}"]
        lines += [f"  {f.severity}: {f.name}: {f.title} Fix: {f.fix}" for f in self.findings]
        return "\n".join([*lines, *([] if self.findings else ["  nothing found"])])

    def to_dict(self) -> dict[str, object]:
        """All of it as plain values."""
        return {
            "loss": self.loss,
            "form": self.form,
            "torch": self.torch,
            "asked": list(self.asked),
            "findings": [each.to_dict() for each in self.findings],
        }

    def to_json(self) -> str:
        """The same as text."""
        return json.dumps(self.to_dict(), indent=2)

    def to_sarif(self) -> str:
        """A log in SARIF 2.1.0, which code hosts show beside the code."""
        return json.dumps(_sarif(self), indent=2)


def ordered(findings: tuple[Finding, ...]) -> tuple[Finding, ...]:
    """Errors first, each name once for each severity."""
    first: dict[tuple[str, str], Finding] = {}
    for each in findings:
        first.setdefault((each.name, each.severity), each)
    return tuple(sorted(first.values(), key=lambda each: SEVERITIES.index(each.severity)))


_LEVELS = {"error": "error", "warning": "warning", "info": "note"}


def _sarif(report: Report) -> Mapping[str, object]:
    file, found, _ = report.loss.partition(".py:")
    where: dict[str, object] = {
        "logicalLocations": [{"fullyQualifiedName": report.loss, "kind": "function"}]
    }
    if found:
        uri = f"{file}.py".replace("\\", "/")
        where["physicalLocation"] = {"artifactLocation": {"uri": uri}, "region": {"startLine": 1}}
    rules = [
        {"id": each.name, "shortDescription": {"text": each.title}, "help": {"text": each.fix}}
        for each in {each.name: each for each in report.findings}.values()
    ]
    results = [
        {
            "ruleId": each.name,
            "level": _LEVELS[each.severity],
            "message": {"text": f"{each.title} Fix: {each.fix}"},
            "locations": [where],
            "properties": {"evidence": each.to_dict()["evidence"], "snippet": each.snippet},
        }
        for each in report.findings
    ]
    driver = {"name": "taylored doctor", "rules": rules}
    return {
        "$schema": "https://json.schemastore.org/sarif-2.1.0.json",
        "version": "2.1.0",
        "runs": [{"tool": {"driver": driver}, "results": results}],
    }
