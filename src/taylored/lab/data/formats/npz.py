"""Arrays saved with `numpy.savez`."""

from pathlib import Path
from typing import Any

import numpy as np
import numpy.typing as npt

from taylored.lab.data.assemble import RawData
from taylored.lab.data.checks import name_of, nearest, some
from taylored.lab.data.dataset import Labels
from taylored.lab.data.errors import DataError
from taylored.lab.data.formats.archive import ArchiveError, read_archive
from taylored.lab.data.formats.arrays import read_features, read_labels

_KEYS = ("features", "labels", "class_names", "split")
_SAVE = "numpy.savez(path, features=features, labels=labels)"


def load_npz(path: Path) -> RawData:
    """Read `features` and `labels`, and `class_names` and `split` where the file has them.

    Shape:
        features (N, D), grey images (N, H, W) or images (N, channels, H, W); labels (N,), whole
        numbers or text, or for multi-label data (N, C), 0 or 1. With `class_names` (C,), text,
        the labels are positions in it, or columns. split (N,): 0 train, 1 validation, 2 test.
    """
    arrays = _read(path)
    name = name_of(path)
    found = read_features(name, arrays["features"])
    rows = len(found.values)
    if "split" in arrays and arrays["split"].shape != (rows,):
        raise DataError(
            f"{name}: split must have shape ({rows},), one per row of features, "
            f"got {arrays['split'].shape}"
        )
    labels, class_names, notes = _labels(name, arrays, rows)
    return RawData(
        name=name_of(path, ending=False),
        features=found.values,
        labels=labels,
        class_names=class_names,
        kind=found.kind,
        source=f"arrays in {name}",
        licence="not stated (own data)",
        description=f"{rows:,} rows of shape {found.values.shape[1:]} from {name}.",
        citation="",
        split=_split(name, arrays.get("split")),
        notes=(*found.warnings(labels), *found.notes, *notes),
        task="single-label" if labels.ndim == 1 else "multi-label",
        columns=found.columns,
        offset=found.offset,
    )


def _read(path: Path) -> dict[str, npt.NDArray[Any]]:
    try:
        arrays, names = read_archive(path, _KEYS)
    except ArchiveError as error:
        raise DataError(
            f"{path}: {error}. Save with {_SAVE}; objects are never unpickled, so save "
            "text labels as labels.astype(str)"
        ) from error
    for key in ("features", "labels"):
        if key not in arrays:
            raise DataError(
                f"{path.name}: array {key!r} is missing, the file has "
                f"{some([repr(name) for name in names]) or 'none'}.{nearest(key, names)} "
                f"Save with {_SAVE}"
            )
    return arrays


def _labels(
    name: str, arrays: dict[str, npt.NDArray[Any]], rows: int
) -> tuple[Labels, tuple[str, ...], tuple[str, ...]]:
    labels = arrays["labels"]
    names = _names(name, arrays.get("class_names"))
    if names is None or labels.shape != (rows,):
        return read_labels(f"{name}: labels", labels, rows, names)
    if labels.dtype.kind not in "iu" or labels.min() < 0 or labels.max() >= len(names):
        raise DataError(
            f"{name}: with {len(names)} class_names the labels must be whole numbers in "
            f"0 .. {len(names) - 1}"
        )
    return labels.astype(np.int64), names, ()


def _names(name: str, names: npt.NDArray[Any] | None) -> tuple[str, ...] | None:
    if names is None:
        return None
    if names.ndim != 1 or names.dtype.kind != "U" or len(set(names.tolist())) != len(names):
        raise DataError(
            f"{name}: class_names must be distinct texts in one dimension, "
            f"got {names.dtype} of shape {names.shape}"
        )
    return tuple(names.tolist())


def _split(name: str, split: npt.NDArray[Any] | None) -> npt.NDArray[np.int64] | None:
    if split is None:
        return None
    if split.dtype.kind not in "iu" or not np.isin(split, (0, 1, 2)).all():
        raise DataError(f"{name}: split must hold 0 (train), 1 (validation) and 2 (test) only")
    return split.astype(np.int64)
