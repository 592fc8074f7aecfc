"""From a matplotlib figure to inline SVG that follows the page: its fonts, its light and dark."""

from __future__ import annotations

import logging
import re
import warnings
from collections.abc import Iterator
from contextlib import contextmanager
from io import StringIO
from typing import TYPE_CHECKING
from xml.etree import ElementTree

from taylored.analysis.palette import COLOURS, INK, MUTED, RULE

if TYPE_CHECKING:
    from matplotlib.figure import Figure

STYLE = {
    "svg.fonttype": "none",  # text stays text: searchable, small, in the reader's own fonts
    "svg.hashsalt": "taylored",  # the same figure gets the same ids, so the same bytes
    "text.parse_math": False,  # a class may be called "$x"
    "path.simplify": False,  # points are drawn as lines of length zero, which it would drop
    "font.family": ["DejaVu Sans"],
    "font.size": 11,
    "axes.edgecolor": RULE.light,
    "axes.labelcolor": MUTED.light,
    "axes.labelsize": 11,
    "axes.linewidth": 1,
    "axes.spines.top": False,
    "axes.spines.right": False,
    "axes.axisbelow": True,
    "axes.grid": True,
    "grid.color": RULE.light,
    "grid.linewidth": 0.8,
    "text.color": INK.light,
    "xtick.color": RULE.light,
    "xtick.labelcolor": MUTED.light,
    "ytick.color": RULE.light,
    "ytick.labelcolor": MUTED.light,
    "xtick.labelsize": 10.5,
    "ytick.labelsize": 10.5,
    "xtick.minor.visible": False,
    "lines.solid_capstyle": "round",
    "figure.facecolor": "none",
    "axes.facecolor": "none",
    "savefig.facecolor": "none",
}

VARIABLE = {colour.light: f"var(--{colour.variable})" for colour in COLOURS}
NUMBER = re.compile(r"-?\d+\.\d{3,}")
HEX = re.compile(r"#[0-9a-f]{6}\b")
FONT = re.compile(r"font-family:[^;]*;?")


@contextmanager
def house_style() -> Iterator[None]:
    """Our drawing style on matplotlib's own defaults, whatever the user's settings are.

    A glyph that the measuring font lacks (CJK class names) is no reason to warn: the text is set
    by the reader's browser.
    """
    from matplotlib import style

    log = logging.getLogger("matplotlib.font_manager")
    level = log.level
    with style.context(["default", STYLE]), warnings.catch_warnings():
        warnings.filterwarnings("ignore", message=".*[Gg]lyph", category=UserWarning)
        log.setLevel(logging.ERROR)
        try:
            yield
        finally:
            log.setLevel(level)


def blank(width: float, height: float) -> Figure:
    """An empty figure whose unit is a CSS pixel; it touches no global state of pyplot."""
    from matplotlib.figure import Figure

    return Figure(figsize=(width / 72, height / 72), dpi=72)


def inline(figure: Figure, name: str, label: str) -> str:
    """The figure as an ``<svg>`` element for a page.

    Args:
        figure: what to draw.
        name: unique on the page; prefixes every id.
        label: what the figure shows, for readers who do not see it.
    """
    buffer = StringIO()
    nothing = dict.fromkeys(("Creator", "Date", "Format", "Type"))
    figure.savefig(buffer, format="svg", metadata=nothing)
    # The text comes from matplotlib in this process, and names in it were made printable before.
    root = ElementTree.fromstring(buffer.getvalue())  # noqa: S314
    for parent in root.iter():
        for child in list(parent):
            if child.tag.endswith(("}metadata", "}style")):
                parent.remove(child)
    for element in root.iter():
        _localise(element, name)
    box = root.attrib["viewBox"]
    width = float(box.split()[2])
    root.attrib = {
        "id": name,
        "viewBox": box,
        "role": "img",
        "aria-label": label,
        "style": f"max-width:{width * MAGNIFY:.0f}px",
    }
    return ElementTree.tostring(root, encoding="unicode")


MAGNIFY = 1.2
"""A figure may grow by this factor on a wide page; more would make its text shout."""


def _localise(element: ElementTree.Element, name: str) -> None:
    element.tag = element.tag.rpartition("}")[2]
    attributes = {}
    for key, value in element.attrib.items():
        local = key.rpartition("}")[2]
        if local == "id":
            value = f"{name}-{value}"
        elif local == "href":
            value = value.replace("#", f"#{name}-", 1)
        elif local == "style":
            value = HEX.sub(lambda match: VARIABLE.get(match[0], match[0]), value)
            value = FONT.sub("", value)
        value = value.replace("url(#", f"url(#{name}-")
        if local in {"d", "x", "y", "transform", "width", "height", "points"}:
            value = NUMBER.sub(lambda match: f"{float(match[0]):.2f}", value)
        attributes[local] = value
    element.attrib = attributes
    element.tail = None
    if element.tag != "text" and element.tag != "tspan":
        element.text = None
