"""`verdict`: the statistics of a comparison for scores of any trainer, without training."""

from collections.abc import Mapping, Sequence
from dataclasses import replace
from typing import Any

from taylored.lab.errors import UsageError
from taylored.lab.judgement.describe import Described
from taylored.lab.judgement.differences import Comparing, level_with_best
from taylored.lab.judgement.judge import by_gain, judge
from taylored.lab.judgement.summarise import CONFIDENCE, best_reference, matched_prices
from taylored.lab.judgement.words import word_for
from taylored.lab.results import StatisticalTest
from taylored.lab.scores.described import Setting
from taylored.lab.scores.read import counts_of, read_scores
from taylored.lab.scores.result import Judgement
from taylored.lab.scores.setting import Better, classes_of, of_numbers, of_rows
from taylored.lab.scores.words import closing_of, design_of, test_of, warnings_of
from taylored.lab.side_by_side import one_thread
from taylored.lab.wording import join, printable, shorten


@one_thread()
def verdict(
    scores: Mapping[str, Any],
    labels: Any = None,
    *,
    folds: Any = None,
    train_counts: Sequence[int] | None = None,
    baseline: str | None = None,
    metric: str | None = None,
    better: Better | None = None,
    looks: int = 1,
) -> Judgement:
    """Which loss is better, by scores that you have: the statistics of `compare`, for any trainer.

    The scores are paired: every loss was tested on the same rows, with the same seeds. Give what
    the models said about every row where you can. Then the error covers other test rows as well,
    and cross-entropy with adjusted scores is judged beside the losses. One number per training
    only tells how other trainings would come out on these very rows.

    Args:
        scores: for every loss one of these, of the same kind: predicted classes (rows,), whether
            they were right (rows,) as booleans, logits (rows, classes); with a first axis
            (repeats, ...) for several trainings. Or one number per training, without labels. A
            data frame has one column per loss.
        labels: the true class of each row; positions of columns for logits. 0 and 1 of shape
            (rows, labels) for any number of labels per row.
        folds: the fold that tested each row of a cross-validation, (rows,) or (repeats, rows).
            Left out, there is one test set, and repeats are trainings with other seeds.
        train_counts: training samples of each class, which name head and tail and the adjustment of
            the baseline's logits. For a cross-validation they follow from labels and folds.
        baseline: the loss that all others are compared with; by default "cross_entropy", or else
            the first.
        metric: what the verdict is about; a key of the metrics, by default balanced accuracy (mean
            average precision for many labels). For one number per training, their name.
        better: "lower" where less is better, for a metric that the library does not know.
        looks: how often these data are looked at before the experiment ends, such as after every
            added repeat. More looks make the limits of significance stricter.

    Returns:
        The judgement, with the differences, their intervals, and sentences.

    Raises:
        UsageError: for scores that are not paired, not finite, or of no known form.

    Example:
        >>> import numpy as np
        >>> from taylored import lab
        >>> accuracies = {
        ...     "cross_entropy": [0.712, 0.705, 0.718, 0.709, 0.711],
        ...     "focal": [0.741, 0.729, 0.744, 0.738, 0.735],
        ... }
        >>> found = lab.verdict(accuracies, metric="accuracy")
        >>> print(found.verdict.headline)
        focal beats cross_entropy by 2.6 points of overall accuracy (95 % +2.3 to +3.0)
        >>> found.best()
        'focal'

        Predictions of every row say more:

        >>> truth = np.arange(300) % 3
        >>> rows = np.random.default_rng(0)
        >>> worse, better = (np.where(rows.random(300) < p, truth, 0) for p in (0.5, 0.9))
        >>> found = lab.verdict({"cross_entropy": worse, "mine": better}, truth, folds=truth * 0
        ...                     + np.arange(300) // 60)
        >>> found.difference("mine").beyond_noise
        True

    """
    read = read_scores(scores, labels, folds)
    _check_options(read.names, baseline, better, looks)
    named = baseline or ("cross_entropy" if "cross_entropy" in read.names else read.names[0])
    order = [named, *(name for name in read.names if name != named)]
    if read.numbers:
        setting = of_numbers(read, metric, better)
    else:
        setting = of_rows(read, metric, better, counts_of(train_counts, classes_of(read)))
    task = replace(setting.task, baseline=named, reference=shorten(printable(named), 40))
    setting = replace(setting, task=task)
    return _judged(setting.described(order), setting, looks)


def _check_options(
    names: Sequence[str], baseline: str | None, better: object, looks: object
) -> None:
    if baseline is not None and baseline not in names:
        raise UsageError(f"baseline must be one of {', '.join(names)}, got {baseline!r}.")
    if better not in (None, "higher", "lower"):
        raise UsageError(f"better must be 'higher' or 'lower', got {better!r}.")
    if isinstance(looks, bool) or not isinstance(looks, int) or looks < 1:
        raise UsageError(f"looks must be an integer >= 1, got {looks!r}.")


def _judged(described: Sequence[Described], setting: Setting, looks: int) -> Judgement:
    task, primary = setting.task, setting.primary
    candidates = sum(each.trained.role == "candidate" for each in described)
    comparing = Comparing(task, primary, looks, candidates)
    reference = best_reference(described, primary)
    compared = comparing.against(described[0], reference, described)
    if setting.priors is not None:
        compared = matched_prices(described, compared, comparing, setting.priors, setting.groups)
    results = [
        replace(loss, verdict=word_for(loss, primary, comparing.level))
        if loss.role == "candidate"
        else loss
        for loss in compared
    ]
    winners = by_gain([loss for loss in results if loss.verdict == "better"], primary)
    repeats, folds = design_of(setting.read)
    judged_by = join([task.metrics[key].label for key in task.described])
    return Judgement(
        losses=tuple(results),
        verdict=judge(
            results,
            next(loss for loss in results if loss.name == reference.result.name),
            level_with_best(winners, described, comparing),
            warnings_of(setting, repeats, folds),
            task,
            primary,
            repeats,
            closing_of(results, setting),
        ),
        metrics=task.metrics,
        primary=primary,
        statistics=StatisticalTest(
            test=test_of(setting.read),
            folds=folds,
            repeats=repeats,
            confidence=CONFIDENCE,
            significance=comparing.level,
            correction=f"Holm over the losses in {primary.label}; a second family holds all losses "
            f"in {judged_by}",
        ),
    )
