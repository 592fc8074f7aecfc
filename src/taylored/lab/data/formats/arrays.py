"""Features and labels in arrays of the user, in a file or in Python."""

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any, Final

import numpy as np
import numpy.typing as npt

from taylored.lab.data.checks import finite_float32, some
from taylored.lab.data.columns import Column
from taylored.lab.data.dataset import Features, Kind, Labels
from taylored.lab.data.errors import DataError
from taylored.lab.data.formats.multi_hot import read_multi_hot
from taylored.lab.data.labels import encode_labels
from taylored.lab.data.tables.guards import array_warnings

_CHANNELS: Final = (1, 3, 4)
_SPREAD: Final = 2.0**-13
"""Spread over size of a column below which float32 would leave it fewer than 11 binary digits."""


@dataclass(frozen=True, eq=False)
class ArrayFeatures:
    """Features of one kind; with `columns` they are float64 and hold gaps.

    `offset` (D,) was subtracted from the columns, where float32 would have lost their digits.
    """

    values: Features
    kind: Kind
    columns: tuple[Column, ...] = ()
    notes: tuple[str, ...] = ()
    offset: npt.NDArray[np.float64] | None = None

    def warnings(self, labels: Labels) -> tuple[str, ...]:
        """Columns of vectors that number the rows, or that hold the labels again."""
        return array_warnings(self.values, labels) if self.kind == "vector" else ()


def read_features(name: str, features: npt.NDArray[Any]) -> ArrayFeatures:
    """Check the features and make them float32, centred first where that would lose digits.

    NaN in vectors is a missing value. `name` opens the error message.

    Shape:
        features (N, D), grey images (N, H, W) or images (N, channels, H, W).
    """
    if features.dtype.kind not in "fiub":
        raise DataError(f"{name}: features must be real numbers, got dtype {features.dtype}")
    if features.ndim not in (2, 3, 4) or features.size == 0:
        raise DataError(
            f"{name}: features must have shape (N, D), (N, H, W) or (N, channels, H, W) and not be "
            f"empty, got {features.shape}"
        )
    if features.ndim == 2:
        return _vectors(name, features)
    if features.ndim == 3:
        features = features[:, None]
    elif features.shape[3] in _CHANNELS and features.shape[1] not in _CHANNELS:
        raise DataError(
            f"{name}: images must have their channels first, got shape {features.shape}. "
            "Use features.transpose(0, 3, 1, 2)"
        )
    return ArrayFeatures(finite_float32(name, features), "image")


def read_labels(
    where: str, labels: npt.NDArray[Any], rows: int, names: Sequence[str] | None
) -> tuple[Labels, tuple[str, ...], tuple[str, ...]]:
    """Class numbers or multi-hot rows, the names of the classes, and what is to be said."""
    if labels.shape != (rows,):
        return *read_multi_hot(where, labels, rows, names), ()
    return encode_labels(where, labels.tolist())


def _vectors(name: str, features: npt.NDArray[Any]) -> ArrayFeatures:
    if features.dtype.kind == "f" and np.isnan(features).any():
        return _with_gaps(name, features.astype(np.float64))
    if features.dtype.kind not in "iu" and features.dtype.itemsize < 8:
        return ArrayFeatures(finite_float32(name, features), "vector")
    plain = finite_float32(name, features)
    wide = features.astype(np.float64)
    mean, spread = wide.mean(axis=0), wide.std(axis=0)
    lost = (spread > 0) & (spread < _SPREAD * np.abs(mean))
    if not lost.any():
        return ArrayFeatures(plain, "vector")
    centre = np.where(lost, mean, 0.0)
    places = some([place + 1 for place in np.flatnonzero(lost).tolist()])
    note = f"columns {places}: the mean is subtracted, as float32 would lose their digits"
    centred = (wide - centre).astype(np.float32)
    return ArrayFeatures(centred, "vector", notes=(note,), offset=centre)


def _with_gaps(name: str, features: npt.NDArray[np.float64]) -> ArrayFeatures:
    """Numbers with missing values: checked apart from those, imputed on training rows later."""
    missing = np.isnan(features)
    finite_float32(name, np.where(missing, 0.0, features))
    empty = missing.all(axis=0)
    gaps = np.flatnonzero(missing.any(axis=0))
    note = (
        f"NaN counts as missing: {missing.sum():,} values in columns "
        f"{some([place + 1 for place in gaps.tolist()])}"
    )
    notes = [note]
    if empty.any():
        left = some([place + 1 for place in np.flatnonzero(empty).tolist()])
        notes.append(f"columns {left} left out: all their values are missing")
    if empty.all():
        raise DataError(f"{name}: features hold NaN only")
    columns = tuple(
        Column(str(place + 1), "number", (), str(place), "position")
        for place in np.flatnonzero(~empty).tolist()
    )
    return ArrayFeatures(features[:, ~empty], "vector", columns, tuple(notes))
