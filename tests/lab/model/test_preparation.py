"""Rows are prepared for a saved model exactly as for the training of a trial."""

import numpy as np
import pytest
import torch

from taylored.lab.data import TRAIN, VALIDATION, Column, Dataset, DatasetCard
from taylored.lab.model.preparation import Preparation, learnt_from
from taylored.lab.trial.train import make_parts

ROWS = 120
RANDOM = np.random.default_rng(0)
PART = np.where(np.arange(ROWS) % 4 == 0, VALIDATION, TRAIN).astype(np.int8)
LABELS = np.arange(ROWS) % 2
CARD = DatasetCard("", "", "", "", ROWS, 2, 60, 60)


def dataset(features, columns=(), kind="vector", offset=None):
    return Dataset("d", features, LABELS, ("a", "b"), CARD, kind, columns=columns, offset=offset)


def table(*columns):
    values = [np.asarray(column, dtype=np.float64) for column, _ in columns]
    named = tuple(
        Column(str(place), "category" if levels else "number", tuple(levels))
        for place, (_, levels) in enumerate(columns)
    )
    return dataset(np.column_stack(values), named)


def gaps(values, every):
    return [np.nan if place % every == 0 else value for place, value in enumerate(values)]


NUMBERS = RANDOM.normal(size=ROWS) * 1e3 + 1e9
WORDS = RANDOM.integers(0, 3, ROWS).astype(float)
WORDS[:3] = 3  # a rare one
MANY = np.arange(ROWS, dtype=float) % 70

CASES = {
    "numbers": table((NUMBERS, ()), (RANDOM.normal(size=ROWS), ())),
    "gaps": table((gaps(NUMBERS, 5), ()), (NUMBERS, ()), (gaps(NUMBERS, 7), ())),
    # A gap in a validation row only: there is no column that says so.
    "a gap that training lacks": table((gaps(NUMBERS, 4), ()), (NUMBERS, ())),
    "categories": table((WORDS, "abcd"), (gaps(WORDS, 6), "abcd")),
    "more categories than columns": table((MANY, [str(n) for n in range(70)]), (NUMBERS, ())),
    "both": table((WORDS, "abcd"), (gaps(NUMBERS, 3), ()), (NUMBERS, ()), (MANY, "x" * 70)),
    "images": dataset(RANDOM.random((ROWS, 3, 4, 4)).astype(np.float32), kind="image"),
    "vectors": dataset(RANDOM.normal(size=(ROWS, 5)).astype(np.float32)),
    "constant": dataset(np.ones((ROWS, 2), np.float32)),
}


@pytest.mark.parametrize("name", CASES)
def test_the_features_are_those_of_a_trial_bit_for_bit(name):
    data = CASES[name]
    parts = make_parts(data.features, data.labels, PART, data.columns)
    encoding, numbers = learnt_from(data, PART == TRAIN)
    preparation = Preparation(data.columns, encoding, numbers)
    for number, part in ((TRAIN, parts.train), (VALIDATION, parts.validation)):
        found = preparation(torch.tensor(data.features[number == PART], dtype=torch.float64))
        assert torch.equal(found, part.features)


def test_what_was_subtracted_in_reading_is_subtracted():
    wide = RANDOM.normal(size=(ROWS, 2)) + np.array([1e9, 0.0])
    centred = (wide - [1e9, 0]).astype(np.float32)
    data = dataset(centred, offset=np.array([1e9, 0.0]))
    encoding, numbers = learnt_from(data, PART == TRAIN)
    found = Preparation((), encoding, numbers)(torch.tensor(wide))
    wanted = make_parts(centred, LABELS, PART).train.features
    torch.testing.assert_close(found[torch.from_numpy(PART == TRAIN)], wanted, rtol=1e-5, atol=1e-5)


def test_a_gap_where_training_had_none_becomes_the_median():
    data = CASES["numbers"]
    encoding, numbers = learnt_from(data, PART == TRAIN)
    preparation = Preparation(data.columns, encoding, numbers)
    row = np.array([[np.nan, 0.5]])
    median = np.array([[np.median(data.features[PART == TRAIN][:, 0]), 0.5]])
    assert torch.equal(preparation(torch.tensor(row)), preparation(torch.tensor(median)))
