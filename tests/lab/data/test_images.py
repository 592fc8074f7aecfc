"""Folders of real image files."""

import os
import re
import struct
import sys
import zlib
from pathlib import Path

import numpy as np
import pytest
from PIL import Image

from kit.parts import parts
from taylored.lab.data import DataError, Reading, fingerprint, load

IMAGE_SIZE = 32


def picture(value: int | tuple[int, ...], size: tuple[int, int] = (40, 24)) -> Image.Image:
    mode = "L" if isinstance(value, int) else {3: "RGB", 4: "RGBA"}[len(value)]
    return Image.new(mode, size, value)


def fill(folder: Path, value: int | tuple[int, ...], count: int = 5, ending: str = "png") -> None:
    folder.mkdir(parents=True, exist_ok=True)
    for index in range(count):
        image = picture(value)
        # No two are copies. `inside` looks at the other half.
        mark = [(index * 37 + 11 * len(str(folder))) % 256] * len(image.getbands())
        image.paste(
            mark[0] if len(mark) == 1 else tuple(mark[:3]) + (255,) * (len(mark) == 4), (0, 0, 4, 4)
        )
        image.save(folder / f"{index}.{ending}")


def inside(features: np.ndarray) -> np.ndarray:
    return features[..., 16:, 16:]


def test_grey_images_have_one_channel(tmp_path: Path) -> None:
    fill(tmp_path / "dark", 51)
    fill(tmp_path / "bright", 255, count=7)
    data = load(str(tmp_path))
    assert data.features.shape == (12, 1, IMAGE_SIZE, IMAGE_SIZE)
    assert data.features.dtype == np.float32
    assert (data.kind, data.class_names) == ("image", ("bright", "dark"))
    assert data.class_counts.tolist() == [7, 5]
    np.testing.assert_allclose(inside(data.features[data.labels == 0]), 1.0)
    np.testing.assert_allclose(inside(data.features[data.labels == 1]), 0.2, atol=1e-6)
    assert data.split is None


def test_one_colour_image_makes_all_three_channels(tmp_path: Path) -> None:
    fill(tmp_path / "a", 51)
    fill(tmp_path / "b", (255, 0, 51))
    data = load(tmp_path)
    assert data.features.shape == (10, 3, IMAGE_SIZE, IMAGE_SIZE)
    np.testing.assert_allclose(data.features[0, :, 20, 20], [0.2, 0.2, 0.2], atol=1e-6)
    np.testing.assert_allclose(data.features[9, :, 20, 20], [1.0, 0.0, 0.2], atol=1e-6)


@pytest.mark.parametrize("ending", ["jpg", "JPEG", "bmp", "gif", "tiff", "webp"])
def test_other_formats(ending: str, tmp_path: Path) -> None:
    fill(tmp_path / "a", 51, ending=ending)
    fill(tmp_path / "b", 204, ending=ending)
    data = load(tmp_path)
    np.testing.assert_allclose(inside(data.features[:5]), 0.2, atol=0.02)
    np.testing.assert_allclose(inside(data.features[5:]), 0.8, atol=0.02)


def test_transparent_pixels_are_white(tmp_path: Path) -> None:
    fill(tmp_path / "a", (0, 0, 0, 0))
    fill(tmp_path / "b", (0, 0, 0, 255))
    data = load(tmp_path)
    np.testing.assert_allclose(inside(data.features[0]), 1.0)
    np.testing.assert_allclose(inside(data.features[9]), 0.0)


def test_sixteen_bits_keep_their_range(tmp_path: Path) -> None:
    for name, value in (("a", 0x3333), ("b", 0xFFFF)):
        (tmp_path / name).mkdir()
        for index in range(5):
            pixels = np.full((20, 30), value, dtype=np.uint16)
            pixels[0, 0] -= index * 999
            Image.fromarray(pixels).save(tmp_path / name / f"{index}.png")
    data = load(tmp_path)
    assert data.features.shape == (10, 1, IMAGE_SIZE, IMAGE_SIZE)
    np.testing.assert_allclose(inside(data.features[:5]), 0.2, atol=1e-4)
    np.testing.assert_allclose(inside(data.features[5:]), 1.0, atol=1e-4)


def test_rotation_noted_by_the_camera_is_applied(tmp_path: Path) -> None:
    half = np.zeros((IMAGE_SIZE, IMAGE_SIZE), dtype=np.uint8)
    half[: IMAGE_SIZE // 2] = 255
    exif = Image.Exif()
    exif[0x0112] = 3  # upside down
    for name, note in (("a", Image.Exif()), ("b", exif)):
        (tmp_path / name).mkdir()
        for index in range(5):
            half[:2, 8] = half[-2:, 8] = 40 * index + 5 * ord(name) % 40
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
        split = parts(data, seed)
        assert [len(part) for part in split.all] == [12, 4, 6]
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
        named = "1 of 10 files cannot be read as an image: .*" + re.escape(str(Path("a") / "3.png"))
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
    with pytest.raises(DataError, match=r"cannot be read as an image: .*9\.png .*exceeds limit"):
        load(tmp_path)


def test_other_files_and_empty_classes_are_said(tmp_path: Path) -> None:
    fill(tmp_path / "a", 10)
    fill(tmp_path / "b", 90)
    (tmp_path / "a" / "notes.txt").write_text("x")
    (tmp_path / "b" / ".DS_Store").write_text("x")
    (tmp_path / ".cache").mkdir()
    (tmp_path / "empty").mkdir()
    data = load(tmp_path)
    assert data.card.notes == ("1 files without an image ending skipped: .txt (1)",)
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


def test_nested_folders_belong_to_their_class(tmp_path: Path) -> None:
    for name, value in (("cat", 10), ("dog", 90)):
        fill(tmp_path / name / "2023" / "may", value, count=3)
        fill(tmp_path / name / f"only {name}", value + 50, count=3)
    data = load(tmp_path)
    assert data.class_counts.tolist() == [6, 6]
    assert any("images in folders inside a class count to it" in n for n in data.card.notes)
    assert not any(note.startswith("Warning") for note in data.card.notes)


def test_classes_below_other_folders_are_named(tmp_path: Path) -> None:
    for year in ("2023", "2024"):
        for name, value in (("cat", 10), ("dog", 90)):
            fill(tmp_path / year / name, value, count=3)
    assert any(
        "every class has the folders cat, dog inside" in n for n in load(tmp_path).card.notes
    )


def test_one_folder_around_the_classes_is_named(tmp_path: Path) -> None:
    fill(tmp_path / "images" / "cat", 10)
    fill(tmp_path / "images" / "dog", 90)
    with pytest.raises(DataError, match=re.escape(f"use {tmp_path / 'images'}")):
        load(tmp_path)


def test_links_in_a_circle_end(tmp_path: Path) -> None:
    fill(tmp_path / "a", 10)
    fill(tmp_path / "elsewhere", 90)
    (tmp_path / "b").symlink_to(tmp_path / "elsewhere")
    (tmp_path / "a" / "again").symlink_to(tmp_path / "a")
    data = load(tmp_path)
    assert data.class_names == ("a", "b", "elsewhere")


def test_damaged_files_are_listed_at_once_and_skipped_on_demand(tmp_path: Path) -> None:
    fill(tmp_path / "a", 10, count=7)
    fill(tmp_path / "b", 90, count=7)
    (tmp_path / "a" / "1.png").write_bytes(b"text")
    (tmp_path / "b" / "2.png").write_bytes(b"")
    (tmp_path / "b" / "3.png").unlink()
    (tmp_path / "b" / "3.png").symlink_to(tmp_path / "nowhere")
    with pytest.raises(DataError, match=r"^3 of 14 files cannot .*1\.png.*2\.png.*--skip-damaged"):
        load(tmp_path)
    data = load(tmp_path, reading=Reading(damaged="skip"))
    assert data.class_counts.tolist() == [6, 5]
    assert any(note.startswith("3 damaged files skipped: ") for note in data.card.notes)
    for file in tmp_path.glob("*/*.png"):
        file.unlink()
        file.write_bytes(b"text")
    with pytest.raises(DataError, match="14 of 14 files cannot be read"):
        load(tmp_path, reading=Reading(damaged="skip"))


@pytest.mark.parametrize(
    ("dtype", "values", "expected"),
    [
        (np.uint16, (0, 4095), (0.0, 1.0)),  # 12 bits in 16
        (np.int32, (0, 10**6), (0.0, 1.0)),
        (np.float32, (-0.5, 0.5), (0.0, 1.0)),
        (np.float32, (0.25, 1.0), (0.25, 1.0)),
    ],
)
def test_deep_images_are_scaled_over_the_data_set(dtype, values, expected, tmp_path: Path) -> None:
    for name, value in zip(("a", "b"), values, strict=True):
        (tmp_path / name).mkdir()
        for index in range(5):
            pixels = np.full((20, 30), value, dtype=dtype)
            pixels[0, :index] = np.mean(values)
            Image.fromarray(pixels).save(tmp_path / name / f"{index}.tiff")
    data = load(tmp_path)
    for label, value in enumerate(expected):
        np.testing.assert_allclose(inside(data.features[data.labels == label]), value, atol=1e-5)
    assert any("10 images of 16 or more bits" in note for note in data.card.notes)


def test_pixels_that_are_no_numbers_are_damage(tmp_path: Path) -> None:
    fill(tmp_path / "a", 10)
    fill(tmp_path / "b", 90)
    Image.fromarray(np.full((9, 9), np.nan, dtype=np.float32)).save(tmp_path / "a" / "9.tiff")
    with pytest.raises(DataError, match="pixels that are no finite numbers"):
        load(tmp_path)


def test_image_size(tmp_path: Path, monkeypatch) -> None:
    fill(tmp_path / "a", 10)
    fill(tmp_path / "b", 90)
    data = load(tmp_path, reading=Reading(image_size=48))
    assert data.features.shape == (10, 1, 48, 48)
    assert "resized to 48x48" in data.card.description
    monkeypatch.setattr("taylored.lab.data.formats.pixels.MAX_NUMBERS", 10**4)
    with pytest.raises(DataError, match="Choose a smaller image_size"):
        load(tmp_path)
    with pytest.raises(DataError, match="image_size must be an integer >= 4 and <= 512, got 9999"):
        Reading(image_size=9999)


def test_large_images_stop_before_they_are_unpacked(tmp_path: Path, monkeypatch) -> None:
    fill(tmp_path / "a", 10)
    fill(tmp_path / "b", 90)
    monkeypatch.setattr("taylored.lab.data.formats.pixels.MAX_PIXELS", 900)
    with pytest.raises(DataError, match="40 x 24 pixels exceeds limit of 900 pixels"):
        load(tmp_path)


def test_several_frames_and_loose_images_are_said(tmp_path: Path) -> None:
    fill(tmp_path / "a", 10)
    fill(tmp_path / "b", 90)
    frames = [picture(value) for value in (0, 90, 200)]
    frames[0].save(tmp_path / "a" / "9.gif", save_all=True, append_images=frames[1:])
    picture(7).save(tmp_path / "cover.png")
    notes = load(tmp_path).card.notes
    assert any("1 images have several frames" in note for note in notes)
    assert any("1 images beside the folders of the classes left out" in note for note in notes)


def test_only_other_endings_are_named(tmp_path: Path) -> None:
    (tmp_path / "a").mkdir()
    for name in ("1.heic", "2.HEIC", "3.txt"):
        (tmp_path / "a" / name).write_bytes(b"x")
    with pytest.raises(DataError, match=r"Files there end in \.heic \(2\), \.txt \(1\)"):
        load(tmp_path)


def test_names_that_are_no_utf8(tmp_path: Path) -> None:
    fill(tmp_path / "a", 10)
    fill(Path(os.fsdecode(os.fsencode(tmp_path) + b"/\xe9")), 90)
    data = load(tmp_path)
    assert data.class_names == (r"\xe9", "a")
    assert len(fingerprint(data)) == 64


def test_folders_that_differ_by_case_are_named(tmp_path: Path) -> None:
    fill(tmp_path / "Cat", 10)
    fill(tmp_path / "cat", 90)
    assert any("'Cat' and 'cat' are different classes" in n for n in load(tmp_path).card.notes)
