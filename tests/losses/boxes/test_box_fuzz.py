"""Random boxes of every kind: degenerate, on a grid, of any scale, dtype and shape, with weights.

`TAYLORED_FUZZ=10000 pytest tests/losses/boxes/test_box_fuzz.py` draws more of them.
"""

from __future__ import annotations

import math
import os

import hypothesis.strategies as st
import pytest
import torch
from hypothesis import HealthCheck, Phase, given, settings
from torch import Tensor

from kit.boxes import ABSOLUTE, BOX_LOSSES
from kit.parameters import fields_of, inside
from kit.tolerances import close
from references import REFERENCES, Call
from taylored import catalog

DTYPES = (torch.float64, torch.float32, torch.float32, torch.bfloat16, torch.float16)
SHAPES = ((), (1,), (7,), (2, 3), (0,), (3, 1, 2))
KINDS = ("boxes", "rotated_boxes", "boxes_3d")

drawn_often = settings(
    max_examples=int(os.environ.get("TAYLORED_FUZZ", "200")),
    deadline=None,
    derandomize="TAYLORED_FUZZ" not in os.environ,
    suppress_health_check=list(HealthCheck),
    phases=[Phase.explicit, Phase.generate],
)


def calls_of(kind: str) -> st.SearchStrategy[Call]:
    """Losses of a kind, with parameters and a format inside their domains."""

    @st.composite
    def one(draw: st.DrawFn) -> Call:
        names = [name for name, spec in BOX_LOSSES.items() if spec.takes == kind]
        name = draw(st.sampled_from(names))
        call = Call(name, None, {})
        for keyword, field in fields_of(name).items():
            values = [value for value in inside(field) if value is not None]
            if keyword not in ("reduction", "process_group") and values and draw(st.booleans()):
                call = call.having(**{keyword: draw(st.sampled_from(values))})
        return call

    return one()


def boxes_of(
    kind: str, shape: tuple[int, ...], scale: float, dice: torch.Generator, format: str
) -> Tensor:
    """Boxes on a grid or anywhere; some have sides of length 0, or less, or are slivers."""
    axes = 3 if kind == "boxes_3d" else 2

    def draw(low: float, high: float, size: int) -> Tensor:
        anywhere = torch.rand(*shape, size, generator=dice, dtype=torch.float64)
        anywhere = low + (high - low) * anywhere
        on_grid = torch.rand(*shape, 1, generator=dice) < 0.5
        return torch.where(on_grid, (2 * anywhere).round() / 2, anywhere)

    centre, sides = draw(0.0, 3.0, axes), draw(0.1, 2.5, axes)
    luck = torch.rand(sides.shape, generator=dice)
    for below, odd in ((0.04, 1e-4 * sides), (0.08, -sides), (0.18, 0.0 * sides)):
        sides = torch.where((luck < below) & (luck >= below - 0.04), odd, sides)
    centre, sides = centre * scale, sides * scale
    if kind == "boxes":
        first = centre if format == "cxcywh" else centre - sides / 2
        return torch.cat([first, centre + sides / 2 if format == "xyxy" else sides], -1)
    return torch.cat([centre, sides, draw(-4.0, 4.0, 1)], -1)


def ordinary(boxes: Tensor, kind: str, format: str) -> Tensor:
    """Which boxes have sides of a length that a formula of the papers can divide by."""
    axes = 3 if kind == "boxes_3d" else 2
    sides = boxes[..., axes : 2 * axes]
    if format == "xyxy":
        sides = sides - boxes[..., :axes]
    return (sides > 1e-3 * boxes.abs().amax(-1, keepdim=True)).all(-1)


def gradients(values: Tensor, *given: Tensor) -> list[Tensor]:
    weights = torch.linspace(0.5, 2.0, values.numel(), dtype=values.dtype).reshape(values.shape)
    return list(torch.autograd.grad(values, given, weights))


@pytest.mark.parametrize("kind", KINDS)
def test_boxes_as_they_come(kind: str) -> None:
    @drawn_often
    @given(
        calls_of(kind),
        st.sampled_from(SHAPES),
        st.sampled_from(DTYPES),
        st.integers(-12, 18),
        st.integers(0, 2**32),
    )
    def run_one(
        call: Call, shape: tuple[int, ...], dtype: torch.dtype, exponent: int, seed: int
    ) -> None:
        half = dtype in (torch.float16, torch.bfloat16)
        absolute = call.name in ABSOLUTE
        scale = 1.0 if half or absolute else 10.0**exponent
        format = str(call.option("format", "xyxy" if kind == "boxes" else "centre"))
        dice = torch.Generator().manual_seed(seed)
        boxes, target = (
            boxes_of(kind, shape, scale, dice, format).to(dtype).requires_grad_() for _ in range(2)
        )
        loss = catalog.get(call.having(reduction="none").text()).eval()
        values = loss(boxes, target)
        assert values.shape == shape
        assert values.isfinite().all()
        assert (values >= -1e-5).all()
        mine, theirs = gradients(values, boxes, target)

        # Against the same boxes in float64.
        wide_boxes, wide_target = (
            each.detach().double().requires_grad_() for each in (boxes, target)
        )
        wide = loss(wide_boxes, wide_target)
        wide_gradients = gradients(wide, wide_boxes, wide_target)
        for got, expected in zip((mine, theirs), wide_gradients, strict=True):
            large = expected.abs() > torch.finfo(dtype).max / 2
            assert (got.isfinite() | large).all()
        # And against the reference, where its formula has no 0 / 0.
        fair = ordinary(wide_boxes.detach(), kind, format)
        fair = fair & ordinary(wide_target.detach(), kind, format)
        # Boxes without area make most of them jump; some have a step, or divide by a small IoU.
        if not ({"alpha_above", "floor"} & call.arguments.keys() or call.option("form") == "log"):
            close(values[fair], wide[fair], 1e-3, 1e-4)
        apart = (wide_boxes - wide_target).detach().abs().amax(-1) > 0
        rows = (fair & apart).reshape(-1)
        flat = [
            each.detach().reshape(-1, each.shape[-1])[rows] for each in (wide_boxes, wide_target)
        ]
        step = abs(float(call.option("alpha_above", 0.0) or 0.0)) > 0
        if len(flat[0]) and not step and not centred(*flat, kind, format):
            close(
                wide.detach().reshape(-1)[rows],
                REFERENCES[call.name](*flat, call.arguments),
                1e-7,
                1e-8,
            )

        check_reductions(call, boxes.detach(), target.detach(), values.detach())
        if dtype is torch.float64:
            check_place(call.name, kind, format, mine + theirs, mine.abs() + theirs.abs())

    run_one()


def centred(boxes: Tensor, target: Tensor, kind: str, format: str) -> bool:
    """Whether some pair has one centre, where SIoU's angle is 0 / 0."""
    if kind != "boxes":
        return False
    offset = boxes - target
    middle = offset[:, :2] + (offset[:, 2:] if format == "xyxy" else 0.0)
    if format == "xywh":
        middle = offset[:, :2] + offset[:, 2:] / 2
    return bool((middle == 0).all(-1).any())


def check_reductions(call: Call, boxes: Tensor, target: Tensor, values: Tensor) -> None:
    """Weights stand in the numerator, what has weight 0 may hold anything, and nothing gives 0."""
    weight = torch.arange(values.numel()).reshape(values.shape).remainder(3).to(values)
    spoilt = torch.where((weight == 0).unsqueeze(-1), math.nan, boxes)
    for reduction, count in (("mean", values.numel()), ("sum", 1)):
        loss = catalog.get(call.having(reduction=reduction).text()).eval()
        close(loss(boxes, target), values.sum() / max(count, 1), 1e-5, 1e-6)
        expected = (values * weight).sum() / max(count, 1)
        close(loss(spoilt, target, sample_weight=weight), expected, 1e-5, 1e-6)


def check_place(name: str, kind: str, format: str, together: Tensor, size: Tensor) -> None:
    """No gradient moves both boxes of a pair together."""
    axes = 3 if kind == "boxes_3d" else 2
    moved = together[..., :axes]
    if format == "xyxy":
        moved = moved + together[..., axes:]
    assert (moved.abs() <= 1e-9 * size.sum(-1, keepdim=True)).all()
