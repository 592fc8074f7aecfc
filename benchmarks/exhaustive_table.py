"""The results of exhaustive.py as Markdown."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

from ulp import Tally

COLUMNS = (
    "what", "instructions", "of", "largest error, ulp", "at margin", "correctly rounded",
    "from 2^-24 to 2^7", "below 2^-126", "NaN, infinite",
)  # fmt: skip


def table(folder: Path) -> str:
    """A row for every output of every record that is complete."""
    rows = [COLUMNS, ("---",) * len(COLUMNS)]
    records = [json.loads(path.read_text()) for path in sorted(folder.glob("*.json"))]
    for record in records:
        if "reference" in record:
            rows += [_row(record, output) for output in next(iter(record["chunks"].values()))]
    lines = [f"| {' | '.join(row)} |" for row in rows]
    for record in records:
        if "reference" not in record:
            lines.append(f"\n{record['what']}, {record['instructions']}: not complete.")
    return "\n".join([*lines, "", certificate(records)])


def certificate(records: list[dict[str, Any]]) -> str:
    """How the reference was certified."""
    complete = [record for record in records if "reference" in record]
    if not complete:
        return ""
    largest = max(record["reference"] for record in complete)
    asked = sum(record["asked"] for record in complete)
    return (
        f"The float64 reference is within {largest:.2g} (relative) of mpmath's 60 digits at all "
        f"{asked:,} places that were compared, those of the largest errors among them."
    )


def seen_of(record: dict[str, Any], output: str, exponents: range) -> Tally:
    """What was seen of an output in all chunks with these exponents."""
    total = Tally()
    for name, outputs in record["chunks"].items():
        if int(name[1:]) in exponents:
            total.merge(Tally.of(outputs[output]))
    return total


def share(part: int, whole: int) -> str:
    """A percentage."""
    return f"{100 * part / whole:.1f} %" if whole else ""


def _row(record: dict[str, Any], output: str) -> tuple[str, ...]:
    seen, middle = (seen_of(record, output, each) for each in (range(256), range(103, 134)))
    below = f"off by at most {seen.below:.2g} of that"
    return (
        f"`{record['what']}`",
        record["instructions"],
        output,
        f"{max(seen.worst, 0.5):.3f}",
        "" if seen.worst_at is None else f"{seen.worst_at[0]:.9g}",
        share(seen.rounded + record["right"].get(output, 0), seen.points),
        share(middle.rounded, middle.points),
        below,
        "as they should be" if seen.astray == 0 else f"{seen.astray:,} are not",
    )
