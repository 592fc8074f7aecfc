"""The headline of a verdict: one sentence, and never more than the numbers carry."""

from collections import Counter
from collections.abc import Sequence

from taylored.lab.metrics import Metric
from taylored.lab.results import ControlCheck, LossResult
from taylored.lab.tasks import Task
from taylored.lab.verdict.sentences import name_of
from taylored.lab.wording import plural


def headline(
    losses: Sequence[LossResult],
    winners: Sequence[LossResult],
    task: Task,
    primary: Metric,
    control: ControlCheck,
) -> str:
    """The outcome of a run in one sentence.

    Args:
        losses: the losses, each with its word.
        winners: those that are better beyond noise, the best first.
        task: names the baseline.
        primary: the metric that the verdict is about.
        control: whether the baseline differs from itself.
    """
    baseline = next(loss for loss in losses if loss.role == "baseline")
    candidates = [loss for loss in losses if loss.role == "candidate"]
    seeds = plural(max(len(loss.trials) for loss in losses), "seed")
    reference = task.reference
    if baseline.mean[primary.key] is None:
        what = "failed" if baseline.failed else "diverged"
        return f"No verdict: {reference} {what} in every seed, so there is nothing to compare to"
    if control.passed is False:
        return (
            f"This run cannot be trusted to separate losses with {seeds}: "
            f"{reference} differs from itself"
        )
    if not candidates:
        return f"Only {reference} was run: there is nothing to compare"
    if winners:
        return _winning(winners, candidates, primary, reference)
    words = Counter(loss.verdict for loss in candidates)
    if worse := words["worse"]:
        if len(candidates) == 1:
            return f"{name_of(candidates[0])} is worse than {reference} in {primary.label}"
        are = "1 is" if worse == 1 else f"{worse} are"
        return f"No loss beats {reference} in {primary.label}; {are} worse"
    if words["diverged"] == len(candidates):
        what = "diverged or failed" if any(loss.failed for loss in candidates) else "diverged"
        return f"No verdict: every compared loss {what} in at least one seed"
    if words["no interval"] and not words["no difference"]:
        return f"No verdict: {seeds} cannot tell a difference from noise"
    if len(candidates) == 1:
        return (
            f"No difference beyond noise between {name_of(candidates[0])} and {reference} "
            f"in {primary.label}"
        )
    return (
        f"No difference beyond noise: none of the {plural(len(candidates), 'loss')} can be told "
        f"apart from {reference} in {primary.label}"
    )


def _winning(
    winners: Sequence[LossResult],
    candidates: Sequence[LossResult],
    primary: Metric,
    reference: str,
) -> str:
    best = winners[0]
    gained = primary.points(best.against_baseline(primary.key).difference).lstrip("+-")
    if len(winners) == 1:
        return f"{name_of(best)} beats {reference} in {primary.label} by {gained}"
    many = "Both" if len(winners) == len(candidates) == 2 else f"{len(winners)} losses"
    if len(winners) < len(candidates):
        many = f"{len(winners)} of {len(candidates)} losses"
    return f"{many} beat {reference} in {primary.label}, by up to {gained}"
