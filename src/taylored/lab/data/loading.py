"""`load`: read a data set by name or path, whatever its form."""

from collections.abc import Callable
from pathlib import Path

from taylored.lab.data.assemble import RawData, assemble
from taylored.lab.data.builtin import kanjivg
from taylored.lab.data.builtin.loaders import LOADERS
from taylored.lab.data.checks import nearest
from taylored.lab.data.dataset import Dataset
from taylored.lab.data.errors import DataError
from taylored.lab.data.formats.images import load_images
from taylored.lab.data.formats.npz import load_npz
from taylored.lab.data.formats.table import load_table

_TABLES = (".csv", ".parquet")


def load(
    source: str | Path = kanjivg.NAME,
    *,
    target: str | None = None,
    min_per_class: int = 5,
    progress: Callable[[str], None] | None = None,
) -> Dataset:
    """Read a dataset; nothing is downloaded, unpickled or evaluated.

    - `source`: a name from `builtin_names`, or a path: an `.npz` file with features and labels, a
      `.csv` or `.parquet` table, a folder of images by class. A built-in name wins over a file of
      that name; write `./name` for the file.
    - `target`: the column that holds the classes; for tables only, and required there.
    - `min_per_class`: classes with fewer samples are left out and listed in `card.dropped`.
    - `progress`: called with one-line messages while something takes long.

    What cannot be used raises `DataError`, which says how to fix it.

    >>> digits = load("digits-lt")
    >>> digits.features.shape, digits.card.largest_class, digits.card.smallest_class
    ((741, 1, 8, 8), 174, 20)
    """
    if isinstance(min_per_class, bool) or not isinstance(min_per_class, int) or min_per_class < 1:
        raise DataError(f"min_per_class must be an integer >= 1, got {min_per_class!r}")
    return assemble(_read(source, target, progress or _silent), min_per_class=min_per_class)


def _read(source: str | Path, target: str | None, report: Callable[[str], None]) -> RawData:
    path = Path(source).expanduser()
    builtin = LOADERS.get(source) if isinstance(source, str) else None
    if target is not None and (builtin or path.suffix.lower() not in _TABLES):
        raise DataError(
            f"target= names a column of a {' or '.join(_TABLES)} table; {str(source)!r} brings "
            "labels of its own. Leave target out"
        )
    if builtin:
        return builtin(report)
    try:
        return _read_path(path, target, report)
    except OSError as error:  # no permission, a name too long, a disk that fails
        raise DataError(f"{path} cannot be read ({error})") from error


def _read_path(path: Path, target: str | None, report: Callable[[str], None]) -> RawData:
    suffix = path.suffix.lower()
    if path.is_dir():
        return load_images(path, report)
    if not path.exists():
        raise _not_found(path)
    if suffix == ".npz":
        return load_npz(path)
    if suffix in _TABLES:
        return load_table(path, target)
    raise DataError(
        f"{path}: cannot tell the format from the ending {path.suffix!r}. "
        "Expected .npz, .csv, .parquet or a folder of images by class"
    )


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
