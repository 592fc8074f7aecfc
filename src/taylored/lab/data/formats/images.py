"""Folders of images, one folder per class."""

from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path

import numpy as np

from taylored.lab.data.assemble import RawData
from taylored.lab.data.checks import some
from taylored.lab.data.dataset import TEST, TRAIN, VALIDATION
from taylored.lab.data.errors import DataError
from taylored.lab.data.formats.pixels import IMAGE_SIZE, decode

_SUFFIXES = frozenset((".bmp", ".gif", ".jpeg", ".jpg", ".png", ".tif", ".tiff", ".webp"))
_PARTS = {
    "train": TRAIN,
    "val": VALIDATION,
    "valid": VALIDATION,
    "validation": VALIDATION,
    "test": TEST,
}


@dataclass(frozen=True)
class _Shelf:
    """The images of one class, in one part where the folder gives parts."""

    class_name: str
    part: int | None
    images: tuple[Path, ...]
    other_files: int


def load_images(folder: Path, report: Callable[[str], None]) -> RawData:
    """Read `folder/CLASS/*.png` (and other formats), or the same below train, val and test.

    Folders named train, val (or valid, validation) and test are taken as a given split when all
    three are there. See `decode` for what happens to the pixels.
    """
    name = folder.resolve().name
    shelves, notes = _shelves(folder)
    files = [(file, shelf) for shelf in shelves for file in shelf.images]
    if not files:
        raise DataError(
            f"{folder}: no images. Expected one folder per class, as in "
            f"{folder / 'cat' / '1.png'}, with files ending in {', '.join(sorted(_SUFFIXES))}"
        )
    # Classes whose folder is empty stay in the list, so that `assemble` lists them as left out.
    class_names = tuple(sorted({shelf.class_name for shelf in shelves}))
    number = {class_name: index for index, class_name in enumerate(class_names)}
    features = decode([file for file, _ in files], report)
    split = [shelf.part for _, shelf in files]
    skipped = sum(shelf.other_files for shelf in shelves)
    if skipped:
        notes.append(f"{skipped:,} files without an image ending skipped")
    return RawData(
        name=name,
        features=features,
        labels=np.array([number[shelf.class_name] for _, shelf in files], dtype=np.int64),
        class_names=class_names,
        kind="image",
        source=f"folder of images {name}",
        licence="not stated (own data)",
        description=(
            f"{len(files):,} images from {name}, each resized to {IMAGE_SIZE}x{IMAGE_SIZE} pixels "
            f"(proportions not kept), {features.shape[1]} channels, values 0 .. 1."
        ),
        citation="",
        split=None if None in split else np.array(split, dtype=np.int64),
        notes=tuple(notes),
    )


def _shelves(folder: Path) -> tuple[list[_Shelf], list[str]]:
    below = _folders(folder)
    parts = {entry.name: entry for entry in below if entry.name in _PARTS}
    given = {_PARTS[part] for part in parts}
    if len(given) == 3:
        if len(parts) > 3:
            raise DataError(f"{folder}: the validation part is there twice: {sorted(parts)}")
        notes = [f"split given by the folders {', '.join(sorted(parts))}"]
        others = [entry.name for entry in below if entry.name not in parts]
        if others:
            notes.append(f"folders beside them left out: {some(others)}")
        shelves = [_shelf(entry, _PARTS[part]) for part in parts for entry in _folders(parts[part])]
        return shelves, notes
    if TRAIN in given and len(given) == 2:
        raise DataError(
            f"{folder}: a given split needs the three folders train, val and test, found only "
            f"{' and '.join(sorted(parts))}. Add the third, or put all classes directly into "
            "one folder to have 60/20/20 drawn"
        )
    return [_shelf(entry, None) for entry in below], []


def _folders(folder: Path) -> list[Path]:
    """Folders directly below, in the same order everywhere, without hidden ones."""
    entries = (entry for entry in folder.iterdir() if not entry.name.startswith("."))
    return sorted((entry for entry in entries if entry.is_dir()), key=lambda entry: entry.name)


def _shelf(folder: Path, part: int | None) -> _Shelf:
    entries = [entry for entry in folder.iterdir() if not entry.name.startswith(".")]
    images = [entry for entry in entries if entry.suffix.lower() in _SUFFIXES]
    return _Shelf(
        class_name=folder.name,
        part=part,
        images=tuple(sorted(images, key=lambda entry: entry.name)),
        other_files=len(entries) - len(images),
    )
