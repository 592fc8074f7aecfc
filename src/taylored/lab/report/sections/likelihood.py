"""Likelihood and calibration error of each loss, before and after recalibration."""

from dataclasses import dataclass

from taylored.lab.results import Results
from taylored.lab.tasks import task_of


@dataclass(frozen=True)
class LikelihoodRow:
    """One loss: negative log-likelihood and calibration error, before (raw) and after."""

    name: str
    raw_nll: str
    nll: str
    raw_ece: str
    ece: str
    resolution: str


def likelihood_rows(results: Results) -> list[LikelihoodRow]:
    """One row per trained loss that has probabilities."""
    metrics = task_of(results).metrics
    nll, ece = metrics["nll"], metrics["ece"]
    return [
        LikelihoodRow(
            loss.name,
            nll.value(found.raw_nll),
            nll.value(found.nll),
            ece.value(found.raw_ece),
            ece.value(found.ece),
            ece.value(found.resolution),
        )
        for loss in results.losses
        if loss.role != "free" and (found := loss.likelihood) is not None
    ]


def resolution_text(results: Results) -> str:
    """The calibration error that a perfect model would show here; empty where nobody knows."""
    found = [loss.likelihood.resolution for loss in results.losses if loss.likelihood is not None]
    return task_of(results).metrics["ece"].value(max(found)) if found else ""
