"""The built-in data: real counts, fixed bits."""

import re
import subprocess
import sys
from collections import Counter
from importlib.metadata import distribution, version
from pathlib import Path
from xml.etree import ElementTree

import numpy as np
import pytest

from kit import copies
from kit.parts import parts
from taylored.lab.data import (
    DataError,
    Dataset,
    Reading,
    builtin_names,
    class_groups,
    fingerprint,
    load,
)
from taylored.lab.data.builtin.kanjivg import stroke_features

pinned = pytest.mark.skipif(
    version("kanjivg") != "20260714", reason="the exact numbers are those of kanjivg 20260714"
)


@pytest.fixture(scope="module")
def folder(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return tmp_path_factory.mktemp("cache")


@pytest.fixture(scope="module")
def strokes(folder: Path) -> Dataset:
    with pytest.MonkeyPatch.context() as patch:
        patch.setenv("TAYLORED_CACHE", str(folder))
        return load("kanjivg-strokes", reading=Reading(min_per_class=1))


def drawing(code: str) -> Path:
    return Path(str(distribution("kanjivg").locate_file(f"kanji/{code}.svg")))


def annotated(code: str) -> list[tuple[str, str]]:
    """(type, path) of the strokes of one character, by a real XML parser."""
    root = ElementTree.parse(drawing(code)).getroot()  # noqa: S314  an installed package's file
    found = []
    for node in root.iter("{http://www.w3.org/2000/svg}path"):
        kinds = [value for key, value in node.attrib.items() if key.endswith("}type")]
        found.append((kinds[0], node.attrib["d"]))
    return found


@pinned
def test_strokes_have_the_published_counts(strokes: Dataset) -> None:
    assert strokes.features.shape == (79053, 64)
    assert strokes.card.classes == len(strokes.class_names) == 91
    counts = strokes.class_counts.tolist()
    assert (max(counts), min(counts)) == (13350, 1)
    assert counts == sorted(counts, reverse=True)
    assert sum(count >= 5 for count in counts) == 71


@pinned
def test_strokes_have_the_same_bits_everywhere(strokes: Dataset) -> None:
    assert fingerprint(strokes) == (
        "82ecd5aee25de471af9c29bb7092e093da6c272a7cb4f7988d655f9f6ea6bf56"
    )


def test_strokes_agree_with_an_xml_parser(strokes: Dataset) -> None:
    codes = ["04e00", "05b57", "09f3b", "06f22"]
    expected = [pair for code in codes for pair in annotated(code)]
    features = stroke_features([path for _, path in expected])
    rows = {row.tobytes(): index for index, row in enumerate(strokes.features)}
    for (kind, _), feature in zip(expected, features, strict=True):
        assert strokes.class_names[strokes.labels[rows[feature.tobytes()]]] == kind


def test_default_leaves_out_tiny_classes_and_says_so(
    strokes: Dataset, folder: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("TAYLORED_CACHE", str(folder))
    default = load()
    counts = dict(zip(strokes.class_names, strokes.class_counts.tolist(), strict=True))
    assert dict(default.card.dropped) == {name: n for name, n in counts.items() if n < 5}
    assert default.card.dropped_reason == "fewer than 5 samples"
    assert default.class_counts.min() >= 5
    kept = dict(zip(default.class_names, default.class_counts.tolist(), strict=True))
    assert kept == {name: n for name, n in counts.items() if n >= 5}
    assert "CC BY-SA 3.0" in default.card.licence
    split = parts(default, 0)
    groups = Counter(class_groups(np.bincount(default.labels[split.train])))
    assert all(groups[group] >= 15 for group in ("head", "medium", "tail"))


def test_few_test_strokes_repeat_a_training_stroke(strokes: Dataset) -> None:
    split = parts(strokes, 3)
    seen = {row.tobytes() for row in strokes.features[split.train]}
    repeated = [row.tobytes() in seen for row in strokes.features[split.test]]
    assert 0 < np.mean(repeated) < 0.01


def test_features_are_scaled_points_and_centred_points(strokes: Dataset) -> None:
    points = strokes.features.reshape(-1, 2, 16, 2)
    assert np.abs(points[:, 0]).max() < 1.2
    assert np.abs(points[:, 0]).max() > 0.9
    np.testing.assert_allclose(points[:, 1].mean(axis=1), 0, atol=1e-6)
    shift = points[:, 0] - points[:, 1]
    np.testing.assert_allclose(shift, np.broadcast_to(shift[:, :1], shift.shape), atol=1e-6)


def test_second_start_reads_the_cache(
    strokes: Dataset, folder: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("TAYLORED_CACHE", str(folder))
    messages: list[str] = []
    again = load("kanjivg-strokes", reading=Reading(min_per_class=1), progress=messages.append)
    assert fingerprint(again) == fingerprint(strokes)
    assert messages == []
    assert [file.name for file in folder.iterdir()] == [
        f"kanjivg-strokes-{version('kanjivg')}-format1.npz"
    ]


def test_two_processes_may_fill_the_cache_at_once(
    strokes: Dataset, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("TAYLORED_CACHE", str(tmp_path / "new" / "cache"))
    code = (
        "from taylored.lab.data import *; "
        "print(fingerprint(load(reading=Reading(min_per_class=1))))"
    )
    running = [
        copies.Popen([sys.executable, "-c", code], stdout=subprocess.PIPE, text=True)
        for _ in range(2)
    ]
    outputs = [process.communicate(timeout=120)[0].strip() for process in running]
    assert outputs == [fingerprint(strokes)] * 2
    assert len(list((tmp_path / "new" / "cache").iterdir())) == 1


def test_missing_kanjivg_names_the_extra(monkeypatch) -> None:
    monkeypatch.setattr(sys, "path", [])
    with pytest.raises(DataError, match=re.escape('pip install "taylored[lab]"')):
        load("kanjivg-strokes")


def test_missing_sklearn_names_the_extra(monkeypatch) -> None:
    monkeypatch.setitem(sys.modules, "sklearn", None)
    monkeypatch.setitem(sys.modules, "sklearn.datasets", None)
    with pytest.raises(DataError, match=re.escape('pip install "taylored[lab]"')):
        load("digits-lt")


def test_digits_are_the_originals_made_long_tailed() -> None:
    from sklearn.datasets import load_digits

    digits = load("digits-lt")
    counts = digits.class_counts.tolist()
    assert counts == [174, 137, 108, 85, 67, 52, 41, 32, 25, 20]
    original = load_digits()
    pool = {
        (image.astype(np.float32).tobytes(), int(label))
        for image, label in zip(original.images, original.target, strict=True)
    }
    for image, label in zip(digits.features * 16, digits.labels, strict=True):
        assert (image[0].tobytes(), int(label)) in pool
    split = parts(digits, 0)
    assert np.bincount(digits.labels[split.test]).min() >= 4
    assert set(class_groups(np.bincount(digits.labels[split.train]))) == {"head", "medium", "tail"}


def test_digits_have_the_same_bits_everywhere() -> None:
    assert fingerprint(load("digits-lt")) == (
        "740c7da2dcfb27690e84d4d9feac4c7a0343859f988ff495d961d07cf1fd8df8"
    )


def test_builtin_names_start_with_the_default() -> None:
    assert builtin_names() == ("kanjivg-strokes", "kanjivg-components", "digits-lt")


@pytest.mark.parametrize("name", ["digits-tl", "kanjivg", "Digits-LT"])
def test_unknown_name_suggests_the_nearest(name: str) -> None:
    with pytest.raises(DataError, match=r"kanjivg-components, digits-lt.*Did you mean"):
        load(name)


def test_target_is_refused_for_builtin_data() -> None:
    with pytest.raises(DataError, match="Leave target out"):
        load("digits-lt", target="label")


@pytest.mark.parametrize("value", [0, -1, 2.0, True])
def test_min_per_class_must_be_a_positive_integer(value: object) -> None:
    with pytest.raises(DataError, match="min_per_class must be an integer >= 1"):
        load("digits-lt", reading=Reading(min_per_class=value))


def test_min_per_class_that_leaves_one_class_is_an_error() -> None:
    with pytest.raises(DataError, match="fewer than 2 classes have at least 150 samples"):
        load("digits-lt", reading=Reading(min_per_class=150))
