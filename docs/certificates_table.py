"""Write the table of the guarantees into docs/certificates.md: `python docs/certificates_table.py`.

A row for each loss of the catalogue as it is by default, and for each of its terms.
"""

from pathlib import Path

import taylored
from taylored import catalog
from taylored.certificates.wording import rows_of
from taylored.modules.classification import ClassificationLoss

PAGE = Path(__file__).parent / "certificates.md"
BEGIN, END = "<!-- certificates: begin -->", "<!-- certificates: end -->"
COLUMNS = (
    "loss", "falls", "keeps the order", "proper", "bounded", "noise tolerant", "largest gain",
    "Lipschitz", "convex in the margin",
)  # fmt: skip


def default(spec) -> str | None:
    """The call of a loss at its defaults."""
    return f"{spec.name}(cross_entropy())" if spec.inner == "required" else spec.name


def table() -> str:
    """The rows, in the order of the catalogue."""
    rows = [f"| {' | '.join(COLUMNS)} |", "| --- " * len(COLUMNS) + "|"]
    for spec in catalog.SPECS.values():
        if not issubclass(spec.module, ClassificationLoss):
            continue
        try:
            certificate = taylored.certify(default(spec)).to_dict()
        except ValueError:
            rows.append(f"| `{spec.name}` | no function of p_t alone {'| ' * (len(COLUMNS) - 1)}|")
            continue
        shown = set()
        for term in certificate["terms"]:
            cells = [_cell(*rest) for _, *rest in rows_of(term, certificate["link"])]
            side = term["applies"].partition(" ")[0]
            label = f"`{spec.name}`" + (f", {side}" if side in ("positives", "negatives") else "")
            row = f"| {label} | {' | '.join(cells[1:])} |"
            if row not in shown:
                rows.append(row)
            shown.add(row)
    return "\n".join(rows)


def _cell(verdict: str, text: str) -> str:
    if verdict == "finite":
        return text.partition(",")[0]
    return verdict


def written(page: str) -> str:
    """The page with the table of today."""
    before, rest = page.split(BEGIN)
    _, after = rest.split(END)
    return f"{before}{BEGIN}\n\n{table()}\n\n{END}{after}"


if __name__ == "__main__":
    PAGE.write_text(written(PAGE.read_text()))
