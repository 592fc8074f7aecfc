"""Records in JSON files with a checksum: a file that was edited, damaged or cut off is noticed."""

import json
from hashlib import sha256
from pathlib import Path
from typing import Any

from taylored.lab.records import Record, from_json, to_json


def sealed(record: object) -> str:
    """The text of a file that `opened` accepts: sorted keys, no NaN, and a checksum."""
    content = to_json(record)
    return as_text({**content, "checksum": _checksum(content)})


def opened(kind: type[Record], text: str, where: str) -> Record:
    """The record in a sealed text; a ValueError says what is wrong with it."""
    try:
        content = json.loads(text)
    except RecursionError as error:  # thousands of nested brackets
        raise ValueError(f"{where} is nested too deeply") from error
    if not isinstance(content, dict):
        raise ValueError(f"{where} must be a JSON object")
    checksum = content.pop("checksum", None)
    record = from_json(kind, content, where)
    if checksum != _checksum(content):
        raise ValueError("its checksum does not fit: it was edited")
    return record


def read_sealed(kind: type[Record], file: Path) -> Record:
    """The record in a file."""
    return opened(kind, file.read_text("utf-8"), file.name)


def as_text(content: Any) -> str:
    """JSON with sorted keys, one line per value; a NaN is an error."""
    text = json.dumps(content, sort_keys=True, indent=1, ensure_ascii=False, allow_nan=False)
    return text + "\n"


def _checksum(content: Any) -> str:
    # ASCII, so that names which are no valid text have a checksum as well.
    canonical = json.dumps(content, sort_keys=True, separators=(",", ":"))
    return sha256(canonical.encode("ascii")).hexdigest()
