"""Data with many labels per sample: the built-in components, own arrays, and their split."""

import hashlib
import re
from collections import Counter
from dataclasses import replace
from importlib.metadata import distribution, version
from pathlib import Path
from typing import Any
from xml.etree import ElementTree

import numpy as np
import pytest

from kit.parts import parts
from taylored.lab.data import (
    FOLDS,
    DataError,
    Dataset,
    DatasetCard,
    class_groups,
    fingerprint,
    load,
)
from taylored.lab.data.builtin.raster import BLACK, rasterise
from taylored.lab.data.builtin.svg_path import cubics
from taylored.lab.data.stratify import stratify

pinned = pytest.mark.skipif(
    version("kanjivg") != "20260714", reason="the exact numbers are those of kanjivg 20260714"
)
CARD = DatasetCard("here", "none", "", "", 1, 1, 1, 1)
ROWS = 40
HOT = (np.arange(ROWS)[:, None] % np.array([2, 3, 4]) == 0).astype(int)


@pytest.fixture(scope="module")
def folder(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return tmp_path_factory.mktemp("cache")


@pytest.fixture(scope="module")
def components(folder: Path) -> Dataset:
    with pytest.MonkeyPatch.context() as patch:
        patch.setenv("TAYLORED_CACHE", str(folder))
        return load("kanjivg-components")


def annotated(code: str) -> set[str]:
    """Elements inside one character, by a real XML parser."""
    file = Path(str(distribution("kanjivg").locate_file(f"kanji/{code}.svg")))
    root = ElementTree.parse(file).getroot()  # noqa: S314  an installed package's file
    groups = root.iter("{http://www.w3.org/2000/svg}g")
    found = {value for g in groups for key, value in g.attrib.items() if key.endswith("}element")}
    return found - {chr(int(code, 16))}


def made(labels: np.ndarray, **changes: Any) -> Dataset:
    rows, columns = labels.shape
    return Dataset(
        name="made",
        features=np.arange(2 * rows, dtype=np.float32).reshape(-1, 2),
        labels=labels.astype(np.int8),
        class_names=tuple(f"label {index}" for index in range(columns)),
        card=CARD,
        task="multi-label",
        **changes,
    )


def nested(rows: int, columns: int, seed: int) -> np.ndarray:
    """Labels with a long tail in which a rare label brings a frequent one along."""
    rng = np.random.default_rng(seed)
    share = np.geomspace(0.5, 5 / rows, columns)
    labels = rng.random((rows, columns)) < share
    for column in range(2, columns):
        labels[:, column // 2] |= labels[:, column]
    return labels.astype(np.int8)


@pinned
def test_components_have_the_counts_of_the_card(components: Dataset) -> None:
    assert components.features.shape == (6300, 1, 32, 32)
    assert components.labels.shape == (6300, 683)
    card = components.card
    assert (card.samples, card.classes) == (6300, 683)
    assert (card.largest_class, card.smallest_class) == (1606, 5)
    assert len(card.dropped) == 1462 - 683
    assert max(count for _, count in card.dropped) == 4
    assert "1,462 components, 5.3 per character" in card.description
    assert components.labels.sum() == 32016
    assert "5.1 of the labels per sample; samples without any: 1" in card.notes
    assert components.class_names[1] == "口"


@pinned
def test_components_have_the_same_bits_everywhere(components: Dataset) -> None:
    assert fingerprint(components)[:16] == "eba1712f0935abd7"


def test_components_agree_with_an_xml_parser(components: Dataset) -> None:
    kept = set(components.class_names)
    found = Counter(
        frozenset(components.class_names[column] for column in np.flatnonzero(row))
        for row in components.labels
    )
    for code in ("05b57", "09f3b", "06f22", "0611f"):
        assert found[frozenset(annotated(code) & kept)] >= 1
    everything = Counter(element for row in found.elements() for element in row)
    counts = dict(zip(components.class_names, components.class_counts.tolist(), strict=True))
    assert dict(everything) == counts


def test_images_are_drawings(components: Dataset) -> None:
    pixels = components.features
    assert pixels.dtype == np.float32
    assert (pixels.min(), pixels.max()) == (0.0, 1.0)
    assert 0.05 < pixels.mean() < 0.25  # black on white: mostly paper
    assert len({image.tobytes() for image in pixels}) > 6290


def test_second_start_reads_the_cache(components: Dataset, folder: Path, monkeypatch) -> None:
    monkeypatch.setenv("TAYLORED_CACHE", str(folder))
    messages: list[str] = []
    again = load("kanjivg-components", progress=messages.append)
    assert fingerprint(again) == fingerprint(components)
    assert messages == []


def test_a_pen_line_is_drawn_where_it_is() -> None:
    strokes = [cubics("M0,8c5,0,10,0,16,0"), cubics("M4,0c0,5,0,10,0,16")]
    across, down = rasterise(strokes, np.array([0, 1]), canvas=16.0, size=8)
    # Row 4 begins at 8.0: the pen covers 0.5 above and 1.0 below of 2.0 per pixel.
    assert across[4].tolist() == [8] * 8
    assert across[3].tolist() == [4] * 8
    assert np.delete(across, [3, 4], axis=0).max() == 0
    np.testing.assert_array_equal(down[:, 2], across[4])
    np.testing.assert_array_equal(down[:, 1], across[3])
    both = rasterise(strokes, np.array([0, 0]), canvas=16.0, size=8)[0]
    assert both.max() <= BLACK
    assert (both >= np.maximum(across, down)).all()


@pytest.mark.parametrize("seed", [0, 1, 2])
def test_every_component_is_in_every_part(components: Dataset, seed: int) -> None:
    split = parts(components, seed)
    together = np.concatenate(split.all)
    assert sorted(together.tolist()) == list(range(len(components.labels)))
    counts = [components.labels[rows].sum(axis=0) for rows in (split.train, split.test)]
    for rows in split.all:
        assert components.labels[rows].sum(axis=0).min() >= 1
    assert np.abs(counts[0] / components.class_counts - 0.6).mean() < 0.05
    assert abs(len(split.test) / len(together) - 0.2) < 0.01
    groups = Counter(class_groups(counts[0]))
    assert all(groups[group] >= 30 for group in ("head", "medium", "tail"))


@pytest.mark.parametrize("seed", range(5))
def test_rare_nested_labels_reach_all_parts(seed: int) -> None:
    labels = nested(400, 40, seed)
    kept = labels[:, labels.sum(axis=0) >= 5]
    for fold in range(FOLDS):
        for rows in parts(made(kept), seed, fold).all:
            assert kept[rows].sum(axis=0).min() >= 1


def test_split_is_fixed_by_the_seed() -> None:
    data = made(nested(300, 20, 0))
    first, again, other = (parts(data, seed) for seed in (0, 0, 1))
    assert first.test.tolist() == again.test.tolist()
    assert first.test.tolist() != other.test.tolist()
    rows = np.concatenate(first.all).astype("<i8")
    assert hashlib.sha256(rows.tobytes()).hexdigest()[:16] == "359abb2259de9b6b"


def test_samples_without_labels_fill_the_parts() -> None:
    labels = np.zeros((50, 2), dtype=np.int8)
    labels[:5, 0] = labels[5:10, 1] = 1
    split = parts(made(labels), 0)
    assert [len(part) for part in split.all] == [30, 10, 10]


def test_ties_go_to_the_part_that_the_other_labels_need() -> None:
    # Label 0 could go anywhere; label 1, on the same sample, is only wanted in part 2.
    labels = np.array([[1, 1], [0, 1], [0, 1]], dtype=np.int8)
    shares = np.array([[1, 1], [1, 0], [1, 2]])
    parts = stratify(labels, shares, np.array([1, 1, 1]), np.arange(3))
    assert parts.tolist()[0] == 2


def npz(folder: Path, **arrays: Any) -> str:
    features = np.random.default_rng(0).normal(size=(ROWS, 3))
    np.savez(folder / "own.npz", **{"features": features, "labels": HOT, **arrays})
    return str(folder / "own.npz")


class TestNpz:
    @pytest.mark.parametrize("kind", [bool, int, float, np.uint8])
    def test_multi_hot_labels_are_read(self, kind, tmp_path: Path) -> None:
        data = load(npz(tmp_path, labels=HOT.astype(kind)))
        assert data.task == "multi-label"
        assert data.labels.dtype == np.int8
        np.testing.assert_array_equal(data.labels, HOT)
        assert data.class_names == ("0", "1", "2")
        assert data.class_counts.tolist() == HOT.sum(axis=0).tolist()

    def test_rare_labels_go_and_their_samples_stay(self, tmp_path: Path) -> None:
        rare, always = np.arange(ROWS) < 4, np.arange(ROWS) >= 2
        labels = np.column_stack([HOT, rare, always])
        names = np.array(["a", "b", "c", "rare", "always"])
        data = load(npz(tmp_path, labels=labels, class_names=names))
        assert data.class_names == ("a", "b", "c")
        assert data.card.dropped == (("rare", 4), ("always", 38))
        assert "with the label, or without it" in data.card.dropped_reason
        assert len(data.features) == ROWS
        np.testing.assert_array_equal(data.labels, HOT)

    @pytest.mark.parametrize(
        ("arrays", "message"),
        [
            ({"labels": np.eye(4)[np.arange(ROWS) % 4]}, "labels.argmax(axis=1)"),
            ({"labels": HOT * 2}, "must hold 0 or 1, got values from 0 to 2"),
            ({"labels": HOT * 0.3}, "labels >= 0.5"),
            ({"labels": np.where(HOT, np.nan, 0)}, "must hold 0 or 1"),
            ({"labels": HOT.astype(str)}, "must hold 0 or 1, got <U"),
            ({"labels": HOT[:, :1]}, "at least 2"),
            ({"labels": HOT[:-1]}, "at least 2) with 0 or 1 for each label, got (39, 3)"),
            ({"labels": HOT[:, :, None]}, "got (40, 3, 1)"),
            ({"class_names": np.array(["x", "y"])}, "2 class_names for 3 columns"),
            ({"labels": np.zeros((ROWS, 3))}, "at least 2 labels, found 0"),
            ({"labels": HOT * (np.arange(ROWS) < 8)[:, None]}, "fewer than 2 labels have at"),
            ({"split": np.where(HOT[:, 0], 2, np.arange(ROWS) % 4 // 2)}, "'0'"),
        ],
    )
    def test_errors_say_what_to_do(self, arrays, message: str, tmp_path: Path) -> None:
        with pytest.raises(DataError, match=re.escape(message)):
            load(npz(tmp_path, **arrays))

    def test_a_given_split_is_kept(self, tmp_path: Path) -> None:
        given = np.arange(ROWS) % 5 // 2
        data = load(npz(tmp_path, split=given))
        assert parts(data, 3).test.tolist() == np.flatnonzero(given == 2).tolist()


@pytest.mark.parametrize(
    ("change", "message"),
    [
        ({"labels": HOT}, "int8"),
        ({"labels": HOT[:, :2].astype(np.int8)}, "one column per label"),
        ({"labels": 2 * HOT.astype(np.int8)}, "only 0 and 1"),
        ({"task": "single-label"}, "int64"),
    ],
)
def test_dataset_checks_its_own_shapes(change: dict[str, Any], message: str) -> None:
    with pytest.raises(DataError, match=message):
        replace(made(HOT), **change)


def test_fingerprint_sees_every_label() -> None:
    base = made(HOT)
    flipped = base.labels.copy()
    flipped[7, 2] ^= 1
    assert fingerprint(replace(base, labels=flipped)) != fingerprint(base)
    assert fingerprint(made(HOT)) == fingerprint(base)


def test_copies_stay_in_one_part(tmp_path: Path) -> None:
    rng = np.random.default_rng(0)
    features = np.repeat(rng.normal(size=(40, 3)), 3, axis=0)
    labels = np.repeat((rng.random((40, 3)) < 0.5).astype(int), 3, axis=0)
    np.savez(tmp_path / "own.npz", features=features, labels=labels)
    data = load(tmp_path / "own.npz")
    for seed in range(3):
        split = parts(data, seed)
        assert not set(features[split.train, 0]) & set(features[split.test, 0])
        assert [len(part) for part in split.all] == [72, 24, 24]
