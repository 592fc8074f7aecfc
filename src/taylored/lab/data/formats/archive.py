"""Reading `.npz` files that may be damaged, foreign or hostile."""

import zipfile
import zlib
from collections.abc import Sequence
from pathlib import Path
from typing import Any, Final

import numpy as np
import numpy.typing as npt

MAX_BYTES: Final = 8 * 2**30
"""Cap on the unpacked size of the arrays that are read: a small file can promise any number."""


class ArchiveError(Exception):
    """The file is no readable `.npz`."""


# What numpy, zipfile and zlib raise on damaged files; RuntimeError covers encrypted and unknown
# compression, MemoryError a header that promises more than the machine holds.
_DAMAGE = (
    OSError,
    ValueError,
    EOFError,
    RuntimeError,
    MemoryError,
    zipfile.BadZipFile,
    zlib.error,
)


def read_archive(
    path: Path, wanted: Sequence[str]
) -> tuple[dict[str, npt.NDArray[Any]], list[str]]:
    """Those of the `wanted` arrays that the file has, and the names of all its arrays.

    Objects are never unpickled: an array of objects raises `ArchiveError`.
    """
    arrays: dict[str, npt.NDArray[Any]] = {}
    reading = "the file"
    try:
        with path.open("rb") as stream:
            archive = np.load(stream, allow_pickle=False)
            if not isinstance(archive, np.lib.npyio.NpzFile):
                raise ArchiveError("it holds one bare array")
            with archive:
                names = list(archive.files)
                _refuse_large(archive, [key for key in wanted if key in names])
                for key in wanted:
                    if key in names:
                        reading = f"array {key!r}"
                        arrays[key] = archive[key]
    except _DAMAGE as error:
        reason = str(error).rstrip(".")
        if "pickle" in reason:  # numpy's words for anything that it does not know
            reason = "it holds Python objects, or is no .npz at all"
        raise ArchiveError(f"{reading} cannot be read: {reason}") from error
    return arrays, names


def _refuse_large(archive: np.lib.npyio.NpzFile, keys: Sequence[str]) -> None:
    """The sizes that the file states, before anything is unpacked."""
    listed = archive.zip.infolist() if archive.zip else []
    sizes = {Path(info.filename).stem: info.file_size for info in listed}
    total = sum(sizes.get(key, 0) for key in keys)
    if total > MAX_BYTES:
        raise ArchiveError(
            f"its arrays unpack to {total / 2**30:.1f} GiB, more than the "
            f"{MAX_BYTES / 2**30:g} GiB that are read"
        )
