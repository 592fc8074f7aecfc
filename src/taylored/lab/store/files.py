"""Files that are written whole or not at all, whatever happens meanwhile."""

import os
import tempfile
import time
from contextlib import suppress
from pathlib import Path
from secrets import token_hex

from taylored.lab.errors import RunError

_PREFIX, _OWNED, _SUFFIX = ".", "+", ".tmp"
ABANDONED_AFTER = 3600.0
"""Seconds; a temporary file lives for a moment, so that one this old belongs to nobody."""


def write_text(target: Path, text: str) -> None:
    """Write beside the target, flush to the disk, rename."""
    try:
        temporary = _written(target, text)
        try:
            temporary.replace(target)
        except BaseException:
            temporary.unlink(missing_ok=True)
            raise
    except OSError as error:
        raise RunError(f"cannot write {target}: {reason(error)}.") from error


def create_text(target: Path, text: str, owner: str | None = None) -> bool:
    """Write a file that does not exist yet; False if it does. Of several processes one succeeds.

    The `owner` is in the name of the temporary file, so that others know when nobody needs it.
    """
    prefix = _PREFIX if owner is None else f"{_PREFIX}{owner}{_OWNED}"
    try:
        temporary = _written(target, text, prefix)
        try:
            os.link(temporary, target)  # unlike a renaming, it never replaces a file
        except FileExistsError:
            return False
        except OSError:  # a file system without links
            return _create_in_place(target, text)
        finally:
            temporary.unlink(missing_ok=True)
    except OSError as error:
        raise RunError(f"cannot write {target}: {reason(error)}.") from error
    return True


def remove_leftovers(folder: Path) -> None:
    """Delete temporary files of processes that were killed while writing, long ago."""
    for file in folder.glob(f"{_PREFIX}*{_SUFFIX}"):
        with suppress(OSError):
            if time.time() - file.stat().st_mtime > ABANDONED_AFTER:
                file.unlink()


def owner_of(file: Path) -> str:
    """The owner of a temporary file that was made with one."""
    return file.name.removeprefix(_PREFIX).partition(_OWNED)[0]


def owned_name(owner: str) -> str:
    """A new name for a temporary file of this owner."""
    return f"{_PREFIX}{owner}{_OWNED}{token_hex(8)}{_SUFFIX}"


def is_leftover(file: Path) -> bool:
    """Whether a file is a temporary one, of a live process or of a dead one."""
    return file.name.startswith(_PREFIX) and file.name.endswith(_SUFFIX)


def reason(error: OSError) -> str:
    """What the system says, without the path."""
    return error.strerror or str(error)


def _written(target: Path, text: str, prefix: str = _PREFIX) -> Path:
    """A temporary file beside the target with this text, on the disk."""
    handle, name = tempfile.mkstemp(prefix=prefix, suffix=_SUFFIX, dir=target.parent)
    temporary = Path(name)
    try:
        with os.fdopen(handle, "wb") as stream:
            stream.write(_encoded(text))
            stream.flush()
            os.fsync(stream.fileno())
        temporary.chmod(0o644)  # mkstemp lets only the owner read
    except BaseException:
        temporary.unlink(missing_ok=True)
        raise
    return temporary


def _create_in_place(target: Path, text: str) -> bool:
    try:
        with target.open("xb") as stream:
            stream.write(_encoded(text))
    except FileExistsError:
        return False
    return True


def _encoded(text: str) -> bytes:
    # A name that is no valid text (a lone surrogate) becomes the escape that JSON has for it.
    return text.encode("utf-8", "backslashreplace")
