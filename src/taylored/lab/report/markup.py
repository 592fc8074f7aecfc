"""From texts and files of the package to markup that a page may hold."""

import base64
import hashlib
import re
from collections.abc import Sequence
from pathlib import Path
from typing import Final

from jinja2 import ChoiceLoader, Environment, PackageLoader, StrictUndefined
from markupsafe import Markup, escape

from taylored.analysis.palette import COLOURS
from taylored.lab.wording import plural, printable

_TEMPLATES = Path(__file__).parent / "templates"


ROOM: Final = "taylored.lab.report"
"""The package whose templates every page may use."""


def environment(names: Sequence[str], room: str = ROOM) -> Environment:
    """The templates of a room, and those of this one, with their filters.

    Args:
        names: those of losses, set as code in sentences.
        room: the package with a folder `templates` that is searched first.
    """
    made = Environment(
        loader=ChoiceLoader([PackageLoader(each, "templates") for each in (room, ROOM)]),
        autoescape=True,
        undefined=StrictUndefined,
        finalize=_made_printable,
        trim_blocks=True,
        lstrip_blocks=True,
    )
    longest_first = sorted(set(names), key=len, reverse=True)
    made.filters["sentence"] = lambda text: _mark_names(text, longest_first)
    made.filters["breakable"] = _breakable
    made.globals["plural"] = plural
    return made


def style() -> Markup:
    """The style sheet with the colours of both schemes."""
    light = "".join(f"--{c.variable}:{c.light};" for c in COLOURS)
    dark = "".join(f"--{c.variable}:{c.dark};" for c in COLOURS)
    css = (_TEMPLATES / "style.css").read_text(encoding="utf-8")
    text = css.replace("/* light colours */", light).replace("/* dark colours */", dark)
    return Markup(text)  # noqa: S704 - a file of this package


def script() -> Markup:
    """The script of the page, which works without it: sorting, copying, saving figures."""
    text = (_TEMPLATES / "page.js").read_text(encoding="utf-8")
    return Markup(text)  # noqa: S704 - a file of this package


def script_hash() -> str:
    """What the page's policy has to name so that this script runs and no other."""
    digest = hashlib.sha256(str(script()).encode()).digest()
    return f"sha256-{base64.b64encode(digest).decode()}"


def svg(text: str) -> Markup:
    """A figure as it was drawn."""
    return Markup(text)  # noqa: S704 - serialised by ElementTree, which escapes text and attributes


def source(text: str | None) -> Markup | None:
    """Source text, whose line breaks stay."""
    if text is None:
        return None
    return Markup("\n").join(escape(printable(line)) for line in text.split("\n"))


def _made_printable(value: object) -> object:
    return printable(value) if isinstance(value, str) and not isinstance(value, Markup) else value


def _mark_names(text: str, names: Sequence[str]) -> Markup:
    """A sentence with the names of losses set as code."""
    known = [str(escape(name)) for name in names]
    pattern = "|".join(re.escape(name) for name in known) or "(?!)"
    pieces = re.split(rf"(?<![\w-])({pattern})(?![\w-])", str(escape(printable(text))))
    # Odd pieces are the names, which stay as they are: a hyphen in them is no minus sign.
    marked = (
        f"<code>{piece}</code>" if index % 2 else _typographic(piece)
        for index, piece in enumerate(pieces)
    )
    return Markup("".join(marked))  # noqa: S704 - escaped above; only the code tags are ours


def _typographic(text: str) -> str:
    text = re.sub(r"(?<!\w)-(?=\d)", "\N{MINUS SIGN}", text)
    return re.sub(r"(?<=\d) (?=%)", "\N{NO-BREAK SPACE}", text)


def _breakable(name: str) -> Markup:
    """A name that may be broken after its first bracket and its commas, where it reads well."""
    safe = str(escape(printable(name))).replace("(", "(<wbr>", 1).replace(",", ",<wbr>")
    return Markup(safe)  # noqa: S704 - escaped above
