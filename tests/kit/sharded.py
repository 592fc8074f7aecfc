"""Softmax losses of which every process has some classes: what is called, and how.

Found by asking: no list has to know a new loss.
"""

from __future__ import annotations

import functools
from dataclasses import dataclass
from typing import Any

import torch
from torch import Tensor, nn

from kit.cases import SHAPES, Case, build, call_of, target_kinds
from kit.catalogued import CLASSIFICATION
from kit.tolerances import ATOL, GRADIENT_ATOL, GRADIENT_RTOL, RTOL
from kit.traits import CLASSES, NEED_A_TENSOR
from references import Call
from taylored import ShardedLogits, catalog

SPLITS = {1: (5,), 2: (3, 2), 4: (2, 0, 2, 1)}
"""How many classes each process has: uneven, and one has none."""

REDUCTIONS = ("mean", "none", "sum", "batch_mean")
DTYPES = (torch.float64, torch.float32, torch.bfloat16)
FURTHER = {"weight": [0.5, 2.0, 0.0, 1.0, 3.0], "label_smoothing": 0.1}


def is_softmax(text: str) -> bool:
    return call_of(text).link() == "softmax"


SHARDED = {
    name: [text for text in spec.examples if is_softmax(text)]
    for name, spec in CLASSIFICATION.items()
    if name not in NEED_A_TENSOR and any(map(is_softmax, spec.examples))
}
"""Examples of the losses that never need all logits at once, by name."""

REFUSED = [
    name
    for name, spec in CLASSIFICATION.items()
    if name in NEED_A_TENSOR and spec.call == "plain" and is_softmax(spec.examples[0])
]


@dataclass(frozen=True)
class Sharded:
    """One call of a loss.

    Attributes:
        case: the example, its target and shape.
        call: the loss, with options of the shared vocabulary.
        dtype: of the logits.
        slices: whether a process is given the probabilities of its own classes alone.
        weighs: whether the samples have weights.
    """

    case: Case
    call: Call
    dtype: torch.dtype
    slices: bool
    weighs: bool

    @property
    def id(self) -> str:
        return f"{self.case.id} {self.call.text()} {self.dtype} {self.slices} {self.weighs}"

    def loss(self) -> nn.Module:
        return build(self.call)

    def beside(self) -> tuple[tuple[Tensor, ...], dict[str, Tensor]]:
        """What else is given, by position and by name."""
        size = self.case.shape[0]
        spec = catalog.SPECS[self.case.call.name]
        features = torch.linspace(-2, 2, 3 * size, dtype=torch.float64).reshape(size, 3)
        named = {"sample_weight": torch.linspace(0.0, 2.0, size)} if self.weighs else {}
        return (features,) if spec.call == "features" else (), named


@functools.cache
def calls_of(name: str) -> list[Sharded]:
    """Every example, with every kind of target; shapes, dtypes and reductions take turns."""
    found = []
    spec, features = catalog.SPECS[name], catalog.SPECS[name].call == "features"
    for text in SHARDED[name]:
        for kind in ("index",) if features else _kinds(text):
            for further in (False, True):
                turn = len(found) + len(name)
                case = Case(text, kind, SHAPES[0] if features else SHAPES[turn % 3])
                call = _accepted(call_of(text), {"reduction": REDUCTIONS[turn % 4]})
                call = _accepted(call, FURTHER) if further else call
                dtype = DTYPES[turn % 2 + turn % 4 // 3]
                weighs = further and spec.call == "plain"
                found.append(Sharded(case, call, dtype, bool(turn % 2), weighs))
    return found


def _kinds(text: str) -> tuple[str, ...]:
    return tuple(kind for kind in target_kinds(call_of(text)) if kind in ("index", "probabilities"))


def _accepted(call: Call, options: dict[str, Any]) -> Call:
    """The loss with those options that it takes."""
    for option, value in options.items():
        given = call.having(**{option: value})
        try:
            loss = build(given)
            if type(loss).spec.call != "features":
                loss(torch.zeros(2, CLASSES), torch.tensor([0, 1]))
            call = given
        except (ValueError, TypeError):
            continue
    return call


def slice_of(rank: int, world: int) -> tuple[int, int]:
    """First and last class of a process."""
    start = sum(SPLITS[world][:rank])
    return start, start + SPLITS[world][rank]


def result(subject: Sharded, rank: int, world: int) -> dict[str, Tensor]:
    """Value, and gradient of the logits of one process; of all of them where there is one."""
    start, end = slice_of(rank, world)
    logits = subject.case.logits(subject.dtype)
    target = subject.case.targets()
    leaf = logits[:, start:end].clone().requires_grad_()
    input: Any = leaf
    if world > 1:
        input = ShardedLogits(leaf, None, start, logits.shape[1])
        if subject.slices and target.is_floating_point():
            target = target[:, start:end]
    further, named = subject.beside()
    value = subject.loss()(input, target, *further, **named)
    direction = torch.linspace(-1.0, 2.0, value.numel(), dtype=value.dtype).reshape(value.shape)
    (value * direction if value.dim() else value).sum().backward()
    return {"value": value.detach(), "gradient": leaf.grad}


def everything(rank: int, world: int) -> dict[str, list[dict[str, Tensor]]]:
    """All calls of all losses."""
    return {name: [result(each, rank, world) for each in some(name, world)] for name in SHARDED}


def some(name: str, world: int) -> list[Sharded]:
    """Those that a group of processes runs: half of them, or a quarter where calls take longer."""
    turns = [(number + number // 2) % 4 for number in range(len(calls_of(name)))]
    mine = (1,) if world == 4 else (0, 2)
    return [each for each, turn in zip(calls_of(name), turns, strict=True) if turn in mine]


def like_one_process(name: str, ranks: list[list[dict[str, Tensor]]]) -> None:
    """The same value on every process, and together the gradient of one that has all classes."""
    for subject, *found in zip(some(name, len(ranks)), *ranks, strict=True):
        expected = result(subject, 0, 1)
        check(found, expected, subject.dtype)


def check(found: list[dict[str, Tensor]], expected: dict[str, Tensor], dtype: torch.dtype) -> None:
    """Equal but for rounding; what is no number is none everywhere."""
    for each in found:
        _alike(each["value"], expected["value"], RTOL[dtype], ATOL[dtype])
    gradient = torch.cat([each["gradient"] for each in found], dim=1)
    _alike(gradient, expected["gradient"], GRADIENT_RTOL[dtype], GRADIENT_ATOL[dtype])


def _alike(got: Tensor, expected: Tensor, rtol: float, atol: float) -> None:
    torch.testing.assert_close(got, expected, rtol=rtol, atol=atol, equal_nan=True)
