"""Read the data of a comparison: a name or path, a Dataset, or a pair of arrays."""

from pathlib import Path
from typing import Any

import numpy as np
import numpy.typing as npt

from taylored.lab.data import Dataset, Labels, builtin_names, load
from taylored.lab.data.assemble import RawData, assemble
from taylored.lab.data.checks import finite_float32
from taylored.lab.data.labels import encode_labels
from taylored.lab.data.multi_hot import read_multi_hot
from taylored.lab.errors import UsageError
from taylored.lab.run.progress import Reporter

ArrayPair = tuple[npt.ArrayLike, npt.ArrayLike]
Source = str | Path | Dataset | ArrayPair
_NAME = "arrays"
_MIN_PER_CLASS = 5


def read(source: Source, target: str | None, reporter: Reporter) -> Dataset:
    """The dataset behind a source; `target` names the column of a table."""
    if isinstance(source, str | Path):
        return load(str(source), target=target, progress=reporter.note)
    if target is not None:
        raise UsageError("target: only tables (.csv, .parquet) have columns. Leave it out.")
    if isinstance(source, Dataset):
        return source
    if not isinstance(source, tuple) or len(source) != 2:
        raise UsageError(
            "data must be a built-in name, a path, a Dataset or a pair (features, labels), "
            f"got {type(source).__name__}."
        )
    return _from_arrays(*source)


def recorded_name(source: Source) -> str | None:
    """What the settings record: the name or path as given, None for arrays."""
    return str(source) if isinstance(source, str | Path) else None


def located(data: str, started_in: str) -> str:
    """A recorded name, or a recorded path that was relative to the folder `started_in`."""
    return data if data in builtin_names() else str(Path(started_in, data))


def _from_arrays(features: npt.ArrayLike, labels: npt.ArrayLike) -> Dataset:
    values = finite_float32(_NAME, np.asarray(features))
    if values.ndim not in (2, 3, 4) or values.size == 0:
        raise UsageError(
            "data: features must have shape (N, D), (N, H, W) or (N, channels, H, W) and not be "
            f"empty, got {values.shape}."
        )
    numbers, class_names = _labels(np.asarray(labels), len(values))
    raw = RawData(
        name=_NAME,
        features=values[:, None] if values.ndim == 3 else values,
        labels=numbers,
        class_names=class_names,
        kind="vector" if values.ndim == 2 else "image",
        source="arrays given in Python",
        licence="not stated",
        description="",
        citation="",
        task="single-label" if numbers.ndim == 1 else "multi-label",
    )
    return assemble(raw, min_per_class=_MIN_PER_CLASS)


def _labels(given: npt.NDArray[Any], rows: int) -> tuple[Labels, tuple[str, ...]]:
    if given.ndim == 2:
        return read_multi_hot("data: labels", given, rows, None)
    if given.shape != (rows,):
        raise UsageError(
            f"data: labels must have shape ({rows},), one per row of features, got {given.shape}."
        )
    return encode_labels("data: labels", given.tolist())
