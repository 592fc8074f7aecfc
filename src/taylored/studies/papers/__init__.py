"""The table of the studies: one file for each, found by its name on the command line."""

from importlib import import_module
from typing import Final

from taylored.lab.run.checks import check_choice
from taylored.studies.declared import Study

_FILES: Final = {
    name.replace("_", "-"): name
    for name in (
        "drop_n",
        "epsilon_sweep",
        "poly_n",
        "first_term_share",
        "gradient_ratio",
        "focal_gamma",
        "class_balanced_beta",
        "calibration",
    )
}


def names() -> tuple[str, ...]:
    """The names of all studies.

    >>> names()[:2]
    ('drop-n', 'epsilon-sweep')
    """
    return tuple(_FILES)


def study_of(name: str) -> Study:
    """The study of a name; a UsageError for another, with the nearest name."""
    check_choice("name", name, names())
    declared: Study = import_module(f"taylored.studies.papers.{_FILES[name]}").STUDY
    return declared
