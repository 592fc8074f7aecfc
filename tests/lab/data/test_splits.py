"""Folds and the parts of every training, groups, and the fingerprint."""

import hashlib
from collections import Counter
from dataclasses import replace

import numpy as np
import pytest

from kit.parts import parts
from taylored.lab.data import (
    FOLDS,
    TEST,
    TRAIN,
    VALIDATION,
    DataError,
    Dataset,
    DatasetCard,
    class_groups,
    draw_folds,
    fingerprint,
    group_rule,
    load,
    parts_of,
)
from taylored.lab.run.problem import Problem

CARD = DatasetCard("here", "none", "", "", 1, 1, 1, 1)


def dataset(counts: list[int], split: np.ndarray | None = None) -> Dataset:
    labels = np.random.default_rng(0).permutation(np.repeat(np.arange(len(counts)), counts))
    return Dataset(
        name="made",
        features=np.arange(2 * len(labels), dtype=np.float32).reshape(-1, 2),
        labels=labels.astype(np.int64),
        class_names=tuple("abcdefghij"[: len(counts)]),
        card=CARD,
        split=split,
    )


def many_labels(rows: int, labels: int, seed: int) -> Dataset:
    rng = np.random.default_rng(seed)
    hot = (rng.random((rows, labels)) < np.geomspace(0.5, 0.02, labels)).astype(np.int8)
    hot[:5] = 1  # every label has five rows at least
    card = replace(CARD, samples=rows, classes=labels)
    features = np.arange(rows, dtype=np.float32)[:, None]
    names = tuple(f"l{number}" for number in range(labels))
    return Dataset("made", features, hot, names, card, task="multi-label")


def grouped(counts: list[int], size: int) -> Dataset:
    """Neighbouring rows, of whatever class, belong together."""
    data = dataset(counts)
    return replace(data, groups=np.arange(len(data.labels), dtype=np.int64) // size)


DATA = {
    "classes": dataset([1000, 203, 50, 11, 8, 7, 5]),
    "fewer rows than folds": dataset([40, 4, 3, 2, 1]),
    "groups": grouped([300, 60, 12], 3),
    "groups of one class": replace(
        dataset([300, 60, 12]), groups=dataset([300, 60, 12]).labels * 50 + np.arange(372) % 50
    ),
    "labels": many_labels(200, 6, 0),
    "groups with labels": replace(
        many_labels(200, 6, 1), groups=np.arange(200, dtype=np.int64) // 2
    ),
}


@pytest.mark.parametrize("name", DATA)
@pytest.mark.parametrize("seed", [0, 12345])
def test_every_row_is_tested_once_in_every_repeat(name: str, seed: int) -> None:
    data = DATA[name]
    problem = Problem.draw(data, seed=seed, repeats=3)
    assert problem.folds == FOLDS
    for repeat in range(3):
        trainings = [problem.part(repeat, fold) for fold in range(FOLDS)]
        rows = np.stack(trainings)
        for number, times in ((TEST, 1), (VALIDATION, 1), (TRAIN, FOLDS - 2)):
            assert ((rows == number).sum(axis=0) == times).all()
        for fold, part in enumerate(trainings):
            assert np.array_equal(part == TEST, problem.tested[repeat] == fold)
            # No group has rows on both sides of a border.
            if data.groups is not None:
                sides = np.unique(np.stack([data.groups, part]), axis=1)
                assert len(sides[0]) == len(np.unique(data.groups))


@pytest.mark.parametrize("seed", [0, 1, 12345])
def test_classes_are_spread_evenly_over_the_folds(seed: int) -> None:
    counts = [1000, 203, 50, 11, 8, 7, 5]
    data = dataset(counts)
    folds = draw_folds(data, seed)
    for label, count in enumerate(counts):
        found = np.bincount(folds[data.labels == label], minlength=FOLDS)
        assert found.sum() == count
        assert found.max() - found.min() <= 1


@pytest.mark.parametrize("count", [1, 2, 3, 4, 5, 6])
def test_tiny_classes(count: int) -> None:
    data = dataset([20, count])
    for seed in range(5):
        found = np.bincount(draw_folds(data, seed)[data.labels == 1], minlength=FOLDS)
        assert np.count_nonzero(found) == min(count, FOLDS)
        assert found.max() == -(-count // FOLDS)


def test_small_classes_do_not_crowd_into_the_first_folds() -> None:
    data = dataset([1] * 10)
    sizes = sum(np.bincount(draw_folds(data, seed), minlength=FOLDS) for seed in range(200))
    # 2000 rows over five folds: mean 400, standard deviation 18.
    assert np.all(np.abs(sizes - 400) < 90)


def test_large_groups_leave_no_fold_empty() -> None:
    # Classes are spread first, so that a fold may be two groups off its share of 372 rows.
    data = grouped([300, 60, 12], 30)
    for seed in range(5):
        sizes = np.bincount(draw_folds(data, seed), minlength=FOLDS)
        assert sizes.min() >= 30
        assert sizes.max() <= 372 / FOLDS + 60


@pytest.mark.parametrize("name", DATA)
def test_seed_and_repeat_change_the_folds_and_repeat_themselves(name: str) -> None:
    data = DATA[name]
    first = Problem.draw(data, seed=0, repeats=3)
    longer = Problem.draw(data, seed=0, repeats=4)
    assert np.array_equal(longer.tested[:3], first.tested)  # a run that grows keeps its folds
    other = Problem.draw(data, seed=1, repeats=3)
    drawn = {folds.tobytes() for folds in (*first.tested, *other.tested)}
    assert len(drawn) == 6


def test_the_fold_of_a_row_is_drawn_evenly() -> None:
    data = dataset([50, 10])
    tested = np.zeros(60)
    for seed in range(400):
        tested[draw_folds(data, seed) == 0] += 1
    # 400 draws with probability 1/5: mean 80, standard deviation 8; 60 rows stay within 5 of them.
    assert np.all(np.abs(tested - 80) < 40)


def test_folds_of_real_data_are_fixed() -> None:
    folds = draw_folds(load("digits-lt"), 7)
    assert hashlib.sha256(folds.astype("<i8").tobytes()).hexdigest()[:16] == "0e1e0f058bc1ed01"


def test_parts_turn_with_the_fold() -> None:
    folds = np.arange(2 * FOLDS) % FOLDS
    for fold in range(FOLDS):
        part = parts_of(folds, fold)
        assert np.array_equal(part == TEST, folds == fold)
        assert np.array_equal(part == VALIDATION, folds == (fold + 1) % FOLDS)


def test_given_split_is_returned_for_every_seed() -> None:
    given = np.array([0, 1, 2, 0, 0, 2], dtype=np.int64)
    data = dataset([3, 3], split=given)
    for seed in (0, 5):
        split = parts(data, seed)
        assert [rows.tolist() for rows in split.all] == [[0, 3, 4], [1], [2, 5]]
        problem = Problem.draw(data, seed=seed, repeats=3)
        assert problem.folds == 1
        assert all(np.array_equal(problem.part(repeat, 0), given) for repeat in range(3))
        assert problem.tested.tolist() == [[0, 0]] * 3
        assert np.array_equal(problem.tested_labels, data.labels[[2, 5]])


@pytest.mark.parametrize("seed", [-1, 1.0, "0", True, None])
def test_seed_must_be_a_natural_number(seed: object) -> None:
    with pytest.raises(DataError, match="seed must be an integer >= 0"):
        draw_folds(dataset([5, 5]), seed)


@pytest.mark.parametrize(
    ("counts", "groups", "rule"),
    [
        ([100, 99, 20, 19], "head medium medium tail", "at least 100"),
        ([19, 20, 100], "tail medium head", "at least 100"),
        ([500, 400, 300, 200, 100], "head head medium tail tail", "thirds"),
        ([10, 11], "tail head", "thirds"),
        ([5, 5, 5], "head medium tail", "thirds"),
        ([9, 8, 7, 6], "head medium medium tail", "thirds"),
        ([0, 200, 50], "tail head medium", "at least 100"),
    ],
)
def test_groups_and_the_rule_behind_them(counts: list[int], groups: str, rule: str) -> None:
    assert class_groups(counts) == tuple(groups.split())
    assert class_groups(np.array(counts)) == tuple(groups.split())
    assert rule in group_rule(counts)


@pytest.mark.parametrize("classes", range(3, 40))
def test_thirds_never_leave_a_group_empty(classes: int) -> None:
    groups = Counter(class_groups([1000 - index for index in range(classes)]))
    assert len(groups) == 3
    assert max(groups.values()) - min(groups.values()) <= 1


@pytest.mark.parametrize("counts", [[5], [], [[1, 2]], [3, -1]])
def test_groups_need_counts_of_two_classes(counts: list[int]) -> None:
    with pytest.raises(DataError, match="train_counts"):
        class_groups(counts)


def test_fingerprint_sees_every_change_that_matters() -> None:
    base = dataset([6, 5])
    nudged = base.features.copy()
    nudged[3, 1] = np.nextafter(nudged[3, 1], np.float32(1e9))
    swapped = base.labels.copy()
    swapped[0] = 1 - swapped[0]
    given = np.zeros(11, dtype=np.int64)
    variants = [
        base,
        replace(base, features=nudged),
        replace(base, features=np.ascontiguousarray(base.features[:, :1])),
        replace(base, labels=swapped),
        replace(base, class_names=("ab", "")),
        replace(base, class_names=("a", "c")),
        replace(base, split=given),
        replace(base, split=given + 1),
    ]
    assert len({fingerprint(variant) for variant in variants}) == len(variants)


def test_fingerprint_ignores_name_card_and_memory_layout() -> None:
    base = dataset([6, 5])
    same = replace(
        base,
        name="moved",
        card=replace(CARD, source="there"),
        features=np.asfortranarray(base.features),
    )
    assert fingerprint(same) == fingerprint(base)
    assert len(fingerprint(base)) == 64


@pytest.mark.parametrize(
    ("change", "message"),
    [
        ({"features": np.zeros((11, 2))}, "float32"),
        ({"features": np.zeros((11, 2, 2), np.float32)}, "2 dimensions"),
        ({"labels": np.zeros(11, np.int32)}, "int64"),
        ({"labels": np.zeros(10, np.int64)}, "one per row"),
        ({"labels": np.full(11, 2)}, r"0 \.\. 1"),
        ({"labels": np.full(11, -1)}, r"0 \.\. 1"),
        ({"split": np.zeros(10, np.int64)}, "split"),
    ],
)
def test_dataset_checks_its_own_shapes(change: dict[str, np.ndarray], message: str) -> None:
    with pytest.raises(DataError, match=message):
        replace(dataset([6, 5]), **change)


@pytest.mark.parametrize("seed", [0, 7])
def test_the_folds_are_what_a_look_at_every_class_gives(seed: int) -> None:
    labels = np.random.default_rng(seed).zipf(1.5, 3000) % 40
    labels[labels == 11] = 12  # a class without samples
    data = replace(dataset([5, 5]), labels=labels, class_names=tuple(map(str, range(41))),
                   features=np.zeros((3000, 1), dtype=np.float32))  # fmt: skip
    generator = np.random.Generator(np.random.PCG64(seed))
    expected = np.full(len(labels), -1)
    for label in range(41):
        rows = np.flatnonzero(labels == label)
        rows = rows[np.argsort(generator.random(len(rows)), kind="stable")]
        first = int(generator.random() * FOLDS)
        for turn, row in enumerate(rows):
            expected[row] = (first + turn) % FOLDS
    assert np.array_equal(draw_folds(data, seed), expected)
