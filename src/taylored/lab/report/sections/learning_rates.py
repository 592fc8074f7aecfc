"""The learning rates that were tried, and by what the chosen ones were judged."""

from dataclasses import dataclass

from taylored.lab.results import Results
from taylored.lab.tasks import primary_of, task_of
from taylored.lab.trial_result import TriedRate
from taylored.lab.wording import MISSING


@dataclass(frozen=True)
class RateRow:
    """One loss: the rate it was trained with, and (rate, metric, likelihood) of those tried."""

    name: str
    chosen: str
    tied: bool
    tried: tuple[tuple[str, str, str], ...]


def rate_rows(results: Results) -> list[RateRow]:
    """One row per trained loss."""
    rates, metric = results.learning_rate, primary_of(results)
    nll = task_of(results).metrics["nll"]

    def texts(found: TriedRate) -> tuple[str, str, str]:
        if found.validation is None and found.nll is None:
            return f"{found.learning_rate:g}", "diverged", MISSING
        return f"{found.learning_rate:g}", metric.value(found.validation), nll.value(found.nll)

    return [
        RateRow(
            name,
            f"{rate:g}",
            name in rates.tied,
            tuple(
                texts(found)
                for found in sorted(rates.candidates, key=lambda found: found.learning_rate)
                if found.loss == name
            ),
        )
        for name, rate in rates.chosen.items()
    ]


def how_rates_were_found(results: Results) -> str:
    """One or two sentences."""
    rates, task, metric = results.learning_rate, task_of(results), primary_of(results)
    if rates.tuned == "fixed":
        return "The learning rate was given, the same for all losses."
    who = "each loss" if rates.tuned == "each" else f"{task.reference}, for all losses"
    judge = task.metrics[rates.judged_by].label if rates.judged_by in task.metrics else metric.label
    text = (
        f"Tuned for {who}, in trainings of a third of the length on the first fold, judged by the "
        f"{judge} of the validation part after the last epoch."
    )
    if rates.tied:
        text += " Where the metric cannot tell the rates apart, the likelihood chose."
    return text
