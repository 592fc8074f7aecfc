"""The result of `explain`: everything about each loss, as data, pictures and a page."""

from __future__ import annotations

import json
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

from taylored.explain.on_data import OnData
from taylored.explain.optimum import Optimum
from taylored.explain.parameters import Effect, Knob
from taylored.explain.polynomials import Polynomials
from taylored.explain.regions import Regions
from taylored.explain.subject import Subject
from taylored.explain.views import View

if TYPE_CHECKING:
    import numpy as np
    from matplotlib.axes import Axes
    from matplotlib.figure import Figure


@dataclass(frozen=True, eq=False)
class LossView:
    """One loss, explained.

    Args:
        subject: the loss as it was looked at.
        summary: what it is, in one line; empty for a function of the user's.
        views: its curves: one, or two where positives and negatives (or classes) differ.
        regions: easy and hard, for each view.
        effects: what each of its parameters does.
        knobs: the parameters that have a range.
        polynomials: its power series; None where it has none.
        optimum: what its p means, by side of the label.
        certificate: what is proved about it, in short; empty where nothing is.
        notes: what to know about the way it is shown.
        data: what it does with the outputs of a model; None where none were given.

    """

    subject: Subject
    summary: str
    views: tuple[View, ...]
    regions: tuple[Regions, ...]
    effects: tuple[Effect, ...]
    knobs: tuple[Knob, ...]
    polynomials: Polynomials | None
    optimum: dict[str, Optimum]
    certificate: tuple[str, ...]
    notes: tuple[str, ...]
    data: OnData | None

    @property
    def name(self) -> str:
        """What the loss is shown by."""
        return self.subject.name

    def series_pairs(self) -> list[tuple[float, float]]:
        """Exponent and coefficient of the lowest powers; none without a series."""
        found = self.polynomials
        return [] if found is None else list(zip(found.exponents, found.coefficients, strict=True))

    def to_dict(self) -> dict[str, Any]:
        """Plain dictionaries, lists, numbers and strings."""
        return {
            "name": self.name,
            "summary": self.summary,
            "link": self.subject.link,
            "views": [view.to_dict() for view in self.views],
            "regions": {
                view.side: each.to_dict()
                for view, each in zip(self.views, self.regions, strict=True)
            },
            "parameters": [effect.to_dict() for effect in self.effects],
            "series": None if self.polynomials is None else self.polynomials.to_dict(),
            "optimum": {side: each.to_dict() for side, each in self.optimum.items()},
            "certificate": list(self.certificate),
            "notes": list(self.notes),
            "data": None if self.data is None else self.data.to_dict(),
        }


@dataclass(frozen=True, eq=False)
class Explanation:
    """One or several losses, explained and laid over each other.

    Args:
        losses: each of them, in the order in which they were asked about.

    """

    losses: tuple[LossView, ...]

    def __getitem__(self, name: str) -> LossView:
        for each in self.losses:
            if each.name == name:
                return each
        known = ", ".join(repr(each.name) for each in self.losses)
        raise KeyError(f"no loss is called {name!r}. Fix: use one of {known}")

    def to_dict(self) -> dict[str, Any]:
        """Plain dictionaries, lists, numbers and strings."""
        return {"losses": [each.to_dict() for each in self.losses]}

    def to_json(self) -> str:
        """The same as text; what is no number, such as an infinite gain, is null."""
        return json.dumps(self.to_dict(), allow_nan=False)

    def to_html(self) -> str:
        """One interactive page without anything outside of it; sliders move the parameters."""
        from taylored.explain.page import render

        return render(self)

    def draw(self) -> tuple[Figure, np.ndarray[Any, Any]]:
        """Loss, gradient and gain, against p_t and against the margin, all losses on one axis."""
        from taylored.explain.drawing import overlaid

        return overlaid(self.losses)

    def draw_parameter(self, label: str, axes: Axes | None = None) -> tuple[Figure, Axes]:
        """The gain at values over the range of one parameter of the first loss that has it."""
        from taylored.explain.drawing import family

        return family(self.losses, label, axes)
