"""A trial with its time, as it is kept in `trials/<id>.json`."""

from dataclasses import dataclass

from taylored.lab.results import TrialResult


@dataclass(frozen=True)
class TimedTrial:
    """The result of a trial, which is reproducible, and the seconds it took, which are not."""

    trial: TrialResult
    seconds: float
