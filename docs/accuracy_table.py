"""Write how exact each loss is in float32: `python docs/accuracy_table.py [LOSS ...]`.

The numbers are measured, with the code of their tests, into
`src/taylored/modules/exactness/roundings.py`, where docstrings and `taylored show` read them; then
the table of docs/accuracy.md is made of it.
Where losses are named, those alone are measured; `--table` measures none. Run it for a new loss and
after a change of the arithmetic, and commit both.
"""

import importlib
import sys
from pathlib import Path

from taylored.modules.exactness import roundings
from taylored.modules.exactness.accuracy import Accuracy

ROOT = Path(__file__).parent.parent
PAGE, MODULE = ROOT / "docs" / "accuracy.md", Path(roundings.__file__)
BEGIN, END = "<!-- roundings: begin -->", "<!-- roundings: end -->"
STEPS = (2, 3, 4, 6, 8, 12, 16, 24, 32, 48, 64, 96, 128)
"""What may be stated: the next step above twice the largest error seen."""
SEEDS = range(4)


def measured(names: list[str]) -> dict[str, Accuracy]:
    """The bounds of every loss that has some, over all of its examples; of the named ones anew."""
    sys.path.insert(0, str(ROOT / "tests"))
    kit = importlib.import_module("kit.roundings")
    found: dict[str, Accuracy | None] = {}
    for text in kit.measured():
        name = kit.call_of(text).name
        if names and name not in names:
            found[name] = roundings.ROUNDINGS.get(name)
            continue
        seen = [kit.worst(text, seed) for seed in SEEDS]
        value = stated([each.value for each in seen])
        gradient = stated([each.gradient for each in seen])
        one = None if value is None or gradient is None else Accuracy(*value, *gradient)
        found[name] = one if name not in found else looser(found[name], one)
        print(f"{text}: {found[name]}", flush=True)
    return {name: each for name, each in found.items() if each is not None}


def looser(one: Accuracy | None, other: Accuracy | None) -> Accuracy | None:
    """What holds where either does."""
    if one is None or other is None:
        return None
    return Accuracy(
        max(one.value, other.value),
        min(one.value_tail, other.value_tail),
        max(one.gradient, other.gradient),
        min(one.gradient_tail, other.gradient_tail),
    )


def stated(seen: list[dict[int, float]]) -> tuple[int, int] | None:
    """Roundings and tail: the smallest tail with which some step will do, if there is one."""
    for tail in seen[0]:
        error = max(each[tail] for each in seen)
        step = next((step for step in STEPS if step >= 2.0 * error), None)
        if step is not None:
            return step, tail
    return None


def module(found: dict[str, Accuracy]) -> str:
    """The source of the module with these bounds."""
    rows = [f'    "{name}": Accuracy({", ".join(map(str, each))}),' for name, each in found.items()]
    head = MODULE.read_text().partition("ROUNDINGS")[0]
    return "\n".join([f"{head}ROUNDINGS: dict[str, Accuracy] = {{", *rows, "}", ""])


def table() -> str:
    """A row for each loss, of the bounds that the package states."""
    rows = ["| loss | value, roundings | besides | gradient, roundings | besides |",
            "| --- | ---: | --- | ---: | --- |"]  # fmt: skip
    for name, each in roundings.ROUNDINGS.items():
        cells = (each.value, f"2^-{each.value_tail}", each.gradient, f"2^-{each.gradient_tail}")
        rows.append(f"| `{name}` | {' | '.join(map(str, cells))} |")
    return "\n".join(rows)


def written(page: str) -> str:
    """The page with the table of today."""
    before, rest = page.split(BEGIN)
    _, after = rest.split(END)
    return f"{before}{BEGIN}\n\n{table()}\n\n{END}{after}"


if __name__ == "__main__":
    asked = sys.argv[1:]
    if asked != ["--table"]:
        MODULE.write_text(module(measured(asked)))
        importlib.reload(roundings)
    PAGE.write_text(written(PAGE.read_text()))
