"""The loader of each built-in data set, by name."""

from collections.abc import Callable

from taylored.lab.data.assemble import RawData
from taylored.lab.data.builtin import digits, kanjivg, kanjivg_components

Report = Callable[[str], None]

LOADERS: dict[str, Callable[[Report], RawData]] = {
    kanjivg.NAME: kanjivg.load_strokes,
    kanjivg_components.NAME: kanjivg_components.load_components,
    digits.NAME: lambda _report: digits.load_digits_lt(),
}


def builtin_names() -> tuple[str, ...]:
    """The names that `load` accepts in place of a file, the default first.

    >>> builtin_names()
    ('kanjivg-strokes', 'kanjivg-components', 'digits-lt')
    """
    return tuple(LOADERS)
