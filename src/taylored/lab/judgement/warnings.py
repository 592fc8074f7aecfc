"""What a reader has to know before any number of a run."""

from collections.abc import Sequence

import numpy as np

from taylored.lab.data import count_labels
from taylored.lab.judgement.trained import Trained
from taylored.lab.metrics import Metric
from taylored.lab.tasks import Task
from taylored.lab.trial_result import LADDER, LearningRates, validation_key
from taylored.lab.wording import join, plural, printable

_GAINING = 0.01
"""A gain in the last quarter of training that says that it was too short: 1 point."""
_NAMED = 4


def warnings(
    losses: Sequence[Trained], rates: LearningRates, primary: Metric, task: Task
) -> list[str]:
    """Sentences that stand above the results; none where nothing is wrong."""
    baseline = next(loss for loss in losses if loss.role == "baseline")
    return [
        *_majority(baseline, task),
        *_ties(rates, primary),
        *_ends(rates),
        *_unfinished(baseline, primary, task),
    ]


def _majority(baseline: Trained, task: Task) -> list[str]:
    tested = baseline.tested
    if tested is None or tested.multi_label:
        return []
    largest = int(np.argmax(count_labels(tested.labels, tested.classes)))
    share = float((tested.predicted == largest).mean())
    if share < 0.999:
        return []
    return [
        f"{task.reference.capitalize()} predicts the majority only ({100 * share:.4g} % of the "
        "rows): any loss that predicts something else looks good beside it. Its scores may still "
        "rank the rows: compare AUROC, and the baseline with adjusted scores."
    ]


def _ties(rates: LearningRates, primary: Metric) -> list[str]:
    if not rates.tied:
        return []
    names = [printable(name) for name in rates.tied[:_NAMED]]
    more = len(rates.tied) - _NAMED
    listed = join([*names, f"{more} more"] if more > 0 else names)
    return [
        f"The metric cannot tell the learning rates of {listed} apart: {primary.label} on the "
        "validation part is the same for all. The likelihood chose."
    ]


def _ends(rates: LearningRates) -> list[str]:
    """Losses whose best rate is the largest or smallest that there is to try."""
    if rates.tuned == "fixed":
        return []
    at_end = [name for name, rate in rates.chosen.items() if rate in (LADDER[0], LADDER[-1])]
    if not at_end:
        return []
    names = join([printable(name) for name in at_end[:_NAMED]])
    return [f"The learning rate of {names} is at the end of those that are tried."]


def _unfinished(baseline: Trained, primary: Metric, task: Task) -> list[str]:
    """Whether the baseline was still learning when the training ended."""
    if primary.scale != 100:
        return []
    key = validation_key(primary.key)
    gains = []
    for trial in baseline.trials:
        values = [entry[key] for entry in trial.curve if key in entry]
        if trial.status == "ok" and len(values) >= 4:
            gains.append(primary.direction * (values[-1] - values[-1 - len(values) // 4]))
    if not gains or (gained := float(np.mean(gains))) < _GAINING:
        return []
    return [
        f"{task.reference.capitalize()} was still gaining {primary.value(gained)}{primary.unit} in "
        f"the last quarter of its {plural(len(baseline.trials), 'training')}: with more --epochs "
        "the order of the losses may change."
    ]
