"""The cache of parsed built-in data, in the user's cache folder."""

import os
import tempfile
from collections.abc import Callable, Sequence
from pathlib import Path
from typing import Any

import numpy as np
import numpy.typing as npt

from taylored.lab.data.formats.archive import ArchiveError, read_archive
from taylored.lab.data.optional import require

NamedArrays = dict[str, npt.NDArray[Any]]


def cache_folder() -> Path:
    """The folder for parsed data: `TAYLORED_CACHE`, or the user's cache folder of the platform."""
    chosen = os.environ.get("TAYLORED_CACHE")
    if chosen:
        return Path(chosen)
    platformdirs = require("platformdirs", extra="lab", purpose="The cache folder")
    return Path(platformdirs.user_cache_dir("taylored"))


def cached(
    name: str,
    keys: Sequence[str],
    build: Callable[[], NamedArrays],
    check: Callable[[NamedArrays], None],
    report: Callable[[str], None],
) -> NamedArrays:
    """The arrays `keys` stored as `name`, or those of `build()`, which are then stored.

    A file that cannot be read, or that `check` refuses with a ValueError or KeyError, is built
    again. A folder that cannot be written is reported and not an error: the next start only takes
    some seconds longer.
    """
    file = cache_folder() / f"{name}.npz"
    if file.exists():
        try:
            arrays, _ = read_archive(file, keys)
            check(arrays)
        except (ArchiveError, KeyError, ValueError) as error:
            report(f"the cached file {file} is of no use ({error}) and is built again")
        else:
            return arrays
    arrays = build()
    check(arrays)
    try:
        _write(file, arrays)
    except OSError as error:
        report(f"could not keep the parsed data in {file.parent} ({error}); set TAYLORED_CACHE")
    return arrays


def _write(file: Path, arrays: NamedArrays) -> None:
    """Write beside the target and rename, so that no reader ever sees half a file."""
    file.parent.mkdir(parents=True, exist_ok=True)
    handle, temporary = tempfile.mkstemp(prefix=f".{file.stem}-", suffix=".tmp", dir=file.parent)
    try:
        with os.fdopen(handle, "wb") as stream:
            np.savez(stream, allow_pickle=False, **arrays)
            stream.flush()
            os.fsync(stream.fileno())
        Path(temporary).replace(file)
    except BaseException:
        Path(temporary).unlink(missing_ok=True)
        raise
