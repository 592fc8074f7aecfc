"""The headline of a verdict: one sentence, and never more than the numbers carry."""

from collections import Counter
from collections.abc import Sequence

from taylored.lab.judgement.sentences import interval, name_of, price
from taylored.lab.metrics import Metric
from taylored.lab.results import LossResult
from taylored.lab.tasks import Task


def headline(
    losses: Sequence[LossResult],
    winners: Sequence[LossResult],
    reference: LossResult,
    task: Task,
    primary: Metric,
) -> str:
    """The outcome of a run in one sentence.

    Args:
        losses: the losses, each with its word.
        winners: those that are better than the reference, the best first.
        reference: the best that the baseline reaches for nothing.
        task: names the baseline.
        primary: the metric that the verdict is about.
    """
    baseline = next(loss for loss in losses if loss.role == "baseline")
    candidates = [loss for loss in losses if loss.role == "candidate"]
    if baseline.diverged:
        what = "failed" if baseline.failed else "diverged"
        return f"No verdict: {task.reference} {what}, so there is nothing to compare to"
    if not candidates:
        return f"Only {task.reference} was run: there is nothing to compare"
    if winners:
        return _winning(winners, candidates, reference, task, primary)
    words = Counter(loss.verdict for loss in candidates)
    if words["diverged"] == len(candidates):
        what = "diverged or failed" if any(loss.failed for loss in candidates) else "diverged"
        return f"No verdict: every compared loss {what} in at least one training"
    if words["better trade-off"]:
        return _trading(candidates, task, primary)
    if words["free gain"]:
        gained = reference.against_baseline(primary.key)
        return (
            f"No loss is shown to beat what {task.reference} reaches for nothing: "
            f"{name_of(reference)} gains {_size(gained.difference, primary)} of {primary.label}"
            f"{price(reference, None, primary, task)}"
        )
    if words["worse"] == len(candidates):
        are = "it is" if len(candidates) == 1 else f"all {len(candidates)} are"
        return f"No loss beats {task.reference} in {primary.label}; {are} worse"
    if words["no interval"] and not words["undecided"] and not words["practically equal"]:
        return "No verdict: these trainings are too few, or too much alike, to show a difference"
    if words["practically equal"] == len(candidates):
        who = name_of(candidates[0]) if len(candidates) == 1 else f"all {len(candidates)} losses"
        return f"In {primary.label}, {who} and {task.reference} are practically equal"
    rest = f"; {words['worse']} worse" if words["worse"] else ""
    return (
        f"Undecided: no loss is shown to beat {task.reference} in {primary.label} "
        f"({words['undecided']} undecided, {words['practically equal']} practically equal{rest})"
    )


def _trading(candidates: Sequence[LossResult], task: Task, primary: Metric) -> str:
    """No loss beats what is free outright, but some do at their own price."""
    best = max(
        (loss for loss in candidates if loss.verdict == "better trade-off" and loss.matched),
        key=lambda loss: (
            primary.direction * (loss.matched.versus.difference or 0.0) if loss.matched else 0.0
        ),
    )
    assert best.matched is not None  # noqa: S101 - the word says so
    return (
        f"{name_of(best)} trades better than {task.reference} does for nothing: "
        f"{primary.points(best.matched.versus.difference)} of {primary.label} at the same "
        f"{task.metrics[best.matched.price].label}"
    )


def _winning(
    winners: Sequence[LossResult],
    candidates: Sequence[LossResult],
    reference: LossResult,
    task: Task,
    primary: Metric,
) -> str:
    best = winners[0]
    found = best.against_free(primary.key)
    than = task.reference if reference.role == "baseline" else name_of(reference)
    what = (
        f"by {_size(found.difference, primary)} of {primary.label} ({interval(found, primary)})"
        f"{price(best, reference, primary, task)}"
    )
    if len(winners) == 1:
        return f"{name_of(best)} beats {than} {what}"
    many = f"{len(winners)} of {len(candidates)} losses"
    return f"{many} beat {than}, {name_of(best)} {what}"


def _size(difference: float | None, metric: Metric) -> str:
    return metric.points(difference).lstrip("+-")
