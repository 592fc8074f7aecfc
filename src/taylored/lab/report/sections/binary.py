"""How the rarer of two classes is found: confusion, precision, recall, F1."""

from dataclasses import dataclass

from taylored.lab.results import Results
from taylored.lab.wording import MISSING


@dataclass(frozen=True)
class BinaryRow:
    """One loss, in the words of a search for the rarer class; counts are means over repeats."""

    name: str
    role: str
    found: str
    missed: str
    false_alarms: str
    rightly_left: str
    precision: str
    recall: str
    f1: str


def binary_rows(results: Results) -> list[BinaryRow]:
    """One row per loss and free reference."""
    rows = []
    for loss in results.losses:
        if (binary := loss.binary) is None:
            continue
        yes, no = binary.positive, 1 - binary.positive
        rows.append(
            BinaryRow(
                name=loss.name,
                role=loss.role,
                found=_count(binary.confusion[yes][yes]),
                missed=_count(binary.confusion[yes][no]),
                false_alarms=_count(binary.confusion[no][yes]),
                rightly_left=_count(binary.confusion[no][no]),
                precision=_percent(binary.precision),
                recall=_percent(binary.recall),
                f1=_percent(binary.f1),
            )
        )
    return rows


def positive_class(results: Results) -> str:
    """The name of the class that is searched for; empty where there are more than two."""
    found = next((loss.binary for loss in results.losses if loss.binary is not None), None)
    return "" if found is None else results.dataset.class_names[found.positive]


def _count(number: float) -> str:
    return f"{number:,.0f}".replace(",", "\N{THIN SPACE}")


def _percent(share: float | None) -> str:
    return MISSING if share is None else f"{100 * share:.1f}"
