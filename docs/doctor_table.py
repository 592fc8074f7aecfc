"""Write the table of the questions into docs/doctor.md: `python docs/doctor_table.py`."""

from pathlib import Path

from taylored.doctor import CHECKS

PAGE = Path(__file__).parent / "doctor.md"
BEGIN, END = "<!-- questions: begin -->\n", "<!-- questions: end -->"


def table() -> str:
    rows = ["| check | asks | may find |", "| --- | --- | --- |"]
    for check in CHECKS:
        found = ", ".join(f"`{name}`" for name in check.diagnoses)
        rows.append(f"| {check.name} | {check.asks} | {found} |")
    return "\n".join(rows)


def written(page: str) -> str:
    before, rest = page.split(BEGIN)
    after = rest.split(END)[1]
    return f"{before}{BEGIN}\n{table()}\n\n{END}{after}"


if __name__ == "__main__":
    PAGE.write_text(written(PAGE.read_text()))
