"""What kind of loss a loss is, found by asking it: no list has to know a new loss."""

from __future__ import annotations

import math
import re
from collections.abc import Callable

import torch
from torch import Tensor, nn

from kit.catalogued import CLASSIFICATION, EMBEDDINGS, OVERLAP, VALUES
from kit.direct import drawn
from taylored import LinearLogits, catalog, donate
from taylored.core.engine import executors
from taylored.core.plan.plan import Plan
from taylored.core.state.class_scores import ClassScores
from taylored.core.state.gradient_indicator import GradientIndicator
from taylored.kernels import NATIVE
from taylored.kernels.executor import Native
from taylored.kernels.library import Library

COUNTS = (900, 250, 40, 7, 1)
CLASSES = len(COUNTS)
SAMPLES = 7


def loss_of(name: str, **options: object) -> nn.Module:
    """A loss with its own parameters as they are by default."""
    spec = catalog.SPECS[name]
    given = [f"{key}={value!r}" for key, value in options.items()]
    given = ["cross_entropy", *given] if spec.inner == "required" else given
    return catalog.get(f"{name}({', '.join(given)})", counts=COUNTS)


def arguments_of(name: str, classes: int = CLASSES) -> tuple[Tensor, Tensor, tuple[Tensor, ...]]:
    """What a call takes, for a batch of seven samples: logits and targets, boxes, ..."""
    generator = torch.Generator().manual_seed(0)
    if catalog.SPECS[name].takes == "sequences":
        lengths = torch.full((SAMPLES,), 6), torch.full((SAMPLES,), 2)
        return (
            torch.randn(6, SAMPLES, 4, generator=generator),
            torch.ones(SAMPLES, 2).long(),
            lengths,
        )
    if name in EMBEDDINGS:
        vectors = torch.randn(SAMPLES, 4, generator=generator)
        return vectors, torch.arange(SAMPLES) % 3, ()
    if name in VALUES:
        found = drawn(VALUES[name], (SAMPLES,), generator)
        first, second, *others = (
            each.float() if each.is_floating_point() else each for each in found
        )
        return first, second, tuple(others)
    if name in OVERLAP:
        shape = (SAMPLES, *(4, 3)[: OVERLAP[name].module.least_axes])
        logits = torch.randn(shape[0], classes, *shape[1:], generator=generator)
        return logits, (torch.arange(math.prod(shape)) % classes).reshape(shape), ()
    logits = torch.randn(SAMPLES, classes, generator=generator)
    target = torch.arange(SAMPLES) % classes
    match catalog.SPECS[name].call:
        case "plain" | "sets" | "batch":
            return logits, target, ()
        case "stacked":
            return torch.stack([logits, -logits]), target, ()
        case "features":
            return logits, target, (torch.randn(SAMPLES, 3, generator=generator),)
        case "distances":
            return logits, target * 0.9, ()


def needs_all_logits(name: str) -> bool:
    """Whether the loss computes with the logits of all positions at once."""
    features, weight = torch.randn(SAMPLES, 3), torch.randn(CLASSES, 3)
    return _refuses(name, LinearLogits(features, weight))


def needs_a_tensor(name: str) -> bool:
    """Whether the loss refuses logits that it may overwrite, or of which it has some classes."""
    logits, _, _ = arguments_of(name)
    return _refuses(name, donate(logits.requires_grad_() * 1.0))


def _refuses(name: str, input: object) -> bool:
    if catalog.SPECS[name].call == "stacked":
        return True  # there is one weight, and several predictions
    _, target, further = arguments_of(name)
    try:
        loss_of(name).eval()(input, target, *further)
    except ValueError as error:
        assert "computes with all logits" in str(error), error
        return True
    return False


def is_stateful(name: str) -> bool:
    """Whether the loss follows its own gradients."""
    return any(isinstance(part, GradientIndicator) for part in loss_of(name).modules())


def is_scored(name: str) -> bool:
    """Whether the loss follows how well each class is known."""
    return any(isinstance(part, ClassScores) for part in loss_of(name).modules())


def is_batchwise(name: str) -> bool:
    """Whether a sample's loss depends on the other samples of its batch."""
    logits, target, further = arguments_of(name)
    if catalog.SPECS[name].call in ("stacked", "batch"):
        return catalog.SPECS[name].call == "batch"
    loss = _unreduced(name)
    few = slice(0, 3)
    alone = loss(logits[few], target[few], *(each[few] for each in further))
    return not torch.allclose(alone, loss(logits, target, *further)[few])


def _unreduced(name: str) -> nn.Module:
    spec = catalog.SPECS[name]
    if spec.inner != "none":
        return catalog.get(f'{name}(cross_entropy(reduction="none"))', counts=COUNTS).eval()
    return loss_of(name, reduction="none").eval()


def plans_of(name: str) -> list[tuple[Tensor, Plan]]:
    """What the executors are asked to run, when a loss is called; nothing if they are not asked."""
    asked: list[tuple[Tensor, Plan]] = []

    class Spy:
        name = "spy"

        def accepts(self, logits: Tensor, plan: Plan) -> bool:
            asked.append((logits.detach(), plan))
            return False

    logits, target, further = arguments_of(name)
    executors._EXECUTORS.insert(0, Spy())
    try:
        loss_of(name).eval()(logits.requires_grad_(), target, *further)
    finally:
        executors._EXECUTORS.pop(0)
    return asked


def is_elementwise(name: str) -> bool:
    """Whether the loss gives one value per element: in pieces or composed, "whole" is composed."""
    return not plans_of(name)


def is_native(name: str) -> bool:
    """Whether the kernels run the loss as it is by default."""
    if not isinstance(NATIVE, Library):
        return False
    return any(Native(NATIVE).accepts(logits, plan) for logits, plan in plans_of(name))


def _those(trait: Callable[[str], bool]) -> frozenset[str]:
    return frozenset(name for name in CLASSIFICATION if trait(name))


NEED_ALL_LOGITS = _those(needs_all_logits)
NEED_A_TENSOR = _those(needs_a_tensor)
STATEFUL = _those(is_stateful)
SCORED = _those(is_scored)
BATCHWISE = _those(is_batchwise)
ELEMENTWISE = _those(is_elementwise)
NOT_NATIVE = _those(lambda name: not is_native(name))


def per_class(name: str) -> frozenset[str]:
    """Parameters of a loss that may be one number per class."""
    accepted = catalog.SPECS[name].accepted
    return frozenset(p.name for p in accepted if re.search(r"\bper class\b", p.domain))
