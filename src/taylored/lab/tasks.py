"""The two tasks: one class per sample, or any number of labels.

A task decides the baseline, the losses that run by default, the metrics, and the words for all of
them. Everything else in the lab is the same for both tasks and asks the task.
"""

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Final, get_args

from taylored.lab.data import TaskName
from taylored.lab.metrics import MULTI_LABEL_METRICS, SINGLE_LABEL_METRICS, Metric, MetricName
from taylored.lab.results import Results
from taylored.lab.run_config import Budget


@dataclass(frozen=True)
class Task:
    """What differs between one class per sample and any number of labels.

    Args:
        name: the task as the data set names it.
        baseline: catalogue name of the loss that all others are compared with.
        reference: the baseline in words.
        losses: the losses that run when the user names none; the baseline first.
        quick_losses: those of them that run with the quick budget.
        metrics: the reported metrics by key, in the order of the tables.
        default_metric: the metric of the verdict unless the user chooses another.
        fallback_metrics: the metrics to suggest where a group has no samples.
        overall: key of the metric that weighs frequent classes most.
        followed: metrics that are measured on the validation part after every epoch.
        described: metrics whose changes the verdict mentions without judging them.
        class_score: the name of that number.
        noun: what a class is called.
        truth: whose probability the gain of a loss is a function of.
        examples: what the loss is computed on, in the plural.
        scores: what the metrics in percent are called together.
        split: how the parts are drawn.
    """

    name: TaskName
    baseline: str
    reference: str
    losses: tuple[str, ...]
    quick_losses: tuple[str, ...]
    metrics: Mapping[str, Metric]
    default_metric: MetricName
    fallback_metrics: str
    overall: str
    followed: tuple[str, ...]
    described: tuple[str, ...]
    class_score: str
    noun: str
    truth: str
    examples: str
    scores: str
    split: str

    def usual_losses(self, budget: Budget) -> tuple[str, ...]:
        """The losses that run when the user names none."""
        return self.losses if budget == "default" else self.quick_losses

    @property
    def primary_metrics(self) -> tuple[str, ...]:
        """The metrics that a user may judge by."""
        return tuple(key for key in self.metrics if key in get_args(MetricName))


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
    quick_losses=(
        "cross_entropy",
        "focal(gamma=2)",
        "class_balanced(cross_entropy, beta=0.999)",
        "balanced_softmax",
        "logit_adjusted(tau=0.5)",
        "softmax_eql",
    ),
    metrics=SINGLE_LABEL_METRICS,
    default_metric="balanced_accuracy",
    fallback_metrics="balanced_accuracy or accuracy",
    overall="accuracy",
    followed=("accuracy", "balanced_accuracy"),
    described=("balanced_accuracy", "accuracy", "head", "medium", "tail"),
    class_score="recall",
    noun="class",
    truth="the true class",
    examples="samples",
    scores="accuracies",
    split="five folds by class, drawn anew for each repeat: one tests, one validates, three train",
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
    quick_losses=(
        "binary_cross_entropy",
        'focal(gamma=2, link="sigmoid")',
        "asymmetric",
        "distribution_balanced",
        "sigmoid_eql",
    ),
    metrics=MULTI_LABEL_METRICS,
    default_metric="mean_average_precision",
    fallback_metrics="mean_average_precision or micro_average_precision",
    overall="micro_average_precision",
    followed=("mean_average_precision",),
    described=("mean_average_precision", "micro_average_precision", "head", "medium", "tail"),
    class_score="average precision",
    noun="label",
    truth="the truth about a label",
    examples="labels",
    scores="average precisions",
    split="five folds with the rarest label placed first, drawn anew for each repeat: one tests, "
    "one validates, three train",
)
TASKS: Final[Mapping[TaskName, Task]] = {task.name: task for task in (SINGLE_LABEL, MULTI_LABEL)}


def task_of(results: Results) -> Task:
    """The task of a comparison."""
    return TASKS[results.dataset.task]


def primary_of(results: Results) -> Metric:
    """The metric that the verdict of a comparison is about."""
    return task_of(results).metrics[results.primary_metric]
