"""Images as one array of equal size."""

import warnings
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Final

import numpy as np
import numpy.typing as npt

from taylored.lab.data.checks import some
from taylored.lab.data.errors import DataError
from taylored.lab.data.optional import require

MAX_PIXELS: Final = 100_000_000
"""Cap on the pixels of one image, before it is unpacked; a small file may promise any number."""
MAX_NUMBERS: Final = 2**31
"""Cap on the numbers of all images together (8 GiB)."""
_REPORT_EVERY = 2000


@dataclass(frozen=True, eq=False)
class Picture:
    """One image, resized.

    `values` (1 or 3, size, size) are in 0 .. 1, except for `deep` ones: 16 or 32 bits or
    floating-point, whose range only the whole data set shows. `frames` says that there were more.
    """

    values: npt.NDArray[np.float32]
    deep: bool = False
    frames: bool = False


def decode(
    files: Sequence[Path], size: int, report: Callable[[str], None]
) -> tuple[list[Picture | None], list[str]]:
    """Every file as a picture of `size` x `size` pixels, None where it cannot be read, and why.

    Transparent pixels are put on white. The rotation that a camera noted is applied.
    """
    _refuse_too_many(len(files), size)
    pillow = require("PIL.Image", extra="vision", purpose="Reading a folder of images")
    pictures: list[Picture | None] = []
    damaged = []
    for count, file in enumerate(files):
        if count and count % _REPORT_EVERY == 0:
            report(f"{count:,} of {len(files):,} images read")
        try:
            with pillow.open(file) as image:
                pictures.append(read_picture(image, size))
        except Exception as error:  # decoders raise nearly anything on damaged files
            pictures.append(None)
            damaged.append(f"{file} ({error})")
    return pictures, damaged


def read_picture(image: Any, size: int) -> Picture:
    """One Pillow image, resized with its proportions given up."""
    pillow = require("PIL.Image", extra="vision", purpose="Reading images")
    operations = require("PIL.ImageOps", extra="vision", purpose="Reading images")
    if image.width * image.height > MAX_PIXELS:
        raise DataError(
            f"{image.width} x {image.height} pixels exceeds limit of {MAX_PIXELS:,} pixels"
        )
    frames = bool(getattr(image, "is_animated", False))
    with warnings.catch_warnings():
        # The warnings are about metadata; doubtful pixels raise an exception.
        warnings.simplefilter("ignore")
        values, deep = _pixels(pillow, operations.exif_transpose(image), size)
    return Picture(values, deep, frames)


def join_pictures(
    pictures: Sequence[Picture],
) -> tuple[npt.NDArray[np.float32], tuple[str, ...]]:
    """One array with one channel if all images are grey, else three, and what is to be said.

    Deep images keep their relations: all of them are divided by the largest value among them.
    Where values are negative, the smallest becomes 0 first.

    Shape:
        returns (N, 1 or 3, size, size).
    """
    channels = max(len(picture.values) for picture in pictures)
    size = pictures[0].values.shape[-1]
    joined = np.empty((len(pictures), channels, size, size), dtype=np.float32)
    deep = [place for place, picture in enumerate(pictures) if picture.deep]
    low = min((float(pictures[place].values.min()) for place in deep), default=0.0)
    high = max((float(pictures[place].values.max()) for place in deep), default=1.0)
    low = min(low, 0.0)
    scale = (high - low) or 1.0
    for place, picture in enumerate(pictures):
        joined[place] = (picture.values - low) / scale if picture.deep else picture.values
    notes = []
    if deep:
        notes.append(
            f"{len(deep):,} images of 16 or more bits: values from {low:g} to {high:g} over the "
            "data set become 0 .. 1"
        )
    frames = sum(picture.frames for picture in pictures)
    if frames:
        notes.append(f"{frames:,} images have several frames; the first is used")
    return joined, tuple(notes)


def refuse_damaged(damaged: Sequence[str], files: int) -> None:
    """All files that cannot be read, at once."""
    if damaged:
        raise DataError(
            f"{len(damaged):,} of {files:,} files cannot be read as an image: {some(damaged)}. "
            "Repair or remove them, or leave them out with damaged='skip' (--skip-damaged)"
        )


def _refuse_too_many(images: int, size: int) -> None:
    if images * 3 * size * size > MAX_NUMBERS:
        raise DataError(
            f"{images:,} images of {size}x{size} pixels take more than the "
            f"{MAX_NUMBERS * 4 / 2**30:g} GiB that are held in memory. Choose a smaller image_size"
        )


def _pixels(pillow: Any, image: Any, size: int) -> tuple[npt.NDArray[np.float32], bool]:
    """Values (1 or 3, size, size), and whether their range is not known."""
    box = (size, size)
    if image.mode.startswith("I") or image.mode == "F":
        values = np.asarray(image, dtype=np.float32)
        if not np.isfinite(values).all():
            raise DataError("it has pixels that are no finite numbers")
        small = pillow.fromarray(values).resize(box, pillow.Resampling.BILINEAR)
        return np.asarray(small, dtype=np.float32)[None], True
    if image.has_transparency_data:
        white = pillow.new("RGBA", image.size, "white")
        image = pillow.alpha_composite(white, image.convert("RGBA")).convert("RGB")
    image = image.convert("L" if image.mode in ("1", "L") else "RGB")
    small = image.resize(box, pillow.Resampling.BILINEAR)
    array = np.asarray(small, dtype=np.float32) / np.float32(255.0)
    channels = array[None] if array.ndim == 2 else np.ascontiguousarray(array.transpose(2, 0, 1))
    return channels, False
