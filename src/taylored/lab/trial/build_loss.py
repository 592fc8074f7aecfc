"""From the names of losses to modules: catalogue strings and the user's `module:attribute`."""

import inspect
from collections.abc import Callable, Sequence
from copy import deepcopy
from dataclasses import dataclass
from typing import Any, Final

import torch
from torch import Tensor, nn

from taylored.core.terms.term import Term
from taylored.lab.data import TaskName
from taylored.lab.errors import UsageError
from taylored.lab.tasks import Task
from taylored.lab.trial.links import Loss, require_sigmoid
from taylored.lab.trial.user_code import is_reference, load_reference
from taylored.losses.long_tail.deferred import DeferredReweightingLoss
from taylored.losses.long_tail.ldam import LDAMLoss

_CHECKED_LOGITS: Final = 1 << 20
_GAIN_AT: Final = tuple(round(0.01 * i, 2) for i in range(1, 100))


@dataclass(frozen=True)
class LossCard:
    """What the results say about a loss: name, gain curve and formula where it has them."""

    name: str
    gain: dict[str, list[float]] | None
    formula: str | None


def build_loss(name: str, counts: Sequence[int], num_samples: int | None = None) -> Loss:
    """A fresh loss; `counts` (training samples per class) go to the losses that ask for them.

    So does `num_samples`, what the counts are fractions of where samples have many labels.
    """
    if is_reference(name):
        return _own_loss(name, counts)
    from taylored import catalog

    try:
        known = list(counts) if catalog.needs(name) else None
        return catalog.get(name, counts=known, num_samples=num_samples)
    except (ValueError, TypeError, LookupError) as error:
        raise UsageError(f"loss {name!r}: {error}") from error


def head_of(name: str) -> str:
    """The classifier layer that the loss is made for; your own losses get a linear one."""
    if is_reference(name):
        return "linear"
    from taylored import catalog

    return catalog.head(name)


def announce(loss: Loss, fraction: float) -> None:
    """Tell a loss with a schedule which share of the training is done."""
    for module in loss.modules() if isinstance(loss, nn.Module) else ():
        if isinstance(module, DeferredReweightingLoss):
            module.progress(fraction)


def scaled(loss: Loss, outputs: Tensor) -> Tensor:
    """The model's outputs as the logits they stand for: LDAM trains cosines, times its scale."""
    inner = loss.loss if isinstance(loss, DeferredReweightingLoss) else loss
    return outputs * inner.scale if isinstance(inner, LDAMLoss) else outputs


def resolve(
    names: Sequence[str], counts: Sequence[int], task: Task
) -> tuple[tuple[str, ...], list[str]]:
    """The losses to run, the baseline first, each once; and notes on what was changed."""
    notes: list[str] = []
    chosen: dict[str, str] = {}
    baseline_name = task.baseline
    wanted = [name.strip() for name in names]
    built = {name: build_loss(name, counts) for name in dict.fromkeys([baseline_name, *wanted])}
    baseline = _identity(baseline_name, built[baseline_name])
    chosen[baseline] = baseline_name
    for name in wanted:
        identity = _identity(name, built[name])
        first = chosen.setdefault(identity, name)
        if identity == baseline and name != baseline_name:
            notes.append(f"{name} is {baseline_name}, which is the baseline of every comparison.")
        elif first != name:
            notes.append(f"{name} is the same loss as {first}: it is run once.")
    for name in sorted({name for name in wanted if wanted.count(name) > 1}):
        notes.append(f"{name} was given {wanted.count(name)} times: it is run once.")
    if not any(_identity(name, built[name]) == baseline for name in wanted):
        notes.append(f"{baseline_name} was added: every comparison needs it as the baseline.")
    for name in chosen.values():
        if task.name == "multi-label":
            require_sigmoid(name, built[name], lambda form: build_loss(form, counts))
        check_loss(name, built[name], len(counts), task.name)
    return tuple(chosen.values()), notes


def check_loss(name: str, loss: Loss, num_classes: int, task: TaskName) -> None:
    """Refuse a loss that cannot train: not a scalar, not finite, or without gradient."""
    generator = torch.Generator().manual_seed(0)
    # Every class is the truth once, but for so many that the logits would be a gigabyte.
    rows = max(8, min(num_classes, _CHECKED_LOGITS // num_classes))
    target = torch.arange(rows) % num_classes
    logits = torch.randn(len(target), num_classes, generator=generator, requires_grad=True)
    if task == "multi-label":  # two labels in every row, three in every third
        hot = torch.nn.functional.one_hot(target, num_classes)
        hot = hot + hot.roll(1, 0)
        hot[::3] += hot[::3].roll(2, 1)
        target = hot.clamp(max=1).float()
    try:
        value = loss(logits, target)
    except Exception as error:  # the user's loss may raise anything
        raise UsageError(
            f"loss {name!r} fails on logits {tuple(logits.shape)} and targets "
            f"{tuple(target.shape)} of type {_dtype(target)}: {type(error).__name__}: {error}"
        ) from error
    if not isinstance(value, Tensor) or value.ndim != 0:
        got = f"shape {tuple(value.shape)}" if isinstance(value, Tensor) else type(value).__name__
        raise UsageError(
            f"loss {name!r} must return a scalar tensor, it returned {got}. "
            "Average over the batch, for instance with .mean()."
        )
    if not bool(torch.isfinite(value)):
        raise UsageError(f"loss {name!r} is {value.item()} on ordinary random logits.")
    if not value.requires_grad:
        raise UsageError(
            f"loss {name!r} gives no gradient: its result does not depend on the logits. "
            "Look for .detach(), .item(), argmax or torch.no_grad()."
        )
    (gradient,) = torch.autograd.grad(value, logits, allow_unused=True)
    if gradient is None or not bool(gradient.any()):
        raise UsageError(f"loss {name!r} gives a gradient of zero on ordinary random logits.")
    if not bool(torch.isfinite(gradient).all()):
        raise UsageError(f"loss {name!r} has a gradient that is not finite on random logits.")


def _dtype(tensor: Tensor) -> str:
    return str(tensor.dtype).removeprefix("torch.")


def describe(name: str, counts: Sequence[int]) -> LossCard:
    """The card of a loss; the user's own losses have neither gain nor formula."""
    if is_reference(name):
        return LossCard(name, None, None)
    from taylored import catalog

    term = getattr(build_loss(name, counts), "term", None)  # only the losses of one probability
    return LossCard(name, None if term is None else _gain_curve(term), catalog.spec(name).formula)


def _gain_curve(term: Term) -> dict[str, list[float]] | None:
    if term.parameters():  # one value per class: there is no single curve
        return None
    gains = term.gain(torch.tensor(_GAIN_AT, dtype=torch.float64))
    return {"p": list(_GAIN_AT), "g": gains.tolist()}


def _identity(name: str, loss: Loss) -> str:
    return name if is_reference(name) else repr(loss)


def _own_loss(name: str, counts: Sequence[int]) -> Loss:
    found = load_reference(name)
    if isinstance(found, nn.Module):
        return deepcopy(found)  # a stateful loss must not carry its state into the next trial
    if not callable(found):
        raise UsageError(
            f"loss {name!r} is a {type(found).__name__}. Name a function (logits, target) -> "
            "scalar, an nn.Module, or a class or function that returns one."
        )
    arguments = _factory_arguments(name, found, counts)
    if arguments is None:
        return found
    try:
        built = found(**arguments)
    except Exception as error:  # the user's factory may raise anything
        raise UsageError(f"loss {name!r}: {type(error).__name__}: {error}") from error
    if not callable(built):
        raise UsageError(
            f"loss {name!r} was called as a factory and returned a {type(built).__name__}; "
            "it must return a loss that can be called with (logits, target)."
        )
    result: Loss = built
    return result


def _factory_arguments(
    name: str, found: Callable[..., Any], counts: Sequence[int]
) -> dict[str, list[int]] | None:
    """Arguments to build the loss with, or None if `found` is itself the loss.

    A class, or a function that can be called with nothing but `counts`, builds a loss.
    """
    try:
        parameters = inspect.signature(found).parameters.values()
    except (TypeError, ValueError):  # some builtin functions have no signature
        return None
    variadic = (inspect.Parameter.VAR_POSITIONAL, inspect.Parameter.VAR_KEYWORD)
    takes_any = any(p.kind is inspect.Parameter.VAR_POSITIONAL for p in parameters)
    required = {p.name for p in parameters if p.default is p.empty and p.kind not in variadic}
    is_class = isinstance(found, type)
    if required <= {"counts"} and (is_class or not takes_any):
        names = {p.name for p in parameters}
        return {"counts": list(counts)} if "counts" in names else {}
    if is_class:
        missing = ", ".join(sorted(required - {"counts"}))
        raise UsageError(
            f"loss {name!r}: the class needs the arguments {missing}. Write a function without "
            f"arguments that returns {found.__name__}(...), and name that."
        )
    return None
