"""What the generated suites run on: every example of every SPEC, with targets, shapes and paths."""

from __future__ import annotations

import contextlib
import functools
import zlib
from collections.abc import Callable, Iterator
from dataclasses import dataclass

import torch
from hypothesis import HealthCheck, settings
from torch import Tensor, nn

from kit.catalogued import CLASSIFICATION
from kit.traits import CLASSES, COUNTS, SCORED, STATEFUL, per_class
from kit.turns import WHOLE_GRID
from references import Call, reference_loss
from references.formulas import Parameters
from taylored import catalog
from taylored.core.state.counting import Counting

# Accumulated gradients that losses with state are given: head to tail, the last class unseen.
STATE = {"positive": (9.0, 4.0, 1.5, 0.2, 0.0), "negative": (9.5, 6.0, 4.0, 2.0, 0.5)}
# Sums of scores and numbers of samples, the last class unseen.
SCORES = {"total": (8.1, 3.0, 1.2, 0.1, 0.0), "number": (9.0, 5.0, 3.0, 1.0, 0.0)}
# Seven rows, so that the classes cannot all occur equally often.
SHAPES = ((7, CLASSES), (3, CLASSES, 4), (2, CLASSES, 2, 3))
IGNORED = -100

# A repeatable handful of examples; a failure found elsewhere belongs into an @example.
quickly = settings(
    max_examples=40,
    deadline=None,
    derandomize=True,
    suppress_health_check=[HealthCheck.too_slow, HealthCheck.function_scoped_fixture],
)


@contextlib.contextmanager
def default_dtype(dtype: torch.dtype) -> Iterator[None]:
    before = torch.get_default_dtype()
    torch.set_default_dtype(dtype)
    try:
        yield
    finally:
        torch.set_default_dtype(before)


GENERATED = {name: spec for name, spec in CLASSIFICATION.items() if spec.call == "plain"}
"""Losses that the suites call, with logits and targets; the others have suites of their own."""

OF_A_BATCH = {name: spec for name, spec in CLASSIFICATION.items() if spec.call == "batch"}
"""Losses whose value belongs to the whole batch: `test_batch_calls.py` calls them."""


def examples() -> list[str]:
    return [text for spec in GENERATED.values() for text in spec.examples]


def call_of(text: str) -> Call:
    """The call, told about the data if it needs it, and with the state that it is to be in."""
    return _informed(Call.of(text))


def _informed(call: Call) -> Call:
    spec, arguments = catalog.SPECS[call.name], dict(call.arguments)
    if "counts" in spec.needs:
        arguments.setdefault("counts", list(COUNTS))
    if "num_classes" in spec.needs:
        arguments.setdefault("num_classes", CLASSES)
    known = STATE if call.name in STATEFUL else SCORES if call.name in SCORED else {}
    state = {k: list(v) for k, v in known.items()}
    inner = None if call.inner is None else _informed(call.inner)
    return Call(call.name, inner, arguments, state)


@functools.cache
def differentiated(text: str) -> bool:
    """Whether the gradient is the derivative of the value, which numerical derivatives need.

    The reference knows: some losses hold a factor constant that they compute from the logits.
    """
    call = call_of(text)
    case = Case(text, target_kinds(call)[0], (3, CLASSES))
    logits, target = case.logits().requires_grad_(), case.targets()
    direction = torch.linspace(-1, 1, logits.numel(), dtype=torch.float64).reshape(logits.shape)
    value = reference_loss(call, logits, target)
    (gradient,) = torch.autograd.grad(value.sum(), logits)
    step = 1e-6 * direction
    with torch.no_grad():
        ahead, behind = (reference_loss(call, logits + s, target).sum() for s in (step, -step))
    expected = (ahead - behind) / 2e-6
    return torch.allclose((gradient * direction).sum(), expected, rtol=1e-5, atol=1e-8)


def resized(call: Call, classes: int) -> Call:
    """The same loss with its per-class lists cut to a number of classes."""
    arguments = _per_class(call, lambda values: values[:classes])
    if "num_classes" in arguments:
        arguments["num_classes"] = classes
    inner = None if call.inner is None else resized(call.inner, classes)
    return Call(call.name, inner, arguments, {k: v[:classes] for k, v in call.state.items()})


def permuted(call: Call, order: list[int]) -> Call:
    """The same loss with its per-class lists reordered."""
    arguments = _per_class(call, lambda values: [values[i] for i in order])
    inner = None if call.inner is None else permuted(call.inner, order)
    state = {name: [values[i] for i in order] for name, values in call.state.items()}
    return Call(call.name, inner, arguments, state)


def _per_class(call: Call, change: Callable[[list[float]], list[float]]) -> Parameters:
    names = per_class(call.name)
    return {
        name: change(value) if name in names and isinstance(value, list) else value
        for name, value in call.arguments.items()
    }


def build(call: Call) -> nn.Module:
    """The module, its per-class numbers kept in float64; in its state, and staying there."""
    with default_dtype(torch.float64):
        loss = catalog.get(call.text())
    found = [part for part in loss.modules() if isinstance(part, Counting)]
    for indicator, state in zip(found, _states(call), strict=True):
        indicator.load(**state)
        indicator.freeze()
    return loss


def _states(call: Call) -> list[dict[str, list[float]]]:
    """Of the loss and of what it wraps, where they have one."""
    inner = [] if call.inner is None else _states(call.inner)
    return [call.state, *inner] if call.state else inner


def target_kinds(call: Call) -> tuple[str, ...]:
    """What SPEC promises for the link of this call; probabilities of a sigmoid are "soft"."""
    return _target_kinds(call.text())


@functools.cache
def _target_kinds(text: str) -> tuple[str, ...]:
    call = call_of(text)
    promised = catalog.SPECS[call.name].targets
    if call.link() == "softmax":
        kinds = tuple(kind for kind in promised if kind != "multi-hot")
    else:
        soft = {"probabilities": "soft"}
        named = {soft.get(kind, kind) for kind in promised}
        kinds = tuple(kind for kind in ("index", "multi-hot", "soft") if kind in named)
    if call.inner is None:
        return kinds
    return tuple(kind for kind in kinds if _takes(call, kind))


def _takes(call: Call, kind: str) -> bool:
    """Whether a wrapper takes targets of a kind: it may depend on the wrapped loss."""
    case = Case(call.text(), kind, SHAPES[0])
    try:
        build(call)(case.logits(), case.targets())
    except ValueError:
        return False
    return True


@dataclass(frozen=True)
class Case:
    """One example of a SPEC with one kind of target and one shape."""

    text: str
    target: str
    shape: tuple[int, ...]

    @property
    def id(self) -> str:
        return f"{self.text}-{self.target}-{'x'.join(map(str, self.shape))}".replace(" ", "")

    @property
    def call(self) -> Call:
        return call_of(self.text)

    def generator(self) -> torch.Generator:
        return torch.Generator().manual_seed(zlib.crc32(self.id.encode()))

    def logits(self, dtype: torch.dtype = torch.float64) -> Tensor:
        drawn = torch.randn(self.shape, generator=self.generator(), dtype=torch.float64)
        # Where cosines are meant, most are between -1 and 1; the loss has a value beyond, too.
        spread = 0.6 if catalog.SPECS[self.call.innermost().name].head == "cosine" else 2
        return (spread * drawn).to(dtype)

    def targets(self, *, ignored: bool = True) -> Tensor:
        """Drawn targets; where they may be ignored, some positions or elements are."""
        generator = self.generator()
        positions = self.shape[:1] + self.shape[2:]
        if self.target == "index":
            y = torch.randint(self.shape[1], positions, generator=generator)
            few = y.view(-1)[:5]
            few.copy_(torch.arange(len(few)) % self.shape[1])  # every class occurs if it can
            if ignored:
                y.view(-1)[1] = IGNORED
            return y
        if self.target == "probabilities":
            drawn = torch.rand(self.shape, generator=generator, dtype=torch.float64)
            return drawn / drawn.sum(dim=1, keepdim=True)
        if self.target == "multi-hot":
            y = (torch.rand(self.shape, generator=generator) < 0.4).long()
        else:
            y = torch.rand(self.shape, generator=generator, dtype=torch.float64)
        if ignored:
            y.view(-1)[::4] = IGNORED
        return y


def cases(shapes: tuple[tuple[int, ...], ...] = SHAPES) -> list[Case]:
    """Every example with every kind of target, in one of the shapes by turns, or in all of them.

    Shapes are the engine's affair and not the loss's: each one meets a share of all losses.
    """
    return [
        Case(text, kind, shape)
        for turn, (text, kind) in enumerate(_with_targets())
        for shape in (shapes if WHOLE_GRID else shapes[turn % len(shapes) :][:1])
    ]


@functools.cache
def _with_targets() -> tuple[tuple[str, str], ...]:
    return tuple((text, kind) for text in examples() for kind in target_kinds(call_of(text)))


def identified(found: list[Case]) -> dict[str, object]:
    """Arguments of `parametrize` for a list of cases."""
    return {"argnames": "case", "argvalues": found, "ids": [case.id for case in found]}
