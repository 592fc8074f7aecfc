"""The results as a tidy table: one row per loss and metric."""

from collections.abc import Sequence

from taylored.lab.results import Difference, Results
from taylored.lab.tasks import task_of

_FOUND = (
    "difference",
    "low",
    "high",
    "probability_better",
    "p",
    "p_corrected",
    "standard_error",
)


def tidy_rows(results: Results) -> tuple[Sequence[str], list[list[object]]]:
    """Header and rows: value, spread over folds, and the difference to both references.

    Columns that start with ``baseline_`` are about the baseline as it is, those with ``free_``
    about the best that it reaches for nothing.
    """
    header = ["loss", "role", "verdict", "metric", "value", "spread_over_folds"]
    header += [f"{reference}_{name}" for reference in ("baseline", "free") for name in _FOUND]
    rows: list[list[object]] = []
    for loss in results.losses:
        for key in task_of(results).metrics:
            row: list[object] = [loss.name, loss.role, loss.verdict, key]
            row += [loss.metrics[key], loss.spread[key]]
            for found in (loss.versus_baseline, loss.versus_free):
                row += _numbers(None if found is None else found.get(key))
            rows.append(row)
    return header, rows


def _numbers(found: Difference | None) -> list[object]:
    return [None if found is None else getattr(found, name) for name in _FOUND]
