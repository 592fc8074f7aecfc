"""Data given in Python: arrays, tensors, data frames, torch Datasets; and archives with caps."""

from pathlib import Path
from typing import Any

import numpy as np
import pandas as pd
import pytest
import torch
from PIL import Image
from torch.utils.data import Dataset as TorchDataset
from torch.utils.data import IterableDataset, TensorDataset

from taylored.lab.data import DataError, Dataset, Reading, encode, load
from taylored.lab.errors import UsageError
from taylored.lab.run.progress import Reporter
from taylored.lab.run.sources import read
from taylored.lab.trial.train import make_parts

ROWS = 30
FEATURES = np.random.default_rng(0).normal(size=(ROWS, 3))
LABELS = np.arange(ROWS) % 3


def taken(source: Any, target: str | None = None, **options: Any) -> Dataset:
    return read(source, target, Reading(**options), Reporter("off"))


class Samples(TorchDataset):
    def __init__(self, features: Any, labels: Any, classes: Any = None) -> None:
        self.features, self.labels = features, labels
        if classes is not None:
            self.classes = classes

    def __len__(self) -> int:
        return len(self.labels)

    def __getitem__(self, number: int) -> Any:
        return self.features[number], self.labels[number]


class Stream(IterableDataset):
    def __iter__(self) -> Any:
        yield from zip(FEATURES, LABELS, strict=True)


@pytest.mark.parametrize(
    "source",
    [
        (FEATURES, LABELS),
        (FEATURES.tolist(), LABELS.tolist()),
        (torch.tensor(FEATURES).requires_grad_(), torch.tensor(LABELS)),
        (pd.DataFrame(FEATURES), pd.Series(LABELS)),
        TensorDataset(torch.tensor(FEATURES), torch.tensor(LABELS)),
        Samples(FEATURES, LABELS),
        Samples(torch.tensor(FEATURES), LABELS.tolist()),
    ],
)
def test_the_same_data_in_every_form(source: Any) -> None:
    data = taken(source)
    np.testing.assert_array_equal(data.features, FEATURES.astype(np.float32))
    np.testing.assert_array_equal(data.labels, LABELS)
    assert data.class_names == ("0", "1", "2")


def test_a_data_frame_with_a_target() -> None:
    table = pd.DataFrame(FEATURES, columns=["a", "b", "c"]).assign(kind=LABELS)
    data = taken(table, "kind", drop=["b"])
    assert [column.name for column in data.columns] == ["a", "c"]
    with pytest.raises(DataError, match="say which column holds the classes"):
        taken(table)


def test_names_of_a_torch_dataset() -> None:
    data = taken(Samples(FEATURES, LABELS, ["ant", "bee", "cat"]))
    assert data.class_names == ("ant", "bee", "cat")


def test_images_of_a_torch_dataset_are_resized() -> None:
    images = [Image.new("RGB", (20 + n, 10), (n, 0, 0)) for n in range(ROWS)]
    data = taken(Samples(images, LABELS), image_size=16)
    assert data.features.shape == (ROWS, 3, 16, 16)
    assert data.kind == "image"


@pytest.mark.parametrize(
    ("source", "message"),
    [
        (Samples(["text"] * ROWS, LABELS), "must hold numbers or a Pillow image, got str"),
        (Samples([np.zeros(n % 2 + 1) for n in range(ROWS)], LABELS), "must have one shape"),
        (Samples([], []), "Samples is empty"),
        (Samples([1.0], LABELS), r"Samples\[1\] fails: IndexError"),
        (TensorDataset(torch.zeros(9, 2)), r"TensorDataset\[0\] must be a pair"),
        (Stream(), "Stream has no length"),
    ],
)
def test_torch_datasets_that_cannot_be_used(source: Any, message: str) -> None:
    with pytest.raises(DataError, match=message):
        taken(source)


@pytest.mark.parametrize(
    ("source", "message"),
    [
        (3, "data must be a built-in name, a path, a pandas DataFrame"),
        ((FEATURES,), "data must be a built-in name"),
        (([[1], [1, 2]], [0, 1]), "features cannot be made an array"),
    ],
)
def test_other_objects_are_refused(source: Any, message: str) -> None:
    with pytest.raises(UsageError, match=message):
        taken(source)


def test_large_numbers_keep_their_digits() -> None:
    """Times in seconds differ by less than float32 can tell from each other."""
    seconds = 1.7e9 + LABELS * 10.0 + FEATURES[:, 0]
    for source in ((seconds[:, None], LABELS), (seconds.astype(np.int64)[:, None], LABELS)):
        data = taken(source)
        assert data.features.dtype == np.float32
        part = np.tile(np.array([0, 1, 2], dtype=np.int8), 10)
        train = make_parts(data.features, data.labels, part).train.features
        assert len(torch.unique(train)) > 3
        assert any("float32 would lose their digits" in note for note in data.card.notes)


def test_gaps_in_arrays_are_imputed_with_an_indicator(tmp_path: Path) -> None:
    features = FEATURES.copy()
    features[4, 1] = np.nan
    np.savez(tmp_path / "own.npz", features=features, labels=LABELS)
    for data in (taken((features, LABELS)), load(tmp_path / "own.npz")):
        made = encode(data.columns, data.features, np.ones(ROWS, dtype=np.bool_))
        assert made.shape == (ROWS, 4)
        assert made[4, 1] == np.nanmedian(features[:, 1])
        assert "NaN counts as missing: 1 values in columns 2" in data.card.notes


def test_leaks_in_arrays_are_named() -> None:
    features = np.column_stack([FEATURES, LABELS * 2, np.arange(ROWS), LABELS + FEATURES[:, 0] / 9])
    notes = "\n".join(taken((features, LABELS)).card.notes)
    assert "Warning: column '4': it is the target under other names" in notes
    assert "Warning: column '5' grows or falls from row to row" in notes
    assert "Warning: column '6' alone determines the target: sorted by it" in notes
    assert notes.count("Warning") == 3
    assert taken((FEATURES, LABELS)).card.notes == ()


def test_an_archive_stops_at_the_cap(tmp_path: Path, monkeypatch) -> None:
    monkeypatch.setattr("taylored.lab.data.formats.archive.MAX_BYTES", 2**16)
    np.savez_compressed(tmp_path / "own.npz", features=np.zeros((ROWS, 10**5)), labels=LABELS)
    with pytest.raises(DataError, match="unpack to .* GiB, more than the"):
        load(tmp_path / "own.npz")


def test_what_was_read_is_told(tmp_path: Path) -> None:
    kind = ["a"] * 20 + ["b"] * 7 + ["c"] * 3
    table = pd.DataFrame({"x": FEATURES[:, 0], "id": range(ROWS), "kind": kind})
    table.to_csv(tmp_path / "own.csv", index=False)
    lines = load(tmp_path / "own.csv", target="kind").told()
    assert lines[0] == "Read own: 27 samples, 2 classes of 20 to 7 samples (1 : 2.86)"
    assert lines[1] == "1 classes left out, fewer than 5 samples: 'c' (3)"
    assert "(UTF-8, separated by commas)" in lines[2]
    assert "column 'id' left out" in lines[3]
