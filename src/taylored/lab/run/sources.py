"""Read the data of a comparison: a name or path, a table, arrays, a Dataset."""

from pathlib import Path
from typing import Any

import numpy as np
import numpy.typing as npt

from taylored.lab.data import Dataset, Reading, builtin_names, from_frame, load
from taylored.lab.data.assemble import RawData, assemble
from taylored.lab.data.backbone import with_backbone
from taylored.lab.data.formats.arrays import read_features, read_labels
from taylored.lab.data.formats.torch_dataset import is_torch_dataset, read_torch_dataset
from taylored.lab.data.reading import FOR_IMAGES, FOR_TABLES, refuse_unused
from taylored.lab.errors import UsageError
from taylored.lab.run.progress import Reporter
from taylored.lab.wording import printable

ArrayPair = tuple[npt.ArrayLike, npt.ArrayLike]
Source = Any
"""A name or path, a pandas data frame, a pair of arrays, a torch Dataset, or a Dataset."""


def read(source: Source, target: str | None, reading: Reading, reporter: Reporter) -> Dataset:
    """The dataset behind a source, after saying what was read; `target` names a table's column."""
    dataset = _read(source, target, reading, reporter)
    for line in dataset.told():
        reporter.note(printable(line))
    return dataset


def recorded_name(source: Source) -> str | None:
    """What the settings record: the name or path as given, None for data given in Python."""
    return str(source) if isinstance(source, str | Path) else None


def located(data: str, started_in: str) -> str:
    """A recorded name, or a recorded path that was relative to the folder `started_in`."""
    if data in builtin_names() or data.startswith("~"):
        return data
    return str(Path(started_in, data))


def _read(source: Source, target: str | None, reading: Reading, reporter: Reporter) -> Dataset:
    if isinstance(source, str | Path):
        return load(str(source), target=target, reading=reading, progress=reporter.note)
    if _is_frame(source):
        return from_frame(source, target, reading)
    if target is not None:
        raise UsageError("target: only tables have columns. Leave it out.")
    refuse_unused(reading, "data given in Python", FOR_TABLES)
    if isinstance(source, Dataset):
        return with_backbone(source, reading.backbone, reporter.note)
    if is_torch_dataset(source):
        raw = read_torch_dataset(source, reading, reporter.note)
        dataset = assemble(raw, min_per_class=reading.min_per_class)
        return with_backbone(dataset, reading.backbone, reporter.note)
    refuse_unused(reading, "data given in Python", FOR_IMAGES)
    if not isinstance(source, tuple) or len(source) != 2:
        raise UsageError(
            "data must be a built-in name, a path, a pandas DataFrame, a torch Dataset, a "
            f"taylored Dataset or a pair (features, labels), got {type(source).__name__}."
            + (" Convert it with .to_pandas()." if hasattr(source, "to_pandas") else "")
        )
    return assemble(_from_arrays(*source), min_per_class=reading.min_per_class)


def _is_frame(source: object) -> bool:
    """Whether this is a pandas data frame; pandas need not be there to say that it is none."""
    kind = type(source)
    return kind.__name__ == "DataFrame" and kind.__module__.split(".")[0] == "pandas"


def _from_arrays(features: npt.ArrayLike, labels: npt.ArrayLike) -> RawData:
    found = read_features("arrays", _array("features", features))
    rows = len(found.values)
    numbers, class_names, notes = read_labels("data: labels", _array("labels", labels), rows, None)
    return RawData(
        name="arrays",
        features=found.values,
        labels=numbers,
        class_names=class_names,
        kind=found.kind,
        source="arrays given in Python",
        licence="not stated",
        description="",
        citation="",
        notes=(*found.warnings(numbers), *found.notes, *notes),
        task="single-label" if numbers.ndim == 1 else "multi-label",
        columns=found.columns,
        offset=found.offset,
    )


def _array(name: str, values: npt.ArrayLike) -> npt.NDArray[Any]:
    """The values as an array; tensors may need gradients or be on another device."""
    if hasattr(values, "detach"):
        values = values.detach().cpu()
    try:
        array = np.asarray(values)
    except (ValueError, TypeError, RuntimeError) as error:
        raise UsageError(f"data: {name} cannot be made an array ({error}).") from error
    # pandas gives texts as objects.
    texts = array.dtype == object and all(isinstance(value, str) for value in array.flat)
    return array.astype(str) if texts else array
