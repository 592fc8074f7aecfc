"""What is said about a run beside the verdict on its losses: other changes, failures, limits."""

from collections.abc import Sequence
from statistics import median

from taylored.lab.judgement.sentences import NAMED, name_of
from taylored.lab.metrics import Metric
from taylored.lab.results import LossResult
from taylored.lab.tasks import Task
from taylored.lab.trial_result import LearningRates
from taylored.lab.wording import plural


def on_changes(losses: Sequence[LossResult], metric: Metric, task: Task) -> list[str]:
    """What losses changed apart from the metric of the verdict, largest change first."""
    changed = [
        (size, f"{name_of(loss)}: {text}")
        for loss in losses
        for size, text in [_changes(loss, metric, task)]
        if text
    ]
    if not changed:
        return []
    changed.sort(key=lambda change: -change[0])
    listed = "; ".join(text for _, text in changed[:NAMED])
    more = f"; and {len(changed) - NAMED} more losses" if len(changed) > NAMED else ""
    return [
        f"Other {task.scores} that differ from {task.reference} as it is beyond noise, in points: "
        f"{listed}{more}."
    ]


def _changes(loss: LossResult, primary: Metric, task: Task) -> tuple[float, str]:
    """The largest other change beyond noise and all of them as text."""
    changed = [
        (task.metrics[key], found.difference)
        for key in task.described
        if key != primary.key
        and (found := loss.against_baseline(key)).beyond_noise
        and found.difference is not None
    ]
    largest = max((abs(difference) for _, difference in changed), default=0.0)
    texts = [f"{metric.short} {metric.difference(difference)}" for metric, difference in changed]
    return largest, ", ".join(texts)


def on_divergence(losses: Sequence[LossResult]) -> list[str]:
    """Which losses failed to train, and what that does to their numbers."""
    sentences = []
    for loss in losses:
        if not loss.diverged:
            continue
        counts = {"failed": loss.failed, "diverged": loss.diverged - loss.failed}
        ways = " and ".join(f"{way} in {count}" for way, count in counts.items() if count)
        sentences.append(
            f"{name_of(loss)} {ways} of {plural(len(loss.trials), 'training')} and is not judged: "
            "the rows that it was tested on are a selection."
        )
    return sentences


def on_tuning(rates: LearningRates) -> str:
    """What of the settings was chosen on these data."""
    tuned = [] if rates.tuned == "fixed" else ["the learning rate"]
    tuned += ["the weight decay"] if rates.tuned_decay else []
    text = "Hyper-parameters of the losses are their published defaults, untuned; "
    if not tuned:
        return text + "the learning rate was given, the same for all."
    if len(tuned) == 2:
        return text + "learning rate and weight decay are the only ones that were tuned."
    return text + f"{tuned[0]} is the only one that was tuned."


def caveats(losses: Sequence[LossResult], metric: Metric, data: str) -> list[str]:
    """How small a difference the run can see, and what its two kinds of noise are."""
    found = [loss.against_baseline(metric.key) for loss in losses if not loss.diverged]
    visible = [each.smallest for each in found if each.smallest is not None]
    again = [each.trainings for each in found if each.trainings is not None]
    total = [each.standard_error for each in found if each.standard_error is not None]
    if not visible or not again or not total:
        return []
    return [
        f"This run shows a difference of {metric.value(median(visible))}{metric.unit} with a "
        f"chance of 80 %; smaller ones may exist. The standard error of a difference is "
        f"{metric.value(median(again))}{metric.unit} if the same {data} are trained on again, and "
        f"{metric.value(median(total))}{metric.unit} for new data from this source."
    ]
