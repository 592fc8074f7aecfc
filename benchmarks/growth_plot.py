"""Pictures and table of the figures of growth.py."""

from __future__ import annotations

import io
import math
from collections.abc import Sequence
from pathlib import Path
from typing import Any, Literal

import matplotlib as mpl
from curves import FLOOR, floor_bytes
from PIL import Image
from tables import table

mpl.use("Agg")
from matplotlib import pyplot as plt
from matplotlib.axes import Axes
from matplotlib.ticker import FuncFormatter, LogLocator, NullFormatter

# Okabe and Ito's colours: told apart with any colour vision, and by lightness in grey.
BLUE, SKY, ORANGE, RED = "#0072B2", "#56B4E9", "#E69F00", "#D55E00"
INK, PALE, FLOOR_GREY = "#333333", "#EDEDED", "#E2E2E2"
STYLE = {
    ("native", "ours"): (BLUE, "-", "o"),
    ("blocked", "ours"): (SKY, "-", "s"),
    ("LinearLogits", "ours"): (BLUE, "-", "o"),
    ("torch cross-entropy", "eager"): (ORANGE, "-", "^"),
    ("torch cross-entropy", "compiled"): (ORANGE, "--", "v"),
    ("timm", "eager"): (RED, "-", "D"),
    ("torchvision", "eager"): (RED, "-", "D"),
    ("torchvision", "compiled"): (RED, "--", "d"),
    ("linear, cross-entropy", "eager"): (ORANGE, "-", "^"),
    ("torch in chunks", "eager"): (RED, "-", "D"),
}
TITLES = {
    "softmax Poly-1": "softmax, Poly-1",
    "sigmoid focal": "sigmoid, focal",
    "linear head": "linear head of width 128, cross-entropy",
}
SHORT = {"torch cross-entropy": "torch CE", "linear, cross-entropy": "linear + CE"}
WORDS = {
    "milliseconds": "Time of a training step of the loss",
    "bytes": "Extra peak memory of a training step of the loss",
}
GAP = 0.058
"""Least distance of two labels, as a part of the height of a panel."""

What = Literal["milliseconds", "bytes"]
Record = dict[str, Any]
End = tuple[float, str, str, Literal["bold", "normal"]]


def draw(records: Sequence[Record], folder: Path) -> list[Path]:
    """Time and memory, a column per family, a row per axis."""
    names: dict[What, str] = {"milliseconds": "speed-time.png", "bytes": "speed-memory.png"}
    for what, name in names.items():
        with plt.rc_context({"font.size": 9, "font.family": "DejaVu Sans"}):
            figure, grid = plt.subplots(2, 3, figsize=(13, 8))
            figure.subplots_adjust(0.055, 0.07, 0.895, 0.88, wspace=0.78, hspace=0.28)
            figure.suptitle(WORDS[what], x=0.055, y=0.965, ha="left", fontsize=13, color=INK)
            for row, axis in enumerate(("positions", "classes")):
                for column, family in enumerate(TITLES):
                    panel = [r for r in records if (r["family"], r["axis"]) == (family, axis)]
                    _panel(grid[row, column], panel, what)
            for column, title in enumerate(TITLES.values()):
                grid[0, column].set_title(title, fontsize=10.5, color=INK, loc="left", pad=10)
            _save(figure, folder / name)
            plt.close(figure)
    return [folder / name for name in names.values()]


def _save(figure: plt.Figure, path: Path) -> None:
    """With a palette, which is a third of the size."""
    buffer = io.BytesIO()
    figure.savefig(buffer, dpi=110)
    Image.open(buffer).convert("RGB").quantize(96, dither=Image.Dither.NONE).save(
        path, optimize=True
    )


def _panel(axes: Axes, records: Sequence[Record], what: What) -> None:
    if not records:
        axes.set_visible(False)
        return
    axes.set_xscale("log")
    axes.set_yscale("log")
    ends: list[End] = []
    for record in (r for r in records if r["kind"] != "floor"):
        color, line, marker = STYLE[record["who"], record["kind"]]
        x, y = _points(record, what)
        ours = record["kind"] == "ours"
        axes.plot(
            x, y, line, color=color, marker=marker, markersize=5 if ours else 3.5,
            linewidth=2.4 if ours else 1.4, zorder=4 if ours else 3,
        )  # fmt: skip
        if y:
            ends.append((y[-1], _label(record), color, "bold" if ours else "normal"))
    floor = next(r for r in records if r["kind"] == "floor")
    ends += _gradients(axes, floor, what)
    ends += _floor(axes, floor, what)
    _labels(axes, ends)
    _dress(axes, floor, what)


def _points(record: Record, what: What) -> tuple[list[int], list[float]]:
    sizes = [shape[0 if record["axis"] == "positions" else 1] for shape in record["shapes"]]
    pairs = [(x, y) for x, y in zip(sizes, record[what], strict=True) if y]
    return [x for x, _ in pairs], [y for _, y in pairs]


def _label(record: Record) -> str:
    name = SHORT.get(record["who"], record["who"])
    if record["kind"] == "ours":
        return name if name == "LinearLogits" else f"ours, {name}"
    return f"{name} compiled" if record["kind"] == "compiled" else name


def _floor(axes: Axes, record: Record, what: What) -> list[End]:
    """The area below a copy of the logits, whose memory is known exactly."""
    x, y = _points(record, what)
    if what == "bytes":
        pairs = zip(record["shapes"], record[what], strict=True)
        y = [4.0 * math.prod(shape) for shape, found in pairs if found]
    low, high = axes.get_ylim()
    axes.fill_between(x, y, low / 1e6, color=FLOOR_GREY, linewidth=0, zorder=1)
    axes.plot(x, y, ":", color="#777777", linewidth=1.2, zorder=2)
    axes.set_ylim(low / 1.3, high)
    return [(y[-1], FLOOR, "#666666", "normal")] if y else []


def _gradients(axes: Axes, record: Record, what: What) -> list[End]:
    """For a linear head, what the gradients alone take."""
    x, _ = _points(record, what)
    if record["family"] != "linear head" or what != "bytes" or not x:
        return []
    shapes = record["shapes"][-len(x) :]
    y = [float(floor_bytes("linear head", shape)) for shape in shapes]
    axes.plot(x, y, ":", color=INK, linewidth=1.2, zorder=2)
    return [(y[-1], "gradients alone", INK, "normal")]


def _labels(axes: Axes, ends: list[End]) -> None:
    """Names right of the ends of the lines, pushed apart where they would overlap."""
    low, high = (math.log(limit) for limit in axes.get_ylim())
    ends = sorted(ends)
    places = [(math.log(y) - low) / (high - low) for y, _, _, _ in ends]
    for _ in range(200):
        for i in range(len(places) - 1):
            short = GAP - (places[i + 1] - places[i])
            if short > 0:
                places[i] -= short / 2
                places[i + 1] += short / 2
        places = [min(1.0, max(0.02, place)) for place in places]
    for place, (_, label, color, weight) in zip(places, ends, strict=True):
        axes.annotate(
            label, (1.02, place), xycoords="axes fraction", va="center", color=color,
            fontsize=8.8, fontweight=weight, annotation_clip=False,
        )  # fmt: skip


def _dress(axes: Axes, record: Record, what: What) -> None:
    varied = record["axis"]
    other = record["shapes"][0][1 if varied == "positions" else 0]
    fixed = "classes" if varied == "positions" else "positions"
    axes.set_xlabel(f"{varied}, with {other:,} {fixed}", color=INK)
    axes.yaxis.set_major_formatter(FuncFormatter(_time if what == "milliseconds" else _size))
    for side in (axes.xaxis, axes.yaxis):
        side.set_major_locator(LogLocator(numticks=12))
        side.set_minor_locator(LogLocator(subs=(), numticks=12))
        side.set_minor_formatter(NullFormatter())
    axes.grid(True, which="major", color=PALE, linewidth=0.8)
    axes.set_axisbelow(True)
    axes.tick_params(colors=INK, which="both", length=2)
    axes.margins(x=0.03)
    for side in ("top", "right"):
        axes.spines[side].set_visible(False)
    for side in ("left", "bottom"):
        axes.spines[side].set_color("#AAAAAA")


def _time(milliseconds: float, _: int) -> str:
    if milliseconds >= 1_000:
        return f"{milliseconds / 1_000:g} s"
    return f"{milliseconds:g} ms" if milliseconds >= 1 else f"{milliseconds * 1_000:g} µs"


def _size(size: float, _: int) -> str:
    for unit, name in ((1e9, "GB"), (1e6, "MB"), (1e3, "kB")):
        if size >= unit:
            return f"{size / unit:g} {name}"
    return f"{size:g} B"


def exponent_table(records: Sequence[Record]) -> str:
    """Time and memory at the largest size, and how they got there."""
    header = ["family", "against", "who", "largest", "time", "exponent", "memory", "exponent"]
    rows = []
    for record in records:
        memory = record["bytes"][-1]
        rows.append(
            [
                record["family"],
                record["axis"],
                record["who"] + (", compiled" if record["kind"] == "compiled" else ""),
                " x ".join(f"{size:,}" for size in record["shapes"][-1]),
                _time(float(f"{record['milliseconds'][-1]:.3g}"), 0),
                f"{record['time exponent']:.2f}",
                "-" if memory is None else _size(float(f"{memory:.3g}"), 0),
                f"{record['memory exponent']:.2f}",
            ]
        )
    return table(header, rows, 4)
