"""What the differences of a run do and do not show: one word per loss, and the verdict."""

from collections.abc import Sequence

from taylored.lab.metrics import Metric
from taylored.lab.results import (
    ControlCheck,
    Difference,
    LearningRateChoice,
    LossResult,
    Verdict,
    Word,
)
from taylored.lab.tasks import Task
from taylored.lab.verdict.differences import by_gain
from taylored.lab.verdict.headline import headline
from taylored.lab.verdict.sentences import (
    caveats,
    evidence,
    improves,
    on_changes,
    on_divergence,
    on_others,
    on_winners,
    without_interval,
)
from taylored.lab.verdict.statistics import CONTROL_SIGNIFICANCE, FEWEST_SEEDS, SIGNIFICANCE
from taylored.lab.wording import plural


def judge_control(losses: Sequence[LossResult], task: Task, primary: Metric) -> ControlCheck:
    """The A/A check: the baseline against itself must come out as no difference."""
    control = next((loss for loss in losses if loss.role == "control"), None)
    if control is None:
        return ControlCheck(None, "No control was run, so the noise floor is unchecked.")
    found = control.against_baseline(primary.key)
    against = (
        f"Control: {task.reference} against itself, with other initial weights and batch order,"
    )
    if found.p_corrected is None:
        if _unchanged(found):
            return ControlCheck(
                True, f"{against} gave identical {primary.label} in every seed: no difference."
            )
        return ControlCheck(
            None, f"{against} gives no interval with {plural(found.n, 'usable seed')}."
        )
    passed = found.p_corrected >= CONTROL_SIGNIFICANCE
    said = "shows no difference" if passed else "shows a difference, which it must not"
    limit = f"The check fails below p = {CONTROL_SIGNIFICANCE}."
    return ControlCheck(passed, f"{against} {said}: {evidence(found, primary)}. {limit}")


def word_for(loss: LossResult, primary: Metric, control: ControlCheck) -> Word:
    """The verdict on a loss that is not the baseline, in one word."""
    if loss.diverged:
        return "diverged"
    found = loss.against_baseline(primary.key)
    if found.p_corrected is None:
        return "no difference" if _unchanged(found) else "no interval"
    if loss.role == "control":
        return "differs" if control.passed is False else "no difference"
    if not significant(found):
        return "no difference"
    if control.passed is False:
        return "untrusted"
    return "better" if improves(found, primary) else "worse"


def significant(found: Difference) -> bool:
    """Whether a difference survives the correction for the number of losses."""
    return found.p_corrected is not None and found.p_corrected < SIGNIFICANCE


def beyond_noise(loss: LossResult, found: Difference, control: ControlCheck) -> bool:
    """Whether a difference may be marked as one.

    A loss that diverged in some seeds is never marked, because the other seeds are a selection.
    Nothing is marked in a run whose control failed. The control itself is judged as a whole.
    """
    return (
        loss.role == "candidate"
        and significant(found)
        and not loss.diverged
        and control.passed is not False
    )


def judge(
    losses: Sequence[LossResult],
    task: Task,
    primary: Metric,
    control: ControlCheck,
    learning_rate: LearningRateChoice,
    tied: Sequence[str],
) -> Verdict:
    """Headline, sentences and the order of the losses that are better beyond noise.

    Args:
        losses: the losses, each with its differences and its word.
        task: names the baseline and the metrics.
        primary: the metric that the verdict is about.
        control: result of `judge_control`.
        learning_rate: how the learning rate was chosen, said where it limits the verdict.
        tied: names of the better losses that cannot be told apart from the best of them.
    """
    candidates = [loss for loss in losses if loss.role == "candidate"]

    def judged(word: Word) -> list[LossResult]:
        return [loss for loss in candidates if loss.verdict == word]

    winners = by_gain(judged("better"), primary)
    seeds = max(len(loss.trials) for loss in losses)
    sentences = [
        *on_winners(winners, primary, tied, task),
        *on_others(f"Worse than {task.reference} beyond noise", judged("worse"), primary),
        *on_others(
            "Larger than the noise of a sound run, but not to be trusted here",
            judged("untrusted"),
            primary,
        ),
        *on_others("No difference beyond noise", judged("no difference"), primary),
        *without_interval(judged("no interval"), primary),
        *on_changes(candidates, primary, task),
        *on_divergence(losses),
        *caveats(candidates, primary, task, seeds, learning_rate),
    ]
    return Verdict(
        headline=headline(losses, winners, task, primary, control),
        sentences=tuple(sentences),
        ranking=tuple(loss.name for loss in winners),
        tied=tuple(tied),
    )


def _unchanged(found: Difference) -> bool:
    """Whether enough seeds show no difference at all, which leaves nothing to test."""
    return found.n >= FEWEST_SEEDS and found.difference == 0
