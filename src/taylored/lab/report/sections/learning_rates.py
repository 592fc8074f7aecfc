"""The learning rates and weight decays that were tried, and what the chosen ones were judged by."""

from dataclasses import dataclass

from taylored.lab.results import Results
from taylored.lab.tasks import primary_of, task_of
from taylored.lab.trial_result import LearningRates, TriedRate
from taylored.lab.wording import MISSING


@dataclass(frozen=True)
class RateRow:
    """One loss: what it was trained with, and (what, metric, likelihood) of those tried."""

    name: str
    chosen: str
    decay: str
    tied: bool
    tried: tuple[tuple[str, str, str], ...]


def rate_rows(results: Results) -> list[RateRow]:
    """One row per trained loss."""
    rates, metric = results.learning_rate, primary_of(results)
    nll = task_of(results).metrics["nll"]

    def texts(found: TriedRate) -> tuple[str, str, str]:
        what = f"{found.learning_rate:g}"
        if rates.tuned_decay:
            what += f" (decay {found.weight_decay:g})"
        if found.validation is None and found.nll is None:
            return what, "diverged", MISSING
        return what, metric.value(found.validation), nll.value(found.nll)

    return [
        RateRow(
            name,
            f"{rate:g}",
            f"{rates.decays[name]:g}" if name in rates.decays else MISSING,
            name in rates.tied,
            tuple(
                texts(found)
                for found in sorted(
                    rates.candidates, key=lambda found: (found.weight_decay, found.learning_rate)
                )
                if found.loss == name
            ),
        )
        for name, rate in rates.chosen.items()
    ]


def how_rates_were_found(results: Results) -> str:
    """One or two sentences."""
    rates, task, metric = results.learning_rate, task_of(results), primary_of(results)
    if not rates.candidates:
        return "Learning rate and weight decay were given, the same for all losses."
    who = "each loss" if results.config.tune_lr == "each" else f"{task.reference}, for all losses"
    judge = task.metrics[rates.judged_by].label if rates.judged_by in task.metrics else metric.label
    text = (
        f"{_what(rates)} tuned for {who}, in trainings of a third of the length on the first "
        f"fold, judged by the {judge} of the validation part after the last epoch."
    )
    if rates.tied:
        text += " Where the metric cannot tell the rates apart, the likelihood chose."
    return text


def _what(rates: LearningRates) -> str:
    if not rates.tuned_decay:
        return "Learning rates,"
    if rates.tuned == "fixed":
        return "The learning rate was given; weight decays are"
    return "Learning rates and weight decays,"
