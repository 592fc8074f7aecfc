"""`load`: read a data set by name or path, whatever its form."""

import stat
from collections.abc import Callable
from pathlib import Path
from typing import Any, Final

from taylored.lab.data.assemble import RawData, assemble
from taylored.lab.data.backbone import with_backbone
from taylored.lab.data.builtin import kanjivg
from taylored.lab.data.builtin.loaders import LOADERS
from taylored.lab.data.checks import nearest
from taylored.lab.data.dataset import Dataset
from taylored.lab.data.errors import DataError
from taylored.lab.data.formats.images import load_images
from taylored.lab.data.formats.npz import load_npz
from taylored.lab.data.reading import FOR_IMAGES, FOR_TABLES, Reading, refuse_unused
from taylored.lab.data.tables.load import load_frame, load_table

TABLES: Final = (".csv", ".tsv", ".tab", ".txt", ".dat", ".data", ".arff", ".parquet", ".pq")
_COMPRESSED: Final = (".gz", ".bz2", ".xz")
_BY_PANDAS: Final = {
    ".xlsx": "read_excel",
    ".xls": "read_excel",
    ".ods": "read_excel",
    ".json": "read_json",
    ".jsonl": "read_json",
    ".feather": "read_feather",
    ".h5": "read_hdf",
    ".dta": "read_stata",
    ".sav": "read_spss",
    ".sas7bdat": "read_sas",
    ".pkl": "read_pickle",
}


def load(
    source: str | Path = kanjivg.NAME,
    *,
    target: str | None = None,
    reading: Reading | None = None,
    progress: Callable[[str], None] | None = None,
) -> Dataset:
    """Read a dataset; nothing is downloaded, unpickled or evaluated.

    - `source`: a name from `builtin_names`, or a path: an `.npz` file with features and labels, a
      table (`.csv`, `.tsv`, `.txt`, `.dat`, `.data`, `.arff`, also compressed by gzip, bzip2 or xz;
      `.parquet`), a folder of images by class. A built-in name wins over a file of that name;
      write `./name` for the file.
    - `target`: the column that holds the classes; for tables only, and required there.
    - `reading`: how to read it, where finding out is not wanted.
    - `progress`: called with one-line messages while something takes long.

    What cannot be used raises `DataError`, which says how to fix it.

    >>> digits = load("digits-lt")
    >>> digits.features.shape, digits.card.largest_class, digits.card.smallest_class
    ((741, 1, 8, 8), 174, 20)
    """
    chosen = reading or Reading()
    builtin = LOADERS.get(source) if isinstance(source, str) else None
    if builtin:
        _refuse_target(target, str(source))
        refuse_unused(chosen, f"built-in data {source!r}", FOR_TABLES, FOR_IMAGES)
        raw = builtin(progress or _silent)
        return assemble(raw, min_per_class=chosen.min_per_class, equal="anywhere")
    raw = _read_file(source, target, chosen, progress or _silent)
    dataset = assemble(raw, min_per_class=chosen.min_per_class)
    return with_backbone(dataset, chosen.backbone, progress or _silent)


def from_frame(frame: Any, target: str | None, reading: Reading) -> Dataset:
    """The data set in a pandas data frame whose column `target` holds the classes."""
    refuse_unused(reading, "a data frame", FOR_IMAGES)
    return assemble(load_frame(frame, target, reading), min_per_class=reading.min_per_class)


def _read_file(
    source: str | Path, target: str | None, reading: Reading, report: Callable[[str], None]
) -> RawData:
    try:
        path = Path(source).expanduser()
    except RuntimeError as error:  # ~nobody
        raise DataError(f"{source}: {error}") from error
    try:
        return _read_path(path, target, reading, report)
    except OSError as error:  # no permission, a name too long, a disk that fails
        raise DataError(f"{path} cannot be read ({error})") from error
    except MemoryError as error:
        raise DataError(f"{path} does not fit into memory. Draw a sample of its rows") from error


def _read_path(
    path: Path, target: str | None, reading: Reading, report: Callable[[str], None]
) -> RawData:
    ending = _ending(path)
    if path.is_dir():
        _refuse_target(target, str(path))
        refuse_unused(reading, str(path), FOR_TABLES)
        return load_images(path, reading, report)
    if not path.exists():
        raise _not_found(path)
    _refuse_special(path)
    if ending in TABLES:
        refuse_unused(reading, str(path), FOR_IMAGES)
        return load_table(path, target, reading)
    if ending == ".npz":
        _refuse_target(target, str(path))
        refuse_unused(reading, str(path), FOR_TABLES, FOR_IMAGES)
        return load_npz(path)
    if ending in _BY_PANDAS:
        raise DataError(
            f"{path}: read it with pandas, and compare on the data frame: "
            f"lab.compare(data=pandas.{_BY_PANDAS[ending]}({str(path)!r}), target=...)"
        )
    raise DataError(
        f"{path}: cannot tell the format from the ending {ending!r}. "
        f"Expected .npz, {', '.join(TABLES)} or a folder of images by class"
    )


def _ending(path: Path) -> str:
    """The ending in small letters, without that of a compression."""
    endings = [suffix.lower() for suffix in path.suffixes]
    if len(endings) > 1 and endings[-1] in _COMPRESSED:
        return endings[-2]
    return endings[-1] if endings else ""


def _refuse_target(target: str | None, source: str) -> None:
    if target is not None:
        raise DataError(
            f"target= names a column of a table; {source!r} brings labels of its own. "
            "Leave target out"
        )


def _refuse_special(path: Path) -> None:
    """A pipe would wait for ever, and can be read only once; a device has no end."""
    if not stat.S_ISREG(path.stat().st_mode):
        raise DataError(f"{path} is a pipe or a device. Save its content to a file first")


def _not_found(path: Path) -> DataError:
    if path.suffix or path.parent != Path():
        if not path.parent.is_dir():
            return DataError(f"{path} does not exist, nor does its folder {path.parent}")
        hint = nearest(path.name, [entry.name for entry in path.parent.iterdir()])
        return DataError(f"{path} does not exist.{hint}")
    here = [entry.name for entry in Path().iterdir() if not entry.name.startswith(".")]
    return DataError(
        f"{str(path)!r} is neither built-in data ({', '.join(LOADERS)}) nor a file or folder here."
        f"{nearest(str(path), [*LOADERS, *here])}"
    )


def _silent(_message: str) -> None:
    """Swallow progress messages when the caller wants none."""
