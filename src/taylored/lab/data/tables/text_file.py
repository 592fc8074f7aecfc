"""The text of a file: compression, encoding, and caps on what is read."""

import bz2
import codecs
import gzip
import lzma
import re
import zlib
from collections.abc import Callable
from pathlib import Path
from typing import IO, Any, Final

from taylored.lab.data.errors import DataError

MAX_BYTES: Final = 2 * 2**30
"""Cap on the uncompressed size: the table is held in memory several times while it is read."""

_OPENERS: Final[tuple[tuple[bytes, Callable[..., Any]], ...]] = (
    (b"\x1f\x8b", gzip.open),
    (b"BZh", bz2.open),
    (b"\xfd7zXZ\x00", lzma.open),
)
_FOREIGN: Final = (
    (b"PK\x03\x04", "an Excel or zip file"),
    (b"PAR1", "a Parquet file: call it .parquet"),
    (b"\x89PNG", "an image"),
    (b"%PDF", "a PDF"),
    (b"\xd0\xcf\x11\xe0", "an old Excel file"),
    (b"\x89HDF", "an HDF5 file"),
    (b"SQLite format", "an SQLite file"),
)
_MARKS: Final = (  # UTF-32 first: its little-endian mark begins with that of UTF-16
    (codecs.BOM_UTF8, "utf-8-sig", "UTF-8"),
    (codecs.BOM_UTF32_LE, "utf-32", "UTF-32"),
    (codecs.BOM_UTF32_BE, "utf-32", "UTF-32"),
    (codecs.BOM_UTF16_LE, "utf-16", "UTF-16"),
    (codecs.BOM_UTF16_BE, "utf-16", "UTF-16"),
)
_FOREIGN_WORD: Final = re.compile(r"\w*[^\x00-\x7f]\w*")


def read_text(path: Path, encoding: str | None) -> tuple[str, str, tuple[str, ...]]:
    """The text, the name of its encoding, and what is to be said about it."""
    content = _content(path)
    for start, what in _FOREIGN:
        if content.startswith(start):
            raise DataError(f"{path} is no text but {what}. Save it as CSV, or read it with pandas")
    try:
        text, name, notes = _decoded(content, encoding)
    except LookupError as error:
        raise DataError(f"encoding: Python knows no {encoding!r}") from error
    except UnicodeError as error:
        raise DataError(
            f"{path} cannot be read as a table ({error}). Name its encoding, as in "
            "encoding='cp1252'"
        ) from error
    if "\0" in text:
        raise DataError(
            f"{path} cannot be read as a table (it holds NUL characters, so it is no text or has "
            "another encoding)"
        )
    return text, name, notes


def _content(path: Path) -> bytes:
    with path.open("rb") as stream:
        start = stream.read(6)
        stream.seek(0)
        for magic, opener in _OPENERS:
            if start.startswith(magic):
                try:
                    with opener(stream, "rb") as inner:
                        return _capped(path, inner)
                except (EOFError, zlib.error, lzma.LZMAError, OSError) as error:
                    raise DataError(f"{path}: the compressed file is damaged ({error})") from error
        return _capped(path, stream)


def _capped(path: Path, stream: IO[bytes]) -> bytes:
    """All bytes, or an error as soon as there are too many: a small file can unpack to anything."""
    pieces, total = [], 0
    while piece := stream.read(2**24):
        pieces.append(piece)
        total += len(piece)
        if total > MAX_BYTES:
            raise DataError(
                f"{path} holds more than {MAX_BYTES / 2**30:g} GiB of text, the most that is read. "
                "Draw a sample of its rows first, or save it as Parquet"
            )
    return b"".join(pieces)


def _decoded(content: bytes, encoding: str | None) -> tuple[str, str, tuple[str, ...]]:
    if encoding is not None:
        return content.decode(encoding).removeprefix("\ufeff"), encoding, ()
    for mark, codec, name in _MARKS:
        if content.startswith(mark):
            return content.decode(codec), name, ()
    head = content[:4096]
    if head.count(0) * 4 > len(head) > 1:  # plain text in UTF-16: every second byte is 0
        codec = "utf-16-le" if head[1::2].count(0) > head[::2].count(0) else "utf-16-be"
        return content.decode(codec), codec.upper(), ()
    try:
        return content.decode("utf-8"), "UTF-8", ()
    except UnicodeDecodeError as error:
        if error.start >= len(content) - 3 and error.reason == "unexpected end of data":
            raise  # the file was cut in the middle of a character
    try:
        text, name = content.decode("cp1252"), "cp1252"
    except UnicodeDecodeError:
        text, name = content.decode("latin-1"), "latin-1"
    found = _FOREIGN_WORD.search(text)
    example = f" ({found.group()[:30]!r}, for example)" if found else ""
    note = f"encoding {name} assumed, as it is not UTF-8{example}; encoding= names another"
    return text, name, (note,)
