"""Texts as numbers: decimal commas, thousands, units."""

import re
from collections import Counter
from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from itertools import islice
from typing import Final

from taylored.lab.data.reading import Decimal

_PLAIN: Final = re.compile(r"[+-]?(?:\d+\.?\d*|\.\d+)(?:[eE][+-]?\d+)?")
_DOT: Final = re.compile(r"[+-]?\d{1,3}(?:,\d{3})+(?:\.\d*)?")
_COMMA: Final = re.compile(r"[+-]?(?:\d{1,3}(?:\.\d{3})+|\d*)(?:,\d+)?(?:[eE][+-]?\d+)?")
_BLANKS: Final = re.compile(r"(?<=\d)[ '\u2019\u00a0\u202f](?=\d{3}(?!\d))")
_DECIDES_COMMA: Final = re.compile(r"[+-]?(?:\d+,(?!\d{3}$)\d+|0+,\d+|\d{1,3}(?:\.\d{3})+,\d+)")
_DECIDES_DOT: Final = re.compile(r"[+-]?(?:\d+\.(?!\d{3}$)\d+|0*\.\d+|\d{1,3}(?:,\d{3})+\.\d+)")
_LOOKED_AT: Final = 1000  # distinct texts of a column, for the decimal sign of the file
_MONEY: Final = "$\u20ac\u00a3\u00a5\u20b9"
_WITH_UNIT: Final = re.compile(
    rf"([{_MONEY}]|[A-Z]{{3}}(?= ))?\s*([+-]?[\d.][\d.,'\u00a0\u202f ]*?(?:[eE][+-]?\d+)?)"
    rf"\s*([^\W\d_][^\d,;]*|[%\u2030\u00b0{_MONEY}][^\d,;]*)?"
)
# Units that may stand beside each other in one column. Any text after a number is taken as its unit
# where the whole column has the same; "12b" next to "7a" is a code.
_UNITS: Final = (
    "kg g mg ug lb lbs oz st km m dm cm mm um nm mi mile miles yd ft in inch inches l ml cl dl "
    "gal s sec ms us ns min mins h hr hrs hour hours day days week weeks month months mo yr yrs "
    "year years hz khz mhz ghz kb mb gb tb kib mib gib kw mw gw wh kwh mwh mv ma mah kj "
    "cal kcal pa kpa hpa bar psi \u00b0c \u00b0f hp bhp ps cc kmpl mpg km/kg km/h kmh mph "
    "m/s rpm nm % \u2030 m2 m3 ha acres sqft usd eur gbp $ \u20ac \u00a3 \u00a5"
)
_KNOWN: Final = frozenset(_UNITS.split())


@dataclass(frozen=True)
class Quantity:
    """A number with its unit; the unit is empty for a bare number."""

    number: float
    unit: str


def to_number(text: str, decimal: Decimal) -> float | None:
    """The number that a text means under a decimal sign, or None.

    >>> to_number("1,234.5", "."), to_number("1.234,5", ","), to_number("12a", ".")
    (1234.5, 1234.5, None)
    """
    text = _BLANKS.sub("", text.replace("\u2212", "-"))
    if decimal == ".":
        if _PLAIN.fullmatch(text):
            return float(text)
        return float(text.replace(",", "")) if _DOT.fullmatch(text) else None
    if not _COMMA.fullmatch(text) or not any(sign.isdigit() for sign in text):
        return float(text) if _PLAIN.fullmatch(text) and "." not in text else None
    return float(text.replace(".", "").replace(",", "."))


def find_decimal(columns: Iterable[Iterable[str]], separator_is_comma: bool) -> Decimal:
    """The decimal sign of a file: a comma where columns of numbers can only be read with it."""
    commas = dots = open_ = 0
    for texts in columns:
        distinct = list(islice(texts, _LOOKED_AT))
        if not distinct:
            continue
        if _share(distinct, ",") == 1.0 and any(map(_DECIDES_COMMA.fullmatch, distinct)):
            commas += 1
        elif _share(distinct, ".") == 1.0 and any(map(_DECIDES_DOT.fullmatch, distinct)):
            dots += 1
        elif not separator_is_comma and all("," in text for text in distinct):
            open_ += _share(distinct, ",") == 1.0
    return "," if commas > dots or (not dots and open_) else "."


def to_numbers(texts: Iterable[str], decimal: Decimal) -> dict[str, float]:
    """The texts that are numbers, under the decimal sign that fits more of them."""
    distinct = list(texts)
    other: Decimal = "," if decimal == "." else "."
    found = _numbers(distinct, decimal)
    if len(found) < len(distinct):
        second = _numbers(distinct, other)
        if len(second) == len(distinct) and any(map(_decides(other).fullmatch, distinct)):
            return second
    return found


def sign_of(numbers: Mapping[str, float], decimal: Decimal) -> Decimal:
    """The decimal sign under which texts were read as these numbers: the one asked for, or not.

    >>> sign_of({"1,5": 1.5}, ".")
    ','
    """
    other: Decimal = "," if decimal == "." else "."
    for text, number in numbers.items():
        quantity = to_quantity(text, decimal)
        if quantity is None or quantity.number != number:
            return other
    return decimal


def to_quantities(texts: Iterable[str], decimal: Decimal) -> Mapping[str, Quantity] | None:
    """All texts as numbers with a unit, or None where they are no such column."""
    distinct = list(texts)
    found = _quantities(distinct, decimal)
    return _quantities(distinct, "," if decimal == "." else ".") if found is None else found


def to_quantity(text: str, decimal: Decimal) -> Quantity | None:
    """One text as a number with at most one unit, or None.

    >>> to_quantity("12,5 kg", ",")
    Quantity(number=12.5, unit='kg')
    """
    match = _WITH_UNIT.fullmatch(text)
    number = to_number(match.group(2).strip(), decimal) if match else None
    if match is None or number is None:
        return None
    units = [part.strip() for part in (match.group(1), match.group(3)) if part]
    return None if len(units) > 1 else Quantity(number, units[0] if units else "")


def _quantities(texts: Iterable[str], decimal: Decimal) -> Mapping[str, Quantity] | None:
    found: dict[str, Quantity] = {}
    for text in texts:
        quantity = to_quantity(text, decimal)
        if quantity is None:
            return None
        found[text] = quantity
    counts = Counter(quantity.unit for quantity in found.values())
    units = [unit for unit in counts if unit]
    if not units:
        return None
    if len(units) == 1 and len(found) >= 2:
        return found
    return found if all(unit.lower() in _KNOWN for unit in units) else None


def _numbers(texts: Iterable[str], decimal: Decimal) -> dict[str, float]:
    pairs = ((text, to_number(text, decimal)) for text in texts)
    return {text: number for text, number in pairs if number is not None}


def _share(texts: list[str], decimal: Decimal) -> float:
    return len(_numbers(texts, decimal)) / len(texts)


def _decides(decimal: Decimal) -> re.Pattern[str]:
    return _DECIDES_COMMA if decimal == "," else _DECIDES_DOT
