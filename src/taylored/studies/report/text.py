"""The tables of a study as texts, which page, terminal and Markdown lay out."""

from collections.abc import Sequence

from taylored.studies.records import Effect, Finding, Panel, Quantity, StudyResults

FINDINGS = ("claim", "data", "effect", "found", "could see", "verdict")
"""The columns of the verdicts."""
_SURE = {
    "high": "read in the paper or its repository",
    "medium": "read in a second source",
    "low": "quoted from memory, without a number",
    "ours": "derived here",
}


def sureness(confidence: str) -> str:
    """How sure it is that a paper says so, in words."""
    return _SURE[confidence]


def interval(effect: Effect | None, quantity: Quantity) -> str:
    """An effect with its interval, such as "+1.2 [+0.3, +2.1]"."""
    if effect is None:
        return "-"
    value = quantity.signed(effect.value)
    if effect.low is None or effect.high is None:
        return value
    return f"{value} [{quantity.signed(effect.low)}, {quantity.signed(effect.high)}]"


def finding_rows(results: StudyResults) -> list[tuple[str, ...]]:
    """One row for each finding, under `FINDINGS`."""
    short = {claim.key: claim.short for claim in results.claims}
    return [
        (
            short[each.claim],
            each.data,
            each.what,
            with_unit(interval(each.effect, each.quantity), each.quantity),
            smallest(each),
            each.word,
        )
        for each in results.findings
    ]


def smallest(found: Finding) -> str:
    """The smallest effect that would have been seen."""
    if found.effect is None or found.effect.smallest is None:
        return "-"
    return with_unit(found.quantity.value(found.effect.smallest), found.quantity)


def with_unit(text: str, quantity: Quantity) -> str:
    """A number with the unit of the quantity behind it."""
    return f"{text} {quantity.unit}" if quantity.unit and text != "-" else text


def panel_columns(panel: Panel) -> tuple[str, ...]:
    """The columns of a panel's table."""
    label = panel.quantity.label
    if panel.quantity.scale == 100:
        label += ", %"
    first = ("line",) if _several(panel) else ()
    columns = (*first, panel.axis, label)
    return (*columns, f"minus {panel.reference}, 95 %") if panel.reference else columns


def panel_rows(panel: Panel) -> list[tuple[str, ...]]:
    """The rows of a panel's table."""
    rows = []
    for point in panel.points:
        row: tuple[str, ...] = (point.label, panel.quantity.value(point.value))
        if _several(panel):
            row = (point.series, *row)
        if panel.reference:
            row = (*row, interval(point.difference, panel.quantity) if point.difference else "")
        rows.append(row)
    return rows


def _several(panel: Panel) -> bool:
    """Whether several lines have to be told apart; that of the reference is its own label."""
    names = {point.series for point in panel.points if point.series != point.label}
    return len(names) > 1


def statistics_text(results: StudyResults) -> str:
    """How the verdicts were reached, in a paragraph."""
    count = len(results.findings)
    return (
        "Intervals are 95 % for new data from the same source, paired over rows and trainings. "
        f"All {count} findings share an error of 5 %: each is judged at {results.level:.3g}. "
        '"Could see" is the true effect that would have been beyond noise with a probability of '
        "80 %. A claim that something is more did not hold where the effect is surely below the "
        "margin that its sentence names, or beyond noise the other way."
    )


def markdown(results: StudyResults) -> str:
    """Headline, verdicts and panels in Markdown."""
    config = results.config
    lines = [f"## `{config.study}`: {results.title}", "", results.question, ""]
    lines += [
        f"- *{claim.short}.* {claim.text}{_published(claim.published)} "
        f"({claim.reference}; {sureness(claim.confidence)})"
        for claim in results.claims
    ]
    lines += ["", f"**{results.headline}**", "", *_table(FINDINGS, finding_rows(results))]
    for panel in results.panels:
        if panel.tabled:
            lines += ["", f"{panel.title}:", ""]
            lines += _table(panel_columns(panel), panel_rows(panel))
    if results.remarks:
        lines += ["", *(f"- {remark}" for remark in results.remarks)]
    return "\n".join(lines) + "\n"


def _published(text: str) -> str:
    return f" Published: {text}." if text else ""


def _table(columns: Sequence[str], rows: Sequence[Sequence[str]]) -> list[str]:
    def line(cells: Sequence[str]) -> str:
        return "| " + " | ".join(cell.replace("|", "\\|") for cell in cells) + " |"

    return [line(columns), line(["---"] * len(columns)), *map(line, rows)]
