"""From what models said to results: metrics, paired differences, correction, free references."""

from __future__ import annotations

import json
from dataclasses import replace

import numpy as np
import pytest
import torch

from kit.said import RATES, Said, config, entry, problem, with_heads
from taylored.lab.judgement.free import best_move, best_own_move, free_references
from taylored.lab.judgement.summarise import summarise
from taylored.lab.measures import measure
from taylored.lab.records import to_json
from taylored.lab.run.gather import log_priors
from taylored.lab.statistics.paired import compare_measured
from taylored.lab.tasks import MULTI_LABEL, SINGLE_LABEL

SAID = Said(problem())
METRICS = ("balanced_accuracy", "accuracy", "head", "medium", "tail")


def drawn(said=SAID, repeats=1, seed=0, skill=1.5):
    """Scores of a model that knows something, for cross-entropy."""
    generator = torch.Generator().manual_seed(seed)
    labels = torch.from_numpy(said.problem.tested_labels)
    scores = torch.randn(repeats, len(labels), 3, generator=generator)
    scores[:, torch.arange(len(labels)), labels] += skill
    scores += log_priors(said.problem)[0, 0].float()
    return said.told("cross_entropy", scores, "baseline")


def test_numbers_are_those_of_the_paired_estimate():
    base, focal = SAID.baseline(), SAID.loss("focal", SAID.right(1, 0.2))
    result = SAID.judged(focal, base=base)
    groups = SAID.problem.groups
    mine, other = (measure(loss.tested, groups, METRICS) for loss in (focal, base))
    for key in METRICS:
        expected = compare_measured(mine[key], other[key], +1)
        cell = entry(result, "focal").against_baseline(key)
        assert cell.difference == expected.difference
        assert (cell.low, cell.high, cell.p) == (expected.low, expected.high, expected.p)
        assert cell.probability_better == expected.probability_better
        assert (cell.examples, cell.trainings) == (expected.se_examples, expected.se_trainings)
        assert entry(result, "focal").metrics[key] == mine[key].value
        spread = np.nanstd(mine[key].by_fold, ddof=1)
        assert entry(result, "focal").spread[key] == pytest.approx(spread)


def test_correction_runs_over_the_candidates_in_two_families():
    losses = [SAID.loss(name, SAID.right(n, 0.03 * n)) for n, name in enumerate("abc", 1)]
    result = SAID.judged(*losses)

    def cells(*keys):
        return [entry(result, name).against_baseline(key) for name in "abc" for key in keys]

    rest = [key for key in SINGLE_LABEL.described if key != "balanced_accuracy"]
    for family in (cells("balanced_accuracy"), cells(*rest)):
        smallest = min(family, key=lambda cell: cell.p)
        assert smallest.p_corrected == pytest.approx(min(1, len(family) * smallest.p))
    for key in ("macro_f1", "nll"):
        assert all(cell.p_corrected is None for cell in cells(key))
    # What costs nothing is no candidate, and makes no correction stricter.
    assert entry(result, "cross_entropy + tau 1").against_baseline("accuracy").p_corrected is None


def test_rows_without_a_metric_have_none_and_json_has_no_nan():
    said = Said(problem((300, 100)))  # no head, medium and tail of two classes
    result = said.judged(said.loss("x", said.right(1, 0.3)))
    for key in ("head", "medium", "tail"):
        assert entry(result, "x").metrics[key] is None
        assert entry(result, "x").against_baseline(key).difference is None
    found = entry(result, "x").binary
    assert np.array(found.confusion).sum() == pytest.approx(400)
    assert found.positive == 1
    json.dumps(to_json(result), allow_nan=False)


def test_repeats_that_only_one_loss_has_are_left_out_of_the_difference():
    said = Said(problem(repeats=2))
    base = said.loss("cross_entropy", said.right(0), "baseline")
    short = said.loss("short", said.right(1, 0.2, repeats=1))
    result = said.judged(short, base=base)
    first = replace(base.tested, scores=base.tested.scores[:1], folds=base.tested.folds[:1])
    mine, other = (
        measure(tested, said.problem.groups, ["accuracy"])["accuracy"]
        for tested in (short.tested, first)
    )
    cell = entry(result, "short").against_baseline("accuracy")
    assert cell.difference == compare_measured(mine, other, +1).difference
    assert result.statistics.repeats == 2
    assert result.statistics.folds == 5


def test_many_labels_are_judged_by_their_average_precision():
    said = Said(problem((400,), labels=6))
    labels = torch.from_numpy(said.problem.tested_labels).float()
    noise = torch.randn(1, *labels.shape, generator=torch.Generator().manual_seed(0))
    base = said.told("binary_cross_entropy", noise + labels, "baseline")
    good = said.told("good", noise + 3 * labels)
    result = said.judged(good, base=base, primary_metric="mean_average_precision")
    assert [loss.role for loss in result.losses] == ["baseline", "candidate"]
    assert entry(result, "good").verdict == "better"
    assert entry(result, "good").trade_off == ()
    assert set(entry(result, "good").metrics) == set(MULTI_LABEL.metrics)
    json.dumps(to_json(result), allow_nan=False)


@pytest.mark.parametrize("metric", ["macro_f1", "mcc"])
def test_no_row_has_a_say_in_how_it_is_adjusted(metric):
    """Rows with other truths keep their own adjusted scores, and may change those of the others."""
    said = Said(problem((300, 150, 60)))
    task, priors = SINGLE_LABEL.metrics[metric], log_priors(said.problem)
    tested = drawn(said).tested
    groups = said.problem.groups
    folds = tested.folds[0]
    before = best_move(tested, priors, task, groups)
    changed = False
    for fold in range(5):
        own = folds == fold
        labels = np.where(own, (tested.labels + 1) % 3, tested.labels)
        other = best_move(replace(tested, labels=labels), priors, task, groups)
        assert torch.equal(before.tested.scores[0, own], other.tested.scores[0, own])
        changed |= not torch.equal(before.tested.scores[0, ~own], other.tested.scores[0, ~own])
    assert changed, "nothing depends on the labels: this test could not fail"


def test_no_row_has_a_say_in_how_its_weights_are_normalised():
    said = Said(problem((300, 150, 60)))
    base = with_lengths(drawn(said))
    priors, primary = log_priors(said.problem), SINGLE_LABEL.metrics["balanced_accuracy"]

    def normalised(labels):
        told = replace(base, tested=replace(base.tested, labels=labels))
        return free_references(told, priors, primary, said.problem.groups)[1].tested.scores[0]

    labels = base.tested.labels
    before = normalised(labels)
    for fold in range(5):
        own = base.tested.folds[0] == fold
        found = normalised(np.where(own, (labels + 1) % 3, labels))
        assert torch.equal(found[own], before[own])


def with_lengths(loss):
    return with_heads(loss, (3.0, 2.0, 1.0))


def test_rows_of_a_given_split_are_divided_for_the_choice_of_tau():
    said = Said(problem((300, 150, 60), split=True))
    tested = drawn(said).tested
    assert tested.fold_count == 1
    priors, metric = log_priors(said.problem), SINGLE_LABEL.metrics["macro_f1"]
    moved = best_move(tested, priors, metric, said.problem.groups)
    rows = (tested.scores - moved.tested.scores)[0] / priors[0, 0].float()
    taus = np.unique(rows.numpy().round(4))
    assert 1 <= len(taus) <= 5  # one for each of five parts at most
    assert np.array_equal(moved.tested.folds, tested.folds)


def test_recalls_move_by_tau_one_and_never_by_choice():
    priors = log_priors(SAID.problem)
    tested = drawn().tested
    for key in ("balanced_accuracy", "tail"):
        moved = best_move(tested, priors, SINGLE_LABEL.metrics[key], SAID.problem.groups)
        assert moved.tau == 1.0
        rows = torch.from_numpy(tested.folds[0])
        expected = tested.scores[0] - priors[0][rows].float()
        torch.testing.assert_close(moved.tested.scores[0], expected)


def test_a_loss_that_has_moved_its_scores_is_not_moved_again():
    """Scores for equal priors are best as they are; tau = 1 would favour the rare twice."""
    priors, metric = log_priors(SAID.problem), SINGLE_LABEL.metrics["balanced_accuracy"]
    tested, groups = drawn().tested, SAID.problem.groups
    evidence = torch.randn(tested.scores.shape, generator=torch.Generator().manual_seed(0))
    truth = torch.from_numpy(np.eye(3, dtype=np.float32)[tested.labels])
    moved_already = replace(tested, scores=evidence + 2 * truth)

    def reached(found):
        return measure(found, groups, [metric.key])[metric.key].value

    own = best_own_move(moved_already, priors, metric, groups)
    assert abs(own.tau) <= 0.4
    assert reached(own.tested) > reached(moved_already) - 0.02
    assert reached(best_move(moved_already, priors, metric, groups).tested) < reached(own.tested)


@pytest.mark.parametrize("count", [0, 2])
def test_exactly_one_baseline_is_needed(count):
    entries = [SAID.baseline()] * count + [SAID.loss("x", SAID.right(1))]
    with pytest.raises(ValueError, match="exactly one entry with role 'baseline'"):
        summarise(config(), SAID.problem.summary(), RATES, entries, log_priors(SAID.problem))


def test_unknown_primary_metric_is_refused():
    with pytest.raises(ValueError, match="primary_metric must be one of"):
        SAID.judged(primary_metric="f1")
