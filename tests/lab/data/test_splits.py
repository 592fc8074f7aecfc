"""Parts, groups and the fingerprint."""

import hashlib
from collections import Counter
from dataclasses import replace

import numpy as np
import pytest

from taylored.lab.data import (
    DataError,
    Dataset,
    DatasetCard,
    class_groups,
    fingerprint,
    group_rule,
    load,
    make_split,
)
from taylored.lab.data.dataset import TEST, TRAIN, VALIDATION
from taylored.lab.data.splits import _draw, _held_out

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


@pytest.mark.parametrize("seed", [0, 1, 12345])
def test_parts_are_disjoint_complete_and_stratified(seed: int) -> None:
    counts = [1000, 203, 50, 11, 8, 7, 5]
    data = dataset(counts)
    split = make_split(data, seed)
    together = np.concatenate([split.train, split.validation, split.test])
    assert sorted(together.tolist()) == list(range(sum(counts)))
    for part in (split.validation, split.test):
        found = np.bincount(data.labels[part], minlength=7).tolist()
        assert found == [200, 41, 10, 2, 2, 1, 1]
        assert np.all(np.diff(part) > 0)


@pytest.mark.parametrize(
    ("count", "train", "validation", "test"),
    [(1, 1, 0, 0), (2, 1, 0, 1), (3, 1, 1, 1), (4, 2, 1, 1), (5, 3, 1, 1)],
)
def test_tiny_classes(count: int, train: int, validation: int, test: int) -> None:
    data = dataset([20, count])
    split = make_split(data, 0)
    parts = (split.train, split.validation, split.test)
    assert [int((data.labels[part] == 1).sum()) for part in parts] == [train, validation, test]


def test_seed_changes_the_rows_and_repeats_itself() -> None:
    data = dataset([100, 30])
    first, again, other = make_split(data, 0), make_split(data, 0), make_split(data, 1)
    assert first.test.tolist() == again.test.tolist()
    assert first.test.tolist() != other.test.tolist()


def test_every_row_is_tested_equally_often() -> None:
    data = dataset([50, 10])
    tested = np.zeros(60)
    for seed in range(400):
        tested[make_split(data, seed).test] += 1
    # 400 draws with probability 1/5: mean 80, standard deviation 8; 60 rows stay within 5 of them.
    assert np.all(np.abs(tested - 80) < 40)


def test_split_of_real_data_is_fixed() -> None:
    split = make_split(load("digits-lt"), 7)
    rows = np.concatenate([split.train, split.validation, split.test]).astype("<i8")
    assert hashlib.sha256(rows.tobytes()).hexdigest()[:16] == "2a95b557c4b61c5c"


def test_given_split_is_returned_for_every_seed() -> None:
    given = np.array([0, 1, 2, 0, 0, 2], dtype=np.int64)
    data = dataset([3, 3], split=given)
    for seed in (0, 5):
        split = make_split(data, seed)
        assert split.train.tolist() == [0, 3, 4]
        assert split.validation.tolist() == [1]
        assert split.test.tolist() == [2, 5]


@pytest.mark.parametrize("seed", [-1, 1.0, "0", True, None])
def test_seed_must_be_a_natural_number(seed: object) -> None:
    with pytest.raises(DataError, match="seed must be an integer >= 0"):
        make_split(dataset([5, 5]), seed)


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
def test_the_split_is_what_a_look_at_every_class_gives(seed: int) -> None:
    labels = np.random.default_rng(seed).zipf(1.5, 3000) % 40
    labels[labels == 11] = 12  # a class without samples
    generator = np.random.Generator(np.random.PCG64(seed))
    expected = np.full(len(labels), TRAIN)
    for label in range(41):
        rows = np.flatnonzero(labels == label)
        rows = rows[np.argsort(generator.random(len(rows)), kind="stable")]
        test, validation = _held_out(len(rows))
        expected[rows[:test]] = TEST
        expected[rows[test : test + validation]] = VALIDATION
    assert np.array_equal(_draw(labels, 41, seed), expected)
