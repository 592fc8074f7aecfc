"""A trial with its time, as it is kept in `trials/<id>.json`."""

from dataclasses import dataclass

from taylored.lab.own.sources import Sources
from taylored.lab.trial.outputs import Outputs
from taylored.lab.trial_result import TrialResult


@dataclass(frozen=True)
class TimedTrial:
    """The result of a trial, which is reproducible, and what is not: its seconds, its error.

    `error` says why a trial failed. `sources` are the files of the user that it was made of.
    `outputs` are there for the trials of the comparison that did not fail or diverge.
    """

    trial: TrialResult
    seconds: float
    error: str | None
    sources: Sources
    outputs: Outputs | None = None


@dataclass(frozen=True)
class KeptTrial:
    """The content of a trial's file: the trial, and the fingerprint of what it belongs to."""

    belongs_to: str
    content: TimedTrial
