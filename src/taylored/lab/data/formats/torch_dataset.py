"""A map-style torch Dataset as arrays."""

from collections.abc import Callable
from typing import Any, Final

import numpy as np
import numpy.typing as npt

from taylored.lab.data.assemble import RawData
from taylored.lab.data.errors import DataError
from taylored.lab.data.formats.arrays import ArrayFeatures, read_features, read_labels
from taylored.lab.data.formats.pixels import MAX_NUMBERS, join_pictures, read_picture
from taylored.lab.data.reading import FOR_IMAGES, Reading, refuse_unused

_REPORT_EVERY: Final = 2000


def is_torch_dataset(source: object) -> bool:
    """Whether samples can be asked for by number, as from a torch Dataset; tuples are none."""
    if isinstance(source, tuple | list | str | bytes | dict | np.ndarray):
        return False
    return any(
        kind.__module__.startswith("torch.utils.data") and kind.__name__ == "Dataset"
        for kind in type(source).__mro__
    )


def read_torch_dataset(source: Any, reading: Reading, report: Callable[[str], None]) -> RawData:
    """Read every sample (features, label) once, in order.

    Features are tensors, arrays or numbers of one shape, or Pillow images, which are resized.
    Transforms that are random are drawn once.
    """
    name = type(source).__name__
    try:
        count = len(source)
    except TypeError as error:
        raise DataError(
            f"data: {name} has no length. Give a Dataset whose samples have numbers, "
            "or arrays (features, labels)"
        ) from error
    samples, labels = [], []
    total = 0
    for number in range(count):
        if number and number % _REPORT_EVERY == 0:
            report(f"{number:,} of {count:,} samples read")
        sample, label = _pair(source, number, name)
        read = _sample(sample, number, name, reading)
        total += read.values.size if hasattr(read, "values") else read.size
        if total > MAX_NUMBERS:
            raise DataError(
                f"data: {name} holds more than the {MAX_NUMBERS:,} numbers that are kept in memory"
            )
        samples.append(read)
        labels.append(_label(label))
    if not samples:
        raise DataError(f"data: {name} is empty")
    found = _joined(samples, name)
    classes = getattr(source, "classes", None)
    numbers, class_names, notes = read_labels(
        f"data: labels of {name}", np.array(labels), count, None
    )
    return RawData(
        name=name,
        features=found.values,
        labels=numbers,
        class_names=_named(class_names, classes),
        kind=found.kind,
        source=f"torch Dataset {name} given in Python",
        licence="not stated",
        description=f"{count:,} samples of shape {found.values.shape[1:]}.",
        citation="",
        notes=(*found.warnings(numbers), *found.notes, *notes),
        task="single-label" if numbers.ndim == 1 else "multi-label",
        columns=found.columns,
        offset=found.offset,
    )


def _pair(source: Any, number: int, name: str) -> tuple[Any, Any]:
    try:
        pair = source[number]
    except Exception as error:  # the user's code may raise anything
        raise DataError(f"data: {name}[{number}] fails: {type(error).__name__}: {error}") from error
    if not isinstance(pair, tuple | list) or len(pair) != 2:
        raise DataError(
            f"data: {name}[{number}] must be a pair (features, label), got {type(pair).__name__}"
        )
    return pair[0], pair[1]


def _sample(sample: Any, number: int, name: str, reading: Reading) -> Any:
    if hasattr(sample, "has_transparency_data"):  # a Pillow image
        return read_picture(sample, reading.side)
    refuse_unused(reading, f"{name} with arrays", FOR_IMAGES)
    try:
        array = np.asarray(sample.detach().cpu() if hasattr(sample, "detach") else sample)
    except (ValueError, TypeError, RuntimeError) as error:
        raise DataError(f"data: {name}[{number}] is no array ({error})") from error
    if array.dtype == object or array.dtype.kind not in "fiub":
        raise DataError(
            f"data: {name}[{number}] must hold numbers or a Pillow image, got "
            f"{type(sample).__name__}. Give the Dataset a transform that makes tensors"
        )
    return np.atleast_1d(array)


def _label(label: Any) -> Any:
    array: npt.NDArray[Any] = np.asarray(
        label.detach().cpu() if hasattr(label, "detach") else label
    )
    return array.item() if array.ndim == 0 else array


def _joined(samples: list[Any], name: str) -> ArrayFeatures:
    pictures = [hasattr(sample, "deep") for sample in samples]
    if all(pictures):
        values, notes = join_pictures(samples)
        return ArrayFeatures(values, "image", notes=notes)
    shapes = {sample.shape for sample in samples if not hasattr(sample, "deep")}
    if any(pictures) or len(shapes) != 1:
        raise DataError(
            f"data: the samples of {name} must have one shape, got "
            f"{', '.join(map(str, sorted(shapes)[:3]))}. Give the Dataset a transform that resizes"
        )
    return read_features(f"data: {name}", np.stack(samples))


def _named(numbers: tuple[str, ...], classes: Any) -> tuple[str, ...]:
    """The names that the Dataset gives its classes, where labels are numbers of them."""
    if not isinstance(classes, list | tuple) or len(set(classes)) != len(classes):
        return numbers
    if not all(isinstance(name, str) for name in classes):
        return numbers
    fits = all(text.isdigit() and int(text) < len(classes) for text in numbers)
    return tuple(classes[int(text)] for text in numbers) if fits else numbers
