"""What to do with the outcome: the lines of Python for the winner, or for what costs nothing."""

from dataclasses import dataclass
from pathlib import Path
from typing import Final

from taylored import catalog
from taylored.lab.data import TaskName
from taylored.lab.judgement.sentences import name_of
from taylored.lab.results import LossResult, Results
from taylored.lab.tasks import primary_of, task_of
from taylored.own import Reference, is_reference

TUNABLE: Final = ("balanced_accuracy", "macro_f1", "accuracy")
"""Metrics that `taylored.tune_tau` knows."""


@dataclass(frozen=True)
class UseThis:
    """Why this, in a sentence, and the source."""

    reason: str
    source: str


def use_this(results: Results) -> UseThis:
    """The winner if there is one, else the best that needs no other training."""
    verdict, task = results.verdict, task_of(results)
    by_name = {loss.name: loss for loss in results.losses}
    if verdict.ranking:
        best = by_name[verdict.ranking[0]]
        others = len(verdict.tied) - 1
        level = f" ({others} others cannot be told apart from it)" if others > 0 else ""
        reason = f"{name_of(best)} is better than all that costs nothing{level}."
        return UseThis(reason, _loss_lines(best.name, best, task.name))
    if traders := [loss for loss in results.losses if loss.verdict == "better trade-off"]:
        best = max(traders, key=lambda loss: _at_price(loss, results))
        reason = (
            f"No loss beats {verdict.free} outright. {name_of(best)} has the better trade-off: it "
            f"gains more than {task.reference} does at the same price, see below."
        )
        return UseThis(reason, _loss_lines(best.name, best, task.name))
    free = by_name[verdict.free]
    if free.role == "free":
        reason = (
            f"No loss is shown to beat {name_of(free)}, so train with {task.reference} and adjust "
            "the scores afterwards."
        )
        return UseThis(reason, _free_lines(results, free))
    reason = f"No loss is shown to beat {task.reference} as it is."
    return UseThis(reason, _loss_lines(task.baseline, free, task.name))


def _loss_lines(name: str, loss: LossResult, task: TaskName) -> str:
    rate = "" if loss.learning_rate is None else f"  # learning rate here: {loss.learning_rate:g}"
    if is_reference(name):
        own = Reference.read(name)
        folder = str(Path(own.source).parent)  # as it was written: the run may be moved
        call = f"{own.attribute}{own.brackets or '()'}"
        return f"{own.import_lines(folder)}\n\nloss = {call}{rate}"
    lines = ["import taylored", ""]
    counts = ""
    if _needs(name):
        lines.append("counts = taylored.class_counts(train_labels, num_classes)")
        counts = ", counts=counts"
        if task == "multi-label":
            counts += ", num_samples=len(train_labels)"
    lines.append(f"loss = taylored.get({name!r}{counts}){rate}")
    if _head(name) == "cosine":
        lines.append("head = taylored.CosineClassifier(features, num_classes)  # as the last layer")
    lines += [
        "",
        "loss(outputs, labels).backward()      # in training",
        "predicted = loss.predict(outputs)     # afterwards",
        "p = loss.posterior(outputs)           # probabilities, where loss.has_posterior",
    ]
    return "\n".join(lines)


def _free_lines(results: Results, free: LossResult) -> str:
    primary = primary_of(results)
    baseline = task_of(results).baseline
    tau = free.name.rpartition(" ")[2]
    start = [
        "import taylored",
        "",
        f"loss = taylored.get({baseline!r})    # train with it as usual",
    ]
    if "normalised" in free.name:
        return "\n".join(
            [
                *start,
                f"tau = {tau}",
                "weight = last.weight / last.weight.norm(dim=1, keepdim=True) ** tau",
                "predicted = (features @ weight.T).argmax(dim=1)",
            ]
        )
    counts = "counts = taylored.class_counts(train_labels, num_classes)"
    if primary.key in TUNABLE:
        chosen = (
            "tau = taylored.tune_tau(\n"
            "    validation_outputs, validation_labels, counts=counts, "
            f"metric={primary.key!r}\n).value.item()    # here: {tau}"
        )
    else:
        chosen = f"tau = {tau}"
    adjusted = "taylored.adjust_logits(outputs, counts=counts, tau=tau)"
    return "\n".join([*start, counts, chosen, f"predicted = {adjusted}.argmax(dim=1)"])


def _at_price(loss: LossResult, results: Results) -> float:
    found = loss.matched.versus.difference if loss.matched else None
    return primary_of(results).direction * (found or 0.0)


def _needs(name: str) -> bool:
    try:
        return "counts" in catalog.needs(name)
    except (ValueError, TypeError, LookupError):
        return False


def _head(name: str) -> str:
    try:
        return catalog.head(name)
    except (ValueError, TypeError, LookupError):
        return "linear"
