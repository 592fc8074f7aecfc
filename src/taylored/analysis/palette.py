"""Colours of the figures: one per loss, the same in every figure, also for colour-blind readers.

The hues are those of M. Okabe and K. Ito, Color Universal Design, 2008, without black and yellow,
the lightness moved until every line has a contrast of at least 3 to 1 with the page. A figure is
drawn once, in the light colours; on the page each of them becomes a CSS variable, so the same
figure follows a dark page.
"""

from dataclasses import dataclass


@dataclass(frozen=True)
class Colour:
    """A colour by role: the CSS variable and its value on a light and on a dark page."""

    variable: str
    light: str
    dark: str


PAGE = Colour("page", "#ffffff", "#12161b")
INK = Colour("ink", "#1b2026", "#e6e9ed")
MUTED = Colour("muted", "#5b6672", "#9ba6b2")
RULE = Colour("rule", "#e2e6eb", "#2b323b")
BAND = Colour("band", "#eef1f4", "#1d232b")
NOISE = Colour("noise", "#8a94a0", "#7b8794")

SERIES = (
    Colour("series-1", "#0072b2", "#4ea6e6"),
    Colour("series-2", "#d55e00", "#f0803c"),
    Colour("series-3", "#00885f", "#2fc296"),
    Colour("series-4", "#b8568f", "#df8fbb"),
    Colour("series-5", "#b97a00", "#e9a820"),
    Colour("series-6", "#2f93cf", "#9ad5f8"),
    Colour("series-7", "#7a6a00", "#d9cc45"),
)
COLOURS = (PAGE, INK, MUTED, RULE, BAND, NOISE, *SERIES)
