"""Losses as a table in Markdown or LaTeX: metrics, difference with interval, verdict."""

import re
from collections.abc import Mapping, Sequence
from typing import Final

from taylored.lab.metrics import Metric
from taylored.lab.results import Difference, LossResult
from taylored.lab.wording import MISSING, printable

_LATEX: Final = {
    "\\": r"\textbackslash{}",
    "~": r"\textasciitilde{}",
    "^": r"\textasciicircum{}",
    "<": r"\textless{}",
    ">": r"\textgreater{}",
    "|": r"\textbar{}",
    '"': r"\textquotedbl{}",
    "'": r"\textquotesingle{}",
    **{sign: f"\\{sign}" for sign in "&%$#_{}"},
}
_MARKDOWN: Final = re.compile(r"([\\`*_{}\[\]<>|#~$])")


def to_markdown(
    losses: Sequence[LossResult], metrics: Mapping[str, Metric], primary: Metric
) -> str:
    """A table in GitHub's Markdown."""
    header, rows = cells_of(losses, metrics, primary)
    aligned = ["---", *["---:"] * (len(header) - 2), "---"]
    escaped = [[_MARKDOWN.sub(r"\\\1", cell) for cell in row] for row in (header, *rows)]
    lines = [escaped[0], aligned, *escaped[1:]]
    return "\n".join(f"| {' | '.join(line)} |" for line in lines) + "\n"


def to_latex(losses: Sequence[LossResult], metrics: Mapping[str, Metric], primary: Metric) -> str:
    """A tabular with the rules of the package booktabs; names are escaped."""
    header, rows = cells_of(losses, metrics, primary)
    body = [f"{' & '.join(map(_in_latex, row))} \\\\" for row in (header, *rows)]
    lines = [
        f"\\begin{{tabular}}{{l{'r' * (len(header) - 2)}l}}",
        "\\toprule",
        body[0],
        "\\midrule",
        *body[1:],
        "\\bottomrule",
        "\\end{tabular}",
    ]
    return "\n".join(lines) + "\n"


def cells_of(
    losses: Sequence[LossResult], metrics: Mapping[str, Metric], primary: Metric
) -> tuple[list[str], list[list[str]]]:
    """Header and cells; metrics that no loss has are left out, the primary one comes first."""
    shown = [primary, *(metric for metric in metrics.values() if metric.key != primary.key)]
    shown = [m for m in shown if any(loss.metrics.get(m.key) is not None for loss in losses)]
    header = ["loss", *(metric.short for metric in shown), "difference", "95 % interval", "verdict"]
    rows = []
    for loss in losses:
        found = (loss.versus_baseline or {}).get(primary.key, Difference(None))
        span = f"{primary.difference(found.low)} to {primary.difference(found.high)}"
        rows.append(
            [
                printable(loss.name),
                *(metric.value(loss.metrics.get(metric.key)) for metric in shown),
                primary.difference(found.difference),
                MISSING if found.low is None else span,
                _word(loss),
            ]
        )
    return header, rows


def _word(loss: LossResult) -> str:
    return {"baseline": "baseline", "free": "free"}.get(loss.role, str(loss.verdict))


def _in_latex(text: str) -> str:
    escaped = "".join(_LATEX.get(sign, sign) for sign in text)
    # A hyphen before a number is a minus.
    return re.sub(r"(?<![\w}])-(?=\d)", "$-$", escaped).replace(MISSING, "--")
