"""Folders of images, one folder per class."""

from collections import Counter
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import Final

import numpy as np

from taylored.lab.data.assemble import RawData
from taylored.lab.data.checks import name_of, some
from taylored.lab.data.dataset import TEST, TRAIN, VALIDATION
from taylored.lab.data.errors import DataError
from taylored.lab.data.formats.pixels import decode, join_pictures, refuse_damaged
from taylored.lab.data.labels import alike
from taylored.lab.data.reading import Reading

_ENDINGS: Final = (
    ".apng .avif .bmp .dib .gif .ico .j2k .jfif .jp2 .jpe .jpeg .jpg .jpx .pbm .pcx .pgm .png .pnm "
    ".ppm .sgi .tga .tif .tiff .webp"
)
_SUFFIXES: Final = frozenset(_ENDINGS.split())
_PARTS: Final = {
    "train": TRAIN,
    "training": TRAIN,
    "val": VALIDATION,
    "valid": VALIDATION,
    "validation": VALIDATION,
    "test": TEST,
    "testing": TEST,
}


@dataclass(frozen=True)
class _Shelf:
    """The images of one class, in one part where the folder gives parts."""

    class_name: str
    part: int | None
    images: tuple[Path, ...]
    nested: frozenset[str]
    other_files: Counter[str]


def load_images(folder: Path, reading: Reading, report: Callable[[str], None]) -> RawData:
    """Read `folder/CLASS/**/*.png` (and other formats), or the same below train, val and test.

    Folders named train, val (or valid, validation) and test are taken as a given split when all
    three are there. See `decode` for what happens to the pixels.
    """
    name = name_of(folder.resolve())
    shelves, notes = _shelves(folder)
    files = [(file, shelf) for shelf in shelves for file in shelf.images]
    _refuse_no_classes(folder, shelves)
    # Classes whose folder is empty stay in the list, so that `assemble` lists them as left out.
    class_names = tuple(sorted({shelf.class_name for shelf in shelves}))
    number = {class_name: index for index, class_name in enumerate(class_names)}
    pictures, damaged = decode([file for file, _ in files], reading.side, report)
    if reading.damaged == "refuse" or len(damaged) == len(files):
        refuse_damaged(damaged, len(files))
    if damaged:
        notes.append(f"{len(damaged):,} damaged files skipped: {some(damaged)}")
    read = [pair for pair in zip(pictures, files, strict=True) if pair[0] is not None]
    kept = [shelf for _, (_, shelf) in read]
    features, said = join_pictures([picture for picture, _ in read if picture is not None])
    split = [shelf.part for shelf in kept]
    return RawData(
        name=name,
        features=features,
        labels=np.array([number[shelf.class_name] for shelf in kept], dtype=np.int64),
        class_names=class_names,
        kind="image",
        source=f"folder of images {name}",
        licence="not stated (own data)",
        description=(
            f"{len(kept):,} images from {name}, each resized to {reading.side}x"
            f"{reading.side} pixels (proportions not kept), {features.shape[1]} channels, "
            "values 0 .. 1."
        ),
        citation="",
        split=None if None in split else np.array(split, dtype=np.int64),
        notes=(*notes, *_about(shelves, class_names), *said),
    )


def _refuse_no_classes(folder: Path, shelves: list[_Shelf]) -> None:
    if not any(shelf.images for shelf in shelves):
        others = sum((shelf.other_files for shelf in shelves), Counter[str]())
        found = f" Files there end in {_endings(others)}." if others else ""
        raise DataError(
            f"{folder}: no images. Expected one folder per class, as in "
            f"{folder / 'cat' / '1.png'}, with files ending in {', '.join(sorted(_SUFFIXES))}."
            f"{found}"
        )
    names = {shelf.class_name for shelf in shelves}
    inner = sorted(set().union(*(shelf.nested for shelf in shelves)))
    if len(names) == 1 and len(inner) > 1:
        raise DataError(
            f"{folder}: classification needs at least 2 classes, found 1 ({shelves[0].class_name}) "
            f"with the folders {some(inner)} inside. If these are the classes, use "
            f"{folder / shelves[0].class_name}"
        )


def _about(shelves: list[_Shelf], class_names: tuple[str, ...]) -> list[str]:
    """What is to be said about files that were left out and folders that were joined."""
    notes = list(alike("folders", class_names))
    nested = [shelf for shelf in shelves if shelf.nested]
    if nested:
        inner = sorted(set().union(*(shelf.nested for shelf in nested)))
        notes.append(
            f"images in folders inside a class count to it ({some([repr(name) for name in inner])})"
        )
        everywhere = frozenset.intersection(*(shelf.nested for shelf in shelves))
        if len(everywhere) > 1:
            notes.append(
                f"Warning: every class has the folders {some(sorted(everywhere))} inside; if these "
                "are the classes, turn the folders around"
            )
    others = sum((shelf.other_files for shelf in shelves), Counter[str]())
    if others:
        notes.append(
            f"{others.total():,} files without an image ending skipped: {_endings(others)}"
        )
    return notes


def _endings(counts: Counter[str]) -> str:
    return some([f"{ending or 'no ending'} ({count:,})" for ending, count in counts.most_common()])


def _shelves(folder: Path) -> tuple[list[_Shelf], list[str]]:
    below = _folders(folder)
    parts = {entry.name: entry for entry in below if entry.name.lower() in _PARTS}
    given = {_PARTS[part.lower()] for part in parts}
    notes = []
    loose = [e for e in folder.iterdir() if e.suffix.lower() in _SUFFIXES and e.is_file()]
    if loose:
        notes.append(f"{len(loose):,} images beside the folders of the classes left out")
    if len(given) == 3:
        if len(parts) > 3:
            raise DataError(f"{folder}: a part is there twice: {sorted(parts)}")
        notes.append(f"split given by the folders {', '.join(sorted(parts))}")
        others = [entry.name for entry in below if entry.name not in parts]
        if others:
            notes.append(f"folders beside them left out: {some(others)}")
        shelves = [
            _shelf(entry, _PARTS[part.lower()]) for part in parts for entry in _folders(parts[part])
        ]
        return shelves, notes
    if TRAIN in given and len(given) == 2:
        raise DataError(
            f"{folder}: a given split needs the three folders train, val and test, found only "
            f"{' and '.join(sorted(parts))}. Add the third, or put all classes directly into "
            "one folder to have 60/20/20 drawn"
        )
    return [_shelf(entry, None) for entry in below], notes


def _folders(folder: Path) -> list[Path]:
    """Folders directly below, in the same order everywhere, without hidden ones."""
    entries = (entry for entry in folder.iterdir() if not entry.name.startswith("."))
    return sorted((entry for entry in entries if entry.is_dir()), key=lambda entry: entry.name)


def _shelf(folder: Path, part: int | None) -> _Shelf:
    files = list(_files(folder, frozenset()))
    images = [entry for entry in files if entry.suffix.lower() in _SUFFIXES]
    order = sorted(images, key=lambda entry: entry.relative_to(folder).parts)
    return _Shelf(
        class_name=name_of(folder),
        part=part,
        images=tuple(order),
        nested=frozenset(
            name_of(Path(parts[0]))
            for parts in (entry.relative_to(folder).parts for entry in images)
            if len(parts) > 1
        ),
        other_files=Counter(
            entry.suffix.lower() for entry in files if entry.suffix.lower() not in _SUFFIXES
        ),
    )


def _files(folder: Path, above: frozenset[tuple[int, int]]) -> Iterator[Path]:
    """All files in a folder and those inside it; links are followed, but never in a circle."""
    status = folder.stat()
    here = (status.st_dev, status.st_ino)
    if here in above:
        return
    for entry in folder.iterdir():
        if entry.name.startswith("."):
            continue
        if entry.is_dir():
            yield from _files(entry, above | {here})
        elif entry.is_file() or entry.is_symlink():  # a broken link is listed as damaged
            yield entry
