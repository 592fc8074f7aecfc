"""Folders of real image files."""

import re
import struct
import sys
import zlib
from pathlib import Path

import numpy as np
import pytest
from PIL import Image

from taylored.lab.data import DataError, load, make_split
from taylored.lab.data.formats.pixels import IMAGE_SIZE


def picture(value: int | tuple[int, ...], size: tuple[int, int] = (40, 24)) -> Image.Image:
    mode = "L" if isinstance(value, int) else {3: "RGB", 4: "RGBA"}[len(value)]
    return Image.new(mode, size, value)


def fill(folder: Path, value: int | tuple[int, ...], count: int = 5, ending: str = "png") -> None:
    folder.mkdir(parents=True, exist_ok=True)
    for index in range(count):
        picture(value).save(folder / f"{index}.{ending}")


def test_grey_images_have_one_channel(tmp_path: Path) -> None:
    fill(tmp_path / "dark", 51)
    fill(tmp_path / "bright", 255, count=7)
    data = load(str(tmp_path))
    assert data.features.shape == (12, 1, IMAGE_SIZE, IMAGE_SIZE)
    assert data.features.dtype == np.float32
    assert (data.kind, data.class_names) == ("image", ("bright", "dark"))
    assert data.class_counts.tolist() == [7, 5]
    np.testing.assert_allclose(data.features[data.labels == 0], 1.0)
    np.testing.assert_allclose(data.features[data.labels == 1], 0.2, atol=1e-6)
    assert data.split is None


def test_one_colour_image_makes_all_three_channels(tmp_path: Path) -> None:
    fill(tmp_path / "a", 51)
    fill(tmp_path / "b", (255, 0, 51))
    data = load(tmp_path)
    assert data.features.shape == (10, 3, IMAGE_SIZE, IMAGE_SIZE)
    np.testing.assert_allclose(data.features[0, :, 5, 5], [0.2, 0.2, 0.2], atol=1e-6)
    np.testing.assert_allclose(data.features[9, :, 5, 5], [1.0, 0.0, 0.2], atol=1e-6)


@pytest.mark.parametrize("ending", ["jpg", "JPEG", "bmp", "gif", "tiff", "webp"])
def test_other_formats(ending: str, tmp_path: Path) -> None:
    fill(tmp_path / "a", 51, ending=ending)
    fill(tmp_path / "b", 204, ending=ending)
    data = load(tmp_path)
    np.testing.assert_allclose(data.features[:5], 0.2, atol=0.02)
    np.testing.assert_allclose(data.features[5:], 0.8, atol=0.02)


def test_transparent_pixels_are_white(tmp_path: Path) -> None:
    fill(tmp_path / "a", (0, 0, 0, 0))
    fill(tmp_path / "b", (0, 0, 0, 255))
    data = load(tmp_path)
    np.testing.assert_allclose(data.features[0], 1.0)
    np.testing.assert_allclose(data.features[9], 0.0)


def test_sixteen_bits_keep_their_range(tmp_path: Path) -> None:
    for name, value in (("a", 0x3333), ("b", 0xFFFF)):
        (tmp_path / name).mkdir()
        for index in range(5):
            pixels = np.full((20, 30), value, dtype=np.uint16)
            Image.fromarray(pixels).save(tmp_path / name / f"{index}.png")
    data = load(tmp_path)
    assert data.features.shape == (10, 1, IMAGE_SIZE, IMAGE_SIZE)
    np.testing.assert_allclose(data.features[:5], 0.2, atol=1e-4)
    np.testing.assert_allclose(data.features[5:], 1.0, atol=1e-4)


def test_rotation_noted_by_the_camera_is_applied(tmp_path: Path) -> None:
    half = np.zeros((IMAGE_SIZE, IMAGE_SIZE), dtype=np.uint8)
    half[: IMAGE_SIZE // 2] = 255
    exif = Image.Exif()
    exif[0x0112] = 3  # upside down
    for name, note in (("a", Image.Exif()), ("b", exif)):
        (tmp_path / name).mkdir()
        for index in range(5):
            Image.fromarray(half).save(tmp_path / name / f"{index}.png", exif=note)
    data = load(tmp_path)
    assert data.features[0, 0, 0, 0] == 1.0
    assert data.features[9, 0, 0, 0] == 0.0


def test_three_parts_are_a_given_split(tmp_path: Path) -> None:
    for part, count in (("train", 6), ("val", 2), ("test", 3)):
        for value, name in ((10, "x"), (200, "y")):
            fill(tmp_path / part / name, value, count)
    data = load(tmp_path)
    assert data.class_names == ("x", "y")
    for seed in (0, 1):
        split = make_split(data, seed)
        assert [len(split.train), len(split.validation), len(split.test)] == [12, 4, 6]
        assert np.bincount(data.labels[split.test]).tolist() == [3, 3]
    assert "split given" in data.card.notes[0]


def test_two_parts_are_an_error(tmp_path: Path) -> None:
    for part in ("train", "test"):
        fill(tmp_path / part / "x", 10)
    with pytest.raises(DataError, match="needs the three folders train, val and test"):
        load(tmp_path)


def test_class_that_training_lacks_is_named(tmp_path: Path) -> None:
    for part in ("train", "validation", "test"):
        fill(tmp_path / part / "x", 10)
        fill(tmp_path / part / "y", 90)
    fill(tmp_path / "test" / "okapi", 200)
    with pytest.raises(DataError, match="test part has classes that training lacks: 'okapi'"):
        load(tmp_path)


def test_unreadable_images_are_named(tmp_path: Path) -> None:
    fill(tmp_path / "a", 10)
    fill(tmp_path / "b", 90)
    whole = (tmp_path / "a" / "3.png").read_bytes()
    for content in (b"text", b"", whole[: len(whole) // 2]):
        (tmp_path / "a" / "3.png").write_bytes(content)
        named = re.escape(str(Path("a") / "3.png")) + " cannot be read as an image"
        with pytest.raises(DataError, match=named):
            load(tmp_path)


def test_absurd_size_is_an_error_not_a_full_memory(tmp_path: Path) -> None:
    fill(tmp_path / "a", 10)
    fill(tmp_path / "b", 90)

    def chunk(kind: bytes, content: bytes) -> bytes:
        checked = kind + content
        return struct.pack(">I", len(content)) + checked + struct.pack(">I", zlib.crc32(checked))

    header = struct.pack(">IIBBBBB", 60000, 60000, 8, 0, 0, 0, 0)
    bomb = b"\x89PNG\r\n\x1a\n" + chunk(b"IHDR", header) + chunk(b"IEND", b"")
    (tmp_path / "a" / "9.png").write_bytes(bomb)
    with pytest.raises(DataError, match=r"9\.png cannot be read as an image.*exceeds limit"):
        load(tmp_path)


def test_other_files_and_empty_classes_are_said(tmp_path: Path) -> None:
    fill(tmp_path / "a", 10)
    fill(tmp_path / "b", 90)
    (tmp_path / "a" / "notes.txt").write_text("x")
    (tmp_path / "b" / ".DS_Store").write_text("x")
    (tmp_path / ".cache").mkdir()
    (tmp_path / "empty").mkdir()
    data = load(tmp_path)
    assert data.card.notes == ("1 files without an image ending skipped",)
    assert data.card.dropped == (("empty", 0),)
    assert data.class_names == ("a", "b")


@pytest.mark.parametrize("make", [lambda root: None, lambda root: picture(9).save(root / "1.png")])
def test_folder_without_classes(make, tmp_path: Path) -> None:
    make(tmp_path)
    with pytest.raises(DataError, match="Expected one folder per class"):
        load(tmp_path)


def test_single_class(tmp_path: Path) -> None:
    fill(tmp_path / "only", 10)
    with pytest.raises(DataError, match="at least 2 classes, found 1"):
        load(tmp_path)


def test_progress_is_reported(tmp_path: Path, monkeypatch) -> None:
    monkeypatch.setattr("taylored.lab.data.formats.pixels._REPORT_EVERY", 4)
    fill(tmp_path / "a", 10)
    fill(tmp_path / "b", 90)
    messages: list[str] = []
    load(tmp_path, progress=messages.append)
    assert messages == ["4 of 10 images read", "8 of 10 images read"]


def test_missing_pillow_names_the_extra(tmp_path: Path, monkeypatch) -> None:
    fill(tmp_path / "a", 10)
    fill(tmp_path / "b", 90)
    for name in ("PIL", "PIL.Image"):
        monkeypatch.setitem(sys.modules, name, None)
    with pytest.raises(DataError, match=re.escape('pip install "taylored[vision]"')):
        load(tmp_path)
