"""The studies of the papers, repeated by one command each: what was claimed, and whether it holds.

`study("epsilon-sweep")` trains, judges and reports; `names()` lists what there is.
"""

from importlib import import_module
from typing import TYPE_CHECKING

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


def __getattr__(name: str) -> object:
    if name not in _HOME:
        raise AttributeError(f"module {__name__!r} has no attribute {name!r}")
    try:
        return getattr(import_module(_HOME[name]), name)
    except ModuleNotFoundError as error:
        if error.name is None or error.name.split(".")[0] == "taylored":
            raise
        raise ModuleNotFoundError(
            f"taylored.studies.{name} needs the package {error.name!r}. "
            'Install it with: pip install "taylored[lab]"',
            name=error.name,
        ) from error


def __dir__() -> list[str]:
    return __all__
