"""Arrays of one's own in `.npz` files, and what goes wrong with them."""

import re
from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
import pytest

from kit.parts import parts
from taylored.lab.data import DataError, Reading, load

ROWS = 30
FEATURES = np.random.default_rng(0).normal(size=(ROWS, 3))
LABELS = np.arange(ROWS) % 3


def npz(folder: Path, **arrays: Any) -> str:
    file = folder / "own.npz"
    np.savez(file, **{"features": FEATURES, "labels": LABELS, **arrays})
    return str(file)


class TestNpz:
    def test_vectors(self, tmp_path: Path) -> None:
        data = load(npz(tmp_path))
        np.testing.assert_array_equal(data.features, FEATURES.astype(np.float32))
        np.testing.assert_array_equal(data.labels, LABELS)
        assert (data.kind, data.name, data.class_names) == ("vector", "own", ("0", "1", "2"))
        assert str(tmp_path) not in str(data.card)

    @pytest.mark.parametrize(
        ("labels", "names", "first"),
        [
            (np.array([7, -2, 10])[LABELS], ("-2", "7", "10"), 1),
            (np.array(["cat", "bee", "ant"])[LABELS], ("ant", "bee", "cat"), 2),
            (LABELS.astype(float), ("0", "1", "2"), 0),
            (LABELS == 0, ("False", "True"), 1),
            (LABELS.astype(np.uint8), ("0", "1", "2"), 0),
        ],
    )
    def test_labels_of_any_plain_kind(self, labels, names, first, tmp_path: Path) -> None:
        data = load(npz(tmp_path, labels=labels))
        assert data.class_names == names
        assert data.labels[0] == first

    @pytest.mark.parametrize(
        ("shape", "expected"), [((ROWS, 5, 4), (ROWS, 1, 5, 4)), ((ROWS, 3, 5, 4),) * 2]
    )
    def test_images(self, shape, expected, tmp_path: Path) -> None:
        data = load(npz(tmp_path, features=np.arange(np.prod(shape)).reshape(shape) % 251))
        assert data.kind == "image"
        assert data.features.shape == expected

    def test_class_names_and_split(self, tmp_path: Path) -> None:
        split = np.repeat([0, 1, 2], 10)
        names = np.array(["x", "y", "z", "never"])
        data = load(npz(tmp_path, class_names=names, split=split))
        assert data.class_names == ("x", "y", "z")
        assert data.card.dropped == (("never", 0),)
        assert parts(data, 0).test.tolist() == list(range(20, 30))

    def test_tiny_classes_are_dropped_and_said(self, tmp_path: Path) -> None:
        labels = np.array([5] * 4 + [1] * 13 + [9] * 13)
        data = load(npz(tmp_path, labels=labels))
        assert data.class_names == ("1", "9")
        assert data.card.dropped == (("5", 4),)
        np.testing.assert_array_equal(data.features, FEATURES[4:].astype(np.float32))
        assert np.unique(data.labels).tolist() == [0, 1]
        assert (
            load(npz(tmp_path, labels=labels), reading=Reading(min_per_class=4)).card.dropped == ()
        )

    @pytest.mark.parametrize(
        ("arrays", "message"),
        [
            ({"labels": np.zeros(ROWS, int)}, "at least 2 classes, found 1 ('0')"),
            ({"labels": np.arange(ROWS)}, "fewer than 2 classes have at least 5"),
            ({"labels": LABELS[:9]}, "labels must have shape (30,)"),
            ({"labels": np.eye(3)[LABELS]}, "labels.argmax(axis=1)"),
            ({"labels": LABELS + 0.5}, "Cut a continuous target into classes"),
            ({"labels": np.full(ROWS, np.nan)}, "fractions or NaN"),
            ({"labels": LABELS.astype(bytes)}, "whole numbers or text"),
            ({"features": FEATURES[:, 0]}, "must have shape (N, D)"),
            ({"features": FEATURES[:0], "labels": LABELS[:0]}, "not be empty"),
            ({"features": FEATURES.astype(str)}, "real numbers"),
            ({"features": FEATURES * 1j}, "real numbers"),
            ({"features": np.ones((ROWS, 8, 8, 3))}, "features.transpose(0, 3, 1, 2)"),
            ({"class_names": np.array(["x", "y"])}, "0 .. 1"),
            ({"class_names": np.array(["x", "x", "y"])}, "distinct"),
            ({"split": LABELS + 1}, "0 (train), 1 (validation) and 2 (test)"),
            ({"split": np.zeros(ROWS, int)}, "no validation samples"),
            ({"split": LABELS}, "validation part has classes that training lacks: '1'"),
            ({"split": np.zeros(3, int)}, "split must have shape (30,)"),
        ],
    )
    def test_errors_say_what_to_do(self, arrays, message: str, tmp_path: Path) -> None:
        with pytest.raises(DataError, match=re.escape(message)):
            load(npz(tmp_path, **arrays))

    @pytest.mark.parametrize("value", [np.inf, -np.inf, 1e300])
    def test_values_that_are_not_finite_are_located(self, value, tmp_path: Path) -> None:
        features = FEATURES.copy()
        features[[4, 16], 1] = value
        with pytest.raises(DataError, match=r"columns 2, rows 5, 17 \(counted from 1\)"):
            load(npz(tmp_path, features=features))

    def test_many_bad_rows_are_counted(self, tmp_path: Path) -> None:
        features = np.ones((ROWS, 1, 4, 4))
        features[3:25, 0, 1, 1] = np.nan
        with pytest.raises(DataError, match="rows 4, 5, 6, 7, 8 and 17 more"):
            load(npz(tmp_path, features=features))

    def test_objects_are_never_unpickled(self, tmp_path: Path) -> None:
        class Trap:
            def __reduce__(self) -> tuple[Callable[..., Any], tuple[str, str]]:
                return open, (str(tmp_path / "trap"), "w")

        np.savez(tmp_path / "own.npz", features=FEATURES, labels=np.array([Trap()] * ROWS))
        with pytest.raises(DataError, match=re.escape("labels.astype(str)")):
            load(str(tmp_path / "own.npz"))
        assert not (tmp_path / "trap").exists()

    def test_missing_array_names_the_nearest(self, tmp_path: Path) -> None:
        np.savez(tmp_path / "own.npz", feature=FEATURES, labels=LABELS)
        with pytest.raises(DataError, match=r"'features' is missing.*Did you mean 'feature'"):
            load(str(tmp_path / "own.npz"))

    @pytest.mark.parametrize("content", [b"", b"text", b"PK\x03\x04 broken"])
    def test_damaged_file(self, content: bytes, tmp_path: Path) -> None:
        (tmp_path / "own.npz").write_bytes(content)
        with pytest.raises(DataError, match=r"own\.npz: the file cannot be read"):
            load(str(tmp_path / "own.npz"))

    def test_flipped_bits_are_found(self, tmp_path: Path) -> None:
        file = Path(npz(tmp_path))
        content = bytearray(file.read_bytes())
        content[400] ^= 255
        file.write_bytes(content)
        with pytest.raises(DataError, match="array 'features' cannot be read"):
            load(str(file))

    def test_bare_array(self, tmp_path: Path) -> None:
        with (tmp_path / "own.npz").open("wb") as stream:
            np.save(stream, FEATURES)
        with pytest.raises(DataError, match="one bare array"):
            load(str(tmp_path / "own.npz"))

    def test_target_is_refused(self, tmp_path: Path) -> None:
        with pytest.raises(DataError, match="Leave target out"):
            load(npz(tmp_path), target="labels")
