"""The form of a text table: separator, header, row names, where the rows begin."""

import csv
import re
from collections import Counter
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from io import StringIO
from itertools import islice
from typing import Final

from taylored.lab.data.reading import Reading

WORDS: Final = {",": "commas", ";": "semicolons", "\t": "tabs", "|": "bars", " ": "blanks"}
_SAMPLE = 200  # records that are looked at
_EXCEL_LINE = re.compile(r"\A\ufeff?sep=(.)\r?\n", re.IGNORECASE)
_COMMENTS = re.compile(r"\A(?:#[^,;\t|\r\n]*(?:\r\n|\r|\n))+")
"""Lines at the top that explain; a header may begin with # too, but it has separators."""
_ATTRIBUTE = re.compile(r"""@attribute\s+('[^']*'|"[^"]*"|[^\s{]+)""", re.IGNORECASE)


@dataclass(frozen=True)
class Dialect:
    """How to cut a text into rows and columns.

    `columns` are the names in the file; `row_names` says that the rows have one field more than the
    header, as R writes them; `body` is the text after the header.
    """

    separator: str
    columns: tuple[str, ...]
    row_names: bool
    body: str


def find_dialect(text: str, reading: Reading, target: str | None, ending: str) -> Dialect:
    """The separator under which header and rows fit together best."""
    attributes, text = _without_declarations(text)
    asked = reading.separator
    excel = _EXCEL_LINE.match(text)
    if excel:
        text = text[excel.end() :]
        asked = asked or excel.group(1)
    text = _COMMENTS.sub("", text.lstrip("\ufeff\r\n"))
    candidates = [asked] if asked else list(WORDS)
    if asked is None and ending in (".tsv", ".tab"):
        candidates = ["\t", *(sign for sign in candidates if sign != "\t")]
    heads = {sign: _records(text, sign) for sign in candidates}
    separator = max(candidates, key=lambda sign: _fit(heads[sign], target, reading))
    records = heads[separator]
    rows = records if attributes or reading.header == "none" else records[1:]
    width = _usual(rows)
    if attributes:
        return Dialect(separator, attributes, False, text)
    if reading.header == "none":
        names = tuple(str(number + 1) for number in range(width or 1))
        return Dialect(separator, names, False, text)
    header = tuple(name.strip() for name in records[0]) if records else ()
    longer = width == len(header) + 1
    if longer and not any(row[-1].strip() for row in rows if len(row) == width):
        header, longer = (*header, ""), False  # a separator at the end of every row
    return Dialect(separator, header, longer, _after_header(text, separator))


def first_line_hint(names: Sequence[str]) -> str:
    """Names that are numbers are a first row: the file has no header."""
    numbers = sum(name.replace(".", "", 1).lstrip("-").isdigit() for name in names)
    if numbers * 2 <= len(names) or list(names) == [str(n + 1) for n in range(len(names))]:
        return ""
    return (
        " The first line looks like data: with header='none' the columns are called 1, 2, ... "
        f"{len(names)}"
    )


def short_rows(dialect: Dialect) -> int:
    """How many rows have fewer cells than there are columns."""
    width = len(dialect.columns) + dialect.row_names
    if len(dialect.separator) > 1:
        return 0
    lines = StringIO(dialect.body, newline="")
    cut = (line.strip(" ") if dialect.separator == " " else line for line in lines)
    reader = csv.reader(cut, delimiter=dialect.separator, skipinitialspace=True)
    return sum(0 < len(record) < width for record in reader)


def _records(text: str, separator: str) -> list[list[str]]:
    """The first records as lists of fields; nothing where the csv module cannot cut them."""
    if len(separator) > 1:
        lines = islice(StringIO(text), _SAMPLE)
        return [line.rstrip("\r\n").split(separator) for line in lines if line.strip()]
    source = islice(StringIO(text, newline=""), 50 * _SAMPLE)
    cut = (line.strip(" ") if separator == " " else line for line in source)
    try:
        reader = csv.reader(cut, delimiter=separator, skipinitialspace=True)
        return [record for record in islice(reader, _SAMPLE) if record]
    except csv.Error:
        return []


def _fit(
    records: Sequence[Sequence[str]], target: str | None, reading: Reading
) -> tuple[bool, bool, float, int]:
    """How well the records look like a table: larger is better."""
    rows = records[1:] if reading.header == "first line" else records
    width = _usual(rows)
    if not rows or width < 2:
        return False, False, 0.0, 0
    header = [name.strip() for name in records[0]]
    agrees = reading.header == "none" or len(header) in (width, width - 1)
    named = target is not None and target in header
    share = sum(len(row) == width for row in rows) / len(rows)
    return agrees, named, round(share, 2), width


def _usual(rows: Sequence[Sequence[str]]) -> int:
    counts = Counter(map(len, rows))
    return counts.most_common(1)[0][0] if counts else 0


def _after_header(text: str, separator: str) -> str:
    """The text after the first record, which may hold line breaks inside quotes."""
    if len(separator) > 1:
        return text.partition("\n")[2]
    stream = StringIO(text, newline="")
    used = 0

    def lines() -> Iterator[str]:
        nonlocal used
        for line in stream:
            used += len(line)
            yield line

    try:
        next(csv.reader(lines(), delimiter=separator, skipinitialspace=True), None)
    except csv.Error:
        return text.partition("\n")[2]
    return text[used:]


def _without_declarations(text: str) -> tuple[tuple[str, ...], str]:
    """Column names and rows of the ARFF and KEEL formats; no names for any other text."""
    if not text.lstrip("\ufeff \r\n").startswith(("@", "%")):
        return (), text
    start = re.search(r"^[ \t]*@data[^\n]*\n", text, re.IGNORECASE | re.MULTILINE)
    if start is None:
        return (), text
    names = tuple(name.strip("'\"") for name in _ATTRIBUTE.findall(text[: start.start()]))
    rows = text[start.end() :]
    return names, "".join(
        line for line in rows.splitlines(keepends=True) if not line.lstrip().startswith("%")
    )
