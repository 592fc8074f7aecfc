"""Write the tables of the losses into the documentation: `python docs/losses_table.py`.

The rows are the SPECs of the catalogue, so that a new loss has its rows after one call.
"""

from pathlib import Path

from taylored import catalog
from taylored.core.posterior.readable import Readable
from taylored.modules.classification import ClassificationLoss
from taylored.modules.spec import Spec

ROOT = Path(__file__).parent.parent
README, PROBABILITIES = ROOT / "README.md", ROOT / "docs" / "probabilities.md"
BEGIN, END = "<!-- losses: begin -->", "<!-- losses: end -->"
COUNTS = [900, 250, 40, 7, 1]


def table() -> str:
    """One row for each loss, in the order of the catalogue."""
    rows = ["| name | module | what it is |", "| --- | --- | --- |"]
    for spec in catalog.SPECS.values():
        summary = spec.summary.replace("|", r"\|")
        rows.append(f"| `{spec.name}` | `{spec.module.__name__}` | {summary} |")
    return "\n".join(rows)


def readings() -> str:
    """One row for each loss: whether its outputs tell the class probabilities, and if not why."""
    rows = ["| loss | `posterior` |", "| --- | --- |"]
    return "\n".join([*rows, *(f"| `{s.name}` | {reading(s)} |" for s in read())])


def read() -> list[Spec]:
    """Those that say what a model's outputs mean."""
    said = (ClassificationLoss, Readable)
    return [s for s in catalog.SPECS.values() if issubclass(s.module, said)]


def reading(spec: Spec) -> str:
    """Asked of every example of the loss."""
    built = {text: catalog.get(text, counts=COUNTS) for text in spec.examples}
    without = [text for text, loss in built.items() if not loss.has_posterior]
    if not without:
        return "closed form"
    if len(without) < len(built):
        return f"closed form, not for `{'`, `'.join(without)}`"
    return f"none: {built[without[0]].why_no_posterior()}"


def written(page: str, rows: str = "") -> str:
    """The page with the table of today; by default that of the README."""
    before, rest = page.split(BEGIN)
    _, after = rest.split(END)
    return f"{before}{BEGIN}\n\n{rows or table()}\n\n{END}{after}"


if __name__ == "__main__":
    README.write_text(written(README.read_text()))
    PROBABILITIES.write_text(written(PROBABILITIES.read_text(), readings()))
