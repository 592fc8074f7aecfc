"""Image files as one array of equal size."""

import warnings
from collections.abc import Callable, Sequence
from pathlib import Path
from typing import Any

import numpy as np
import numpy.typing as npt

from taylored.lab.data.errors import DataError
from taylored.lab.data.optional import require

IMAGE_SIZE = 32
_REPORT_EVERY = 2000


def decode(files: Sequence[Path], report: Callable[[str], None]) -> npt.NDArray[np.float32]:
    """Every file as `IMAGE_SIZE` x `IMAGE_SIZE` pixels in 0 .. 1, channels first.

    The array has one channel if all images are grey, else three. Transparent pixels are put on
    white. The rotation that a camera noted is applied. 16-bit grey keeps its range.

    Shape:
        returns (N, 1 or 3, IMAGE_SIZE, IMAGE_SIZE).
    """
    pillow = require("PIL.Image", extra="vision", purpose="Reading a folder of images")
    operations = require("PIL.ImageOps", extra="vision", purpose="Reading a folder of images")
    images = []
    with warnings.catch_warnings():
        # The warnings are about metadata; doubtful pixels raise an exception.
        warnings.simplefilter("ignore")
        for count, file in enumerate(files):
            if count and count % _REPORT_EVERY == 0:
                report(f"{count:,} of {len(files):,} images read")
            try:
                with pillow.open(file) as image:
                    images.append(_decode(pillow, operations.exif_transpose(image)))
            except Exception as error:  # decoders raise nearly anything on damaged files
                raise DataError(
                    f"{file} cannot be read as an image ({error}). Repair or remove the file"
                ) from error
    channels = max(len(image) for image in images)
    return np.stack(
        [np.broadcast_to(image, (channels, IMAGE_SIZE, IMAGE_SIZE)) for image in images]
    )


def _decode(pillow: Any, image: Any) -> npt.NDArray[np.float32]:
    """One image as (1 or 3, IMAGE_SIZE, IMAGE_SIZE)."""
    if image.mode.startswith("I"):  # 16-bit grey, under several names
        deep = pillow.fromarray(np.asarray(image, dtype=np.float32) / 65535.0)
        small = deep.resize((IMAGE_SIZE, IMAGE_SIZE), pillow.Resampling.BILINEAR)
        return np.clip(np.asarray(small, dtype=np.float32), 0.0, 1.0)[None]
    if image.mode == "F":
        raise ValueError("floating-point pixels have no fixed range")
    if image.has_transparency_data:
        white = pillow.new("RGBA", image.size, "white")
        image = pillow.alpha_composite(white, image.convert("RGBA")).convert("RGB")
    image = image.convert("L" if image.mode in ("1", "L") else "RGB")
    small = image.resize((IMAGE_SIZE, IMAGE_SIZE), pillow.Resampling.BILINEAR)
    array = np.asarray(small, dtype=np.float32) / np.float32(255.0)
    return array[None] if array.ndim == 2 else np.ascontiguousarray(array.transpose(2, 0, 1))
