"""Each loss beside the baseline that pays the same price for its gain."""

from dataclasses import dataclass

from taylored.lab.report.rows import interval_text, probability_text
from taylored.lab.results import Results
from taylored.lab.tasks import primary_of, task_of
from taylored.lab.wording import p_text, typeset


@dataclass(frozen=True)
class MatchedRow:
    """One loss: what it pays, how far the baseline moves to pay as much, and the difference."""

    name: str
    price: str
    tau: str
    difference: str
    interval: str
    probability: str
    p: str


def matched_rows(results: Results) -> list[MatchedRow]:
    """One row per loss that has such a partner."""
    task, primary = task_of(results), primary_of(results)
    rows = []
    for loss in results.losses:
        matched = loss.matched
        if matched is None or matched.versus.difference is None:
            continue
        price = task.metrics[matched.price]
        rows.append(
            MatchedRow(
                name=loss.name,
                price=price.value(loss.metrics[price.key]),
                tau=typeset(f"{matched.tau:.2f}"),
                difference=typeset(primary.difference(matched.versus.difference)),
                interval=typeset(interval_text(matched.versus, primary)),
                probability=probability_text(matched.versus),
                p=p_text(matched.versus.p_corrected),
            )
        )
    return rows


def price_label(results: Results) -> str:
    """The name of the metric that losses pay with."""
    found = next((loss.matched.price for loss in results.losses if loss.matched), "")
    return task_of(results).metrics[found].label if found else ""
