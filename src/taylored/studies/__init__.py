"""The studies of the papers, repeated by one command each: what was claimed, and whether it holds.

`study("epsilon-sweep")` trains, judges and reports; `names()` lists what there is.
"""

from typing import TYPE_CHECKING

from taylored.core.first_use import on_first_use

if TYPE_CHECKING:
    from taylored.studies.carry_out import resume as resume
    from taylored.studies.carry_out import study as study
    from taylored.studies.outcome import StudyOutcome as StudyOutcome
    from taylored.studies.papers import names as names

__all__ = ["StudyOutcome", "names", "resume", "study"]

# Loaded on first use: the lab needs packages that the losses do not.
_HOME = {
    "StudyOutcome": "taylored.studies.outcome",
    "names": "taylored.studies.papers",
    "resume": "taylored.studies.carry_out",
    "study": "taylored.studies.carry_out",
}
__getattr__ = on_first_use(__name__, _HOME, extra="lab")


def __dir__() -> list[str]:
    return __all__
