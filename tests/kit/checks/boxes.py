"""What every loss of boxes owes, wherever the boxes are and whatever they look like."""

from __future__ import annotations

import math

import torch

from kit.boxes import ABSOLUTE, GEOMETRIES, Placed, outcome
from kit.tolerances import close
from taylored import catalog

SCALES = (1.0, 1e-12, 1e6, 1e18)
ANGLES = torch.linspace(0.0, 2 * math.pi, 17, dtype=torch.float64)[:-1]
LARGEST = {"giou": 2.0, "diou": 2.0, "iou": 1.0, "nwd": 1.0, "bounded_iou": 4.0}
"""The values of these are below, or at, a number."""
SAME = ("identical", "one point", "one line")
TAME = tuple(each for each in GEOMETRIES if each not in ("across", "a speck far away", "a sliver"))
"""Those that are not rounded where they are put."""


def check_finite(text: str, dtype: torch.dtype) -> None:
    """Values and gradients are finite, the values are in their range."""
    if dtype in (torch.float16, torch.bfloat16):
        case = Placed(text, scales=(1.0, 1.0), places=(0.0, 8.0))
    else:
        scales = SCALES[:-1] if catalog.spec(text).name == "mpdiou" else SCALES  # squared, it is
        case = Placed(text, scales=(*scales, 1.0, 1e6), places=(0.0,) * len(scales) + (1e6, 1e6))
    values, *gradients = case.outcome(dtype)
    if dtype is torch.float16:  # which cannot hold those of slivers
        wide = outcome(case.loss(), *(each.float() for each in case.pairs(dtype)))[1:]
        gradients = [
            torch.where(w.abs() > 6e4, 0.0, g) for g, w in zip(gradients, wide, strict=True)
        ]
    largest = LARGEST.get(catalog.spec(text).name.removesuffix("_3d"), math.inf)
    largest = math.inf if "log" in text else largest
    good = values.isfinite() & (values >= -1e-6) & (values <= largest + 1e-6)
    for gradient in gradients:
        good = good & gradient.isfinite().all(-1)
    wrong = [row for row, fine in zip(case.rows(), good.tolist(), strict=True) if not fine]
    assert wrong == [], values[~good]


def check_identical(text: str) -> None:
    """A box against itself costs the least there is, and does not move, with or without area."""
    case = Placed(text, SAME, SCALES, (0.0,) * 4)
    for dtype in (torch.float64, torch.float32):
        values, *gradients = case.outcome(dtype)
        close(values, torch.full_like(values, _least(text)), 0.0, 1e-6)
        size = case.pairs()[0][:, :4].abs().amax(-1, keepdim=True)
        for gradient in gradients:
            assert (gradient * size).abs().max() <= 1e-6, gradient


def _least(text: str) -> float:
    if not text.startswith("kfiou"):
        return 0.0
    form = catalog.get(text).form
    return {"log": math.log(3), "linear": 2 / 3, "exp": math.expm1(2 / 3)}[form]


def check_translation(text: str) -> None:
    """Moving both boxes changes nothing, so that the gradients of the two places add up to 0."""
    home = Placed(text, TAME)
    away = Placed(text, TAME, places=(2.0**20,))
    values, mine, theirs = away.outcome()
    if catalog.spec(text).takes == "boxes":  # the others turn with the place
        close(values, home.outcome()[0], 1e-8, 1e-8)
    together = mine + theirs
    size = mine.abs().sum(-1) + theirs.abs().sum(-1)
    corners = getattr(away.loss(), "format", "") == "xyxy"
    for axis in range(3 if catalog.spec(text).takes == "boxes_3d" else 2):
        moved = together[:, axis] + (together[:, axis + 2] if corners else 0.0)
        assert (moved.abs() <= 1e-12 * (1 + size)).all(), moved


def check_scale(text: str) -> None:
    """A power of two on both boxes changes nothing but the gradient, which it divides."""
    if catalog.spec(text).name in ABSOLUTE:
        return
    case = Placed(text)
    values, *gradients = case.outcome(torch.float32)
    for factor in (2.0**-40, 2.0**60):
        boxes, target = case.pairs(torch.float32)
        scales = torch.full_like(boxes, factor)
        if catalog.spec(text).takes != "boxes":
            scales[:, -1] = 1.0  # the angle
        again, *found = outcome(case.loss(), boxes * scales, target * scales)
        close(again, values, 0.0, 0.0)
        for got, expected in zip(found, gradients, strict=True):
            close(got * scales, expected, 1e-6, 0.0)


def check_rises(text: str) -> None:
    """Equal boxes cost more the further they move apart, in whichever direction."""
    steps = torch.linspace(0.0, 6.0, 61, dtype=torch.float64).unsqueeze(1)
    loss = catalog.get(text)
    loss.reduction = "none"
    for sides in ((2.0, 2.0), (3.0, 1.0), (0.5, 2.0)):
        box = torch.tensor([-sides[0] / 2, -sides[1] / 2, sides[0] / 2, sides[1] / 2]).double()
        for angle in ANGLES:
            way = torch.stack([angle.cos(), angle.sin()]).repeat(2)
            values = loss(box + steps * way, box.expand(61, 4))
            assert (values.diff() > 0).all(), (sides, float(angle), values)


def check_formats(text: str) -> None:
    """The three formats are ways to write one box."""
    call = text.rstrip(")")
    joined = call if call.endswith("(") else f"{call}, "
    found = [
        Placed(f'{joined}format="{format}")', TAME, places=(1e3,)).outcome()[0]
        for format in ("xyxy", "xywh", "cxcywh")
    ]
    close(found[1], found[0], 1e-9, 1e-9)
    close(found[2], found[0], 1e-9, 1e-9)


def check_collapsed(text: str) -> None:
    """A side of negative length is one of length 0 at its middle."""
    inverted = Placed(text, ("inverted", "inverted along an axis", "both inverted"))
    collapsed = Placed(text, ("collapsed", "collapsed along an axis", "both collapsed"))
    close(inverted.outcome()[0], collapsed.outcome()[0], 0.0, 0.0)


def check_digits(text: str) -> None:
    """Far from the origin a pair in float32 has the digits that its coordinates have."""
    far = Placed(text, ("ordinary", "inside", "apart", "edges touch"), places=(2.0**20,))
    boxes, target = far.pairs(torch.float32)
    close(far.loss()(boxes, target), far.loss()(boxes.double(), target.double()), 1e-5, 1e-5)
