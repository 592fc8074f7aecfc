"""Write the table of the losses into the README: `python docs/losses_table.py`.

The rows are the SPECs of the catalogue, so that a new loss has its row after one call.
"""

from pathlib import Path

from taylored import catalog

README = Path(__file__).parent.parent / "README.md"
BEGIN, END = "<!-- losses: begin -->", "<!-- losses: end -->"


def table() -> str:
    """One row for each loss, in the order of the catalogue."""
    rows = ["| name | module | what it is |", "| --- | --- | --- |"]
    for spec in catalog.SPECS.values():
        summary = spec.summary.replace("|", r"\|")
        rows.append(f"| `{spec.name}` | `{spec.module.__name__}` | {summary} |")
    return "\n".join(rows)


def written(readme: str) -> str:
    """The README with the table of today."""
    before, rest = readme.split(BEGIN)
    _, after = rest.split(END)
    return f"{before}{BEGIN}\n\n{table()}\n\n{END}{after}"


if __name__ == "__main__":
    README.write_text(written(README.read_text()))
