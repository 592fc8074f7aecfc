"""The files of a run that hold its results: their names, and their texts."""

import csv
import json
from io import StringIO
from typing import Final

from taylored.lab.records import to_json
from taylored.lab.report.tidy import tidy_rows
from taylored.lab.results import Results

RESULTS: Final = "results.json"
FAILURES: Final = "failures.json"
TIMINGS: Final = "timings.json"


def json_text(results: Results) -> str:
    """The text of ``results.json``: sorted keys, the same bytes for the same results."""
    return json.dumps(to_json(results), sort_keys=True, indent=1, allow_nan=False)


def csv_text(results: Results) -> str:
    """Values and differences to both references as CSV, one row per loss and metric."""
    header, rows = tidy_rows(results)
    text = StringIO()
    writer = csv.writer(text, lineterminator="\n")
    writer.writerow(header)
    writer.writerows(rows)
    return text.getvalue()
