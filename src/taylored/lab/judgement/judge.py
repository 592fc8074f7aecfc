"""Headline and sentences of a run, in the order in which a reader wants them."""

from collections.abc import Sequence

from taylored.lab.judgement.headline import headline
from taylored.lab.judgement.remarks import on_changes, on_divergence
from taylored.lab.judgement.sentences import (
    on_equal,
    on_free_gains,
    on_others,
    on_reference,
    on_trade_offs,
    on_undecided,
    on_winners,
)
from taylored.lab.metrics import Metric
from taylored.lab.results import LossResult, Verdict, Word
from taylored.lab.tasks import Task


def judge(
    losses: Sequence[LossResult],
    reference: LossResult,
    tied: Sequence[str],
    warnings: Sequence[str],
    task: Task,
    primary: Metric,
    repeats: int,
    closing: Sequence[str],
) -> Verdict:
    """Headline, sentences and the order of the losses that are better.

    Args:
        losses: the losses, each with its differences and its word.
        reference: the best that the baseline reaches for nothing.
        tied: names of the better losses that cannot be told apart from the best of them.
        warnings: what a reader has to know before anything else.
        task: names the baseline and the metrics.
        primary: the metric that the verdict is about.
        repeats: of the cross-validation, so far.
        closing: what holds for all differences, at the end.
    """
    baseline = next(loss for loss in losses if loss.role == "baseline")
    candidates = [loss for loss in losses if loss.role == "candidate"]

    def judged(word: Word) -> list[LossResult]:
        return by_gain([loss for loss in candidates if loss.verdict == word], primary)

    winners = judged("better")
    sentences = [
        *on_reference(baseline, reference, primary, task),
        *on_winners(winners, primary, tied, reference, task),
        *on_trade_offs(judged("better trade-off"), primary, task),
        *on_free_gains(judged("free gain"), primary, reference, task),
        *on_undecided(judged("undecided"), primary, repeats),
        *on_equal(judged("practically equal"), primary),
        *on_others(f"Worse than {task.reference} beyond noise", judged("worse"), primary),
        *on_others("No interval, which needs at least 2 trainings", judged("no interval"), primary),
        *on_changes(candidates, primary, task),
        *on_divergence(losses),
        *closing,
    ]
    return Verdict(
        headline=headline(losses, winners, reference, task, primary),
        sentences=tuple(sentences),
        warnings=tuple(warnings),
        ranking=tuple(loss.name for loss in winners),
        tied=tuple(tied),
        free=reference.name,
    )


def by_gain(losses: Sequence[LossResult], primary: Metric) -> list[LossResult]:
    """Losses that have a difference to the baseline, from the largest improvement down."""

    def worsening(loss: LossResult) -> float:
        return -primary.direction * (loss.against_baseline(primary.key).difference or 0.0)

    return sorted(losses, key=worsening)


def best_of(verdict: Verdict) -> str:
    """The name of the best winner, or of the best free reference where nothing beats it."""
    return verdict.ranking[0] if verdict.ranking else verdict.free
