"""Write the results of studies into docs/studies.md: `python docs/studies_page.py RUN...`.

A RUN is the folder of a finished study; studies that are not named keep what the page says.
"""

from __future__ import annotations

import sys
from pathlib import Path

from taylored.lab.wording import plural
from taylored.studies import StudyOutcome, names
from taylored.studies.report.page import shell_command

PAGE = Path(__file__).with_name("studies.md")


def written(text: str, outcome: StudyOutcome) -> str:
    """The page with the results of one study between its markers."""
    config = outcome.results.config
    begin, end = f"<!-- {config.study}: begin -->", f"<!-- {config.study}: end -->"
    before, rest = text.split(begin)
    _, after = rest.split(end)
    return f"{before}{begin}\n{section(outcome)}\n{end}{after}"


def section(outcome: StudyOutcome) -> str:
    """The results of one study, with the command that made them."""
    results = outcome.results
    marked = outcome.to_markdown()
    title, _, body = marked.partition("\n")
    trained = "; ".join(
        f"{each.dataset.name}: {each.trainings} trainings of {plural(each.epochs, 'epoch')}"
        for each in results.data
    )
    quick = (
        "\n\n*Quick results: short trainings and few settings. They say what such trainings show.*"
        if results.config.budget == "quick"
        else ""
    )
    return f"{title}\n\n`{shell_command(results.config)}` ({trained}).{quick}\n{body}"


def main() -> None:
    """Fill the page from the folders that are named."""
    text = PAGE.read_text(encoding="utf-8")
    known = set(names())
    for folder in sys.argv[1:]:
        outcome = StudyOutcome.load(folder)
        if outcome.results.config.study in known:
            text = written(text, outcome)
    PAGE.write_text(text, encoding="utf-8", newline="\n")


if __name__ == "__main__":
    main()
