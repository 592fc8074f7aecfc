"""Arrays saved with `numpy.savez`."""

from pathlib import Path
from typing import Any

import numpy as np
import numpy.typing as npt

from taylored.lab.data.assemble import RawData
from taylored.lab.data.checks import finite_float32, nearest, some
from taylored.lab.data.dataset import Kind, Labels
from taylored.lab.data.errors import DataError
from taylored.lab.data.formats.archive import ArchiveError, read_archive
from taylored.lab.data.labels import encode_labels
from taylored.lab.data.multi_hot import read_multi_hot

_KEYS = ("features", "labels", "class_names", "split")
_CHANNELS = (1, 3, 4)
_SAVE = "numpy.savez(path, features=features, labels=labels)"


def load_npz(path: Path) -> RawData:
    """Read `features` and `labels`, and `class_names` and `split` where the file has them.

    Shape:
        features (N, D), grey images (N, H, W) or images (N, channels, H, W); labels (N,), whole
        numbers or text, or for multi-label data (N, C), 0 or 1. With `class_names` (C,), text,
        the labels are positions in it, or columns. split (N,): 0 train, 1 validation, 2 test.
    """
    arrays = _read(path)
    features, kind = _features(path.name, arrays["features"])
    rows = len(features)
    if "split" in arrays and arrays["split"].shape != (rows,):
        raise DataError(
            f"{path.name}: split must have shape ({rows},), one per row of features, "
            f"got {arrays['split'].shape}"
        )
    labels, class_names = _labels(path.name, arrays, rows)
    return RawData(
        name=path.stem,
        features=finite_float32(path.name, features),
        labels=labels,
        class_names=class_names,
        kind=kind,
        source=f"arrays in {path.name}",
        licence="not stated (own data)",
        description=f"{rows:,} rows of shape {features.shape[1:]} from {path.name}.",
        citation="",
        split=_split(path.name, arrays.get("split")),
        task="single-label" if labels.ndim == 1 else "multi-label",
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


def _features(name: str, features: npt.NDArray[Any]) -> tuple[npt.NDArray[Any], Kind]:
    if features.dtype.kind not in "fiub":
        raise DataError(f"{name}: features must be real numbers, got dtype {features.dtype}")
    if features.ndim not in (2, 3, 4) or features.size == 0:
        raise DataError(
            f"{name}: features must have shape (N, D), (N, H, W) or (N, channels, H, W) and not be "
            f"empty, got {features.shape}"
        )
    if features.ndim == 2:
        return features, "vector"
    if features.ndim == 3:
        return features[:, None], "image"
    if features.shape[3] in _CHANNELS and features.shape[1] not in _CHANNELS:
        raise DataError(
            f"{name}: images must have their channels first, got shape {features.shape}. "
            "Save features.transpose(0, 3, 1, 2)"
        )
    return features, "image"


def _labels(
    name: str, arrays: dict[str, npt.NDArray[Any]], rows: int
) -> tuple[Labels, tuple[str, ...]]:
    labels = arrays["labels"]
    names = _names(name, arrays.get("class_names"))
    if labels.shape != (rows,):
        return read_multi_hot(f"{name}: labels", labels, rows, names)
    if names is None:
        return encode_labels(f"{name}: labels", labels.tolist())
    if labels.dtype.kind not in "iu" or labels.min() < 0 or labels.max() >= len(names):
        raise DataError(
            f"{name}: with {len(names)} class_names the labels must be whole numbers in "
            f"0 .. {len(names) - 1}"
        )
    return labels.astype(np.int64), names


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
