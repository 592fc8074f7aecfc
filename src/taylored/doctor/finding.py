"""What a check found: a diagnosis with its evidence, a snippet that shows it, and what to do."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import asdict, dataclass, replace
from typing import Literal

Severity = Literal["error", "warning", "info"]
SEVERITIES: tuple[Severity, ...] = ("error", "warning", "info")


@dataclass(frozen=True)
class Finding:
    """One thing that is worth knowing about a loss.

    Attributes:
        name: of the diagnosis, "overflows"; the same for every loss that has it.
        severity: "error" gives wrong numbers or ends a training, "warning" does so in some uses,
            "info" is good to know.
        title: one sentence.
        fix: what to do about it.
        evidence: the numbers that were seen, by what they are.
        snippet: a program that shows it; the loss stands in its first lines.
        check: the name of the check that found it.
    """

    name: str
    severity: Severity
    title: str
    fix: str
    evidence: Mapping[str, float | str]
    snippet: str = ""
    check: str = ""

    def by(self, check: str) -> Finding:
        """The same, signed by its check."""
        return replace(self, check=check)

    def to_dict(self) -> dict[str, object]:
        """All of it as plain values; numbers that JSON has no word for are strings."""
        return {**asdict(self), "evidence": {k: _plain(v) for k, v in self.evidence.items()}}


def _plain(value: float | str) -> float | str:
    if isinstance(value, str) or abs(value) < float("inf"):
        return value
    return str(float(value))
