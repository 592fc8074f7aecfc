"""The interactive page: one file without anything outside of it.

The script interpolates between curves that the library has sampled, and knows no loss. Names reach
it as JSON and the page as text, so that none of them can be markup.
"""

from __future__ import annotations

import base64
import hashlib
import json
from pathlib import Path
from typing import TYPE_CHECKING, Final

from jinja2 import Environment, PackageLoader, StrictUndefined
from markupsafe import Markup

from taylored.analysis.palette import COLOURS, INK, SERIES
from taylored.explain.sampled import SLIDERS, payload, sampled

if TYPE_CHECKING:
    from taylored.explain.explanation import Explanation

SIZE_LIMIT: Final = 2_000_000
"""Most bytes a page may have."""
_TEMPLATES = Path(__file__).parent / "templates"


def render(explanation: Explanation) -> str:
    """The page of an explanation; the same losses and versions give the same bytes."""
    losses = explanation.losses
    script = (_TEMPLATES / "explain.js").read_text(encoding="utf-8")
    data = {
        "losses": [payload(loss, sampled(loss, len(losses))) for loss in losses],
        "colours": [c.variable for c in (*SERIES, INK)],
    }
    environment = Environment(
        loader=PackageLoader("taylored.explain", "templates"),
        autoescape=True,
        undefined=StrictUndefined,
        trim_blocks=True,
        lstrip_blocks=True,
    )
    return environment.get_template("explain.html.j2").render(
        losses=losses,
        names=", ".join(loss.name for loss in losses),
        colours=data["colours"],
        sliders=SLIDERS,
        style=_style(),
        script=Markup(script),  # noqa: S704 - a file of this package
        script_hash=_hash(script),
        data=_embedded(data),
    )


def _style() -> Markup:
    css = (_TEMPLATES / "explain.css").read_text(encoding="utf-8")
    for scheme in ("light", "dark"):
        colours = "".join(f"--{c.variable}:{getattr(c, scheme)};" for c in COLOURS)
        css = css.replace(f"/* {scheme} colours */", colours)
    return Markup(css)  # noqa: S704 - a file of this package


def _hash(script: str) -> str:
    """What the policy of the page has to name so that this script runs and no other."""
    return f"sha256-{base64.b64encode(hashlib.sha256(script.encode()).digest()).decode()}"


def _embedded(data: object) -> Markup:
    """JSON that no HTML parser can leave: ``<``, ``>`` and ``&`` are written as escapes."""
    text = json.dumps(data, separators=(",", ":"), allow_nan=False)
    for character in "<>&":
        text = text.replace(character, f"\\u{ord(character):04x}")
    return Markup(text)  # noqa: S704 - escaped for a script element just above
