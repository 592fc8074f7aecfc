"""What a task brings: its baseline, its line-up, its metrics, and the words for them.

Everything else in the lab is the same for both tasks and asks here.
"""

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any, Final, Literal

from taylored.lab.data import TaskName
from taylored.lab.protocol import Metric as MetricName
from taylored.lab.wording import METRICS, MULTI_LABEL_METRICS, Metric


@dataclass(frozen=True)
class Task:
    """One class per sample, or any number of labels.

    Args:
        name: as the data say it.
        baseline: catalogue name of the loss that all others are compared with.
        reference: the same in words.
        losses: the line-up when the user names none; the baseline first.
        metrics: the reported metrics by key, in the order of the tables.
        default_metric: what the verdict is about unless the user says otherwise.
        fallback_metrics: what to suggest where a group has no samples.
        overall: the metric that weighs frequent classes most.
        followed: metrics measured on the validation part after every epoch.
        described: metrics whose changes the verdict mentions without judging them.
        per_class: key of a trial's list with one number per class.
        class_score: what that number is called.
        noun: what a class is called.
        truth: what a loss of the family is a function of.
        examples: what it is computed on.
        scores: what the metrics in percent are called.
        split: how the parts are drawn.
    """

    name: TaskName
    baseline: str
    reference: str
    losses: tuple[str, ...]
    metrics: Mapping[str, Metric]
    default_metric: MetricName
    fallback_metrics: str
    overall: str
    followed: tuple[str, ...]
    described: tuple[str, ...]
    per_class: Literal["recall", "average_precision"]
    class_score: str
    noun: str
    truth: str
    examples: str
    scores: str
    split: str

    @property
    def primary_metrics(self) -> tuple[str, ...]:
        """What may be judged by; not the calibration error: an untrained model has almost none."""
        return tuple(key for key in self.metrics if key != "ece")


SINGLE_LABEL: Final = Task(
    name="single-label",
    baseline="cross_entropy",
    reference="cross-entropy",
    losses=(
        "cross_entropy",
        "focal(gamma=2)",
        "poly(epsilon=2)",
        "class_balanced(cross_entropy, beta=0.999)",
        "balanced_softmax",
        "logit_adjusted(tau=0.5)",
        "softmax_eql",
        "deferred(ldam)",
        "sigmoid_eql",
        "equalized_focal",
    ),
    metrics=METRICS,
    default_metric="balanced_accuracy",
    fallback_metrics="balanced_accuracy or accuracy",
    overall="accuracy",
    followed=("accuracy", "balanced_accuracy"),
    described=("balanced_accuracy", "accuracy", "head", "medium", "tail"),
    per_class="recall",
    class_score="recall",
    noun="class",
    truth="the true class",
    examples="samples",
    scores="accuracies",
    split="60/20/20 by class, drawn for each seed",
)
MULTI_LABEL: Final = Task(
    name="multi-label",
    baseline="binary_cross_entropy",
    reference="binary cross-entropy",
    losses=(
        "binary_cross_entropy",
        'focal(gamma=2, link="sigmoid")',
        'poly(epsilon=1, link="sigmoid")',
        'class_balanced(binary_cross_entropy, beta=0.999, weighting="class")',
        "asymmetric",
        "distribution_balanced",
        "sigmoid_eql",
        "equalized_focal",
    ),
    metrics=MULTI_LABEL_METRICS,
    default_metric="mean_average_precision",
    fallback_metrics="mean_average_precision or micro_average_precision",
    overall="micro_average_precision",
    followed=("mean_average_precision",),
    described=("mean_average_precision", "micro_average_precision", "head", "medium", "tail"),
    per_class="average_precision",
    class_score="average precision",
    noun="label",
    truth="the truth about a label",
    examples="labels",
    scores="average precisions",
    split="60/20/20 with the rarest label placed first, drawn for each seed",
)
TASKS: Final[Mapping[TaskName, Task]] = {task.name: task for task in (SINGLE_LABEL, MULTI_LABEL)}


def task_of(results: Mapping[str, Any]) -> Task:
    """The task of a comparison; results from before there were two say nothing."""
    return TASKS[results["dataset"].get("task", "single-label")]
