"""Logits for which the naive references are exact at both ends: nothing of 1 - p is lost.

The references write a probability as 1 / (1 + exp(-x)), which rounds to 1 from x = 37 on. On a
`Logit` the same text gives a `Probability`, which knows its logit: 1 - p is then the probability
of -x, and log p is found without p. All other numbers are plain float64.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from typing import Any

import torch
import torch.nn.functional as F
from torch import Tensor

Function = Callable[..., Any]


class Written(Tensor):
    """A number that is still known as it was written, as a function of `logit`."""

    logit: Tensor

    @classmethod
    def of(cls, values: Tensor, logit: Tensor) -> Any:
        written = values.as_subclass(cls)
        written.logit = logit
        return written

    @classmethod
    def __torch_function__(
        cls, function: Function, types: Any, args: Sequence[Any] = (), kwargs: Any = None
    ) -> Any:
        for kind in types:
            found = kind.read(function, args) if issubclass(kind, Written) else None
            if found is not None:
                return found
        return function(*map(plain, args), **{k: plain(v) for k, v in (kwargs or {}).items()})

    @classmethod
    def read(cls, function: Function, args: Sequence[Any]) -> Tensor | None:
        """What the text comes to, where it goes on."""
        return None


class Logit(Written):
    """x, or what is added to it or multiplied with it."""

    @classmethod
    def read(cls, function: Function, args: Sequence[Any]) -> Tensor | None:
        values = [plain(each) for each in args]
        if function in _LINEAR:
            return Logit.of(function(*values), values[0])
        if function is torch.exp:
            return Exponential.of(torch.exp(values[0]), values[0])
        return None


class Exponential(Written):
    """exp(u)."""

    @classmethod
    def read(cls, function: Function, args: Sequence[Any]) -> Tensor | None:
        if len(args) < 2:
            return None
        written, other = sorted(args, key=lambda each: not isinstance(each, cls))
        one = not isinstance(other, Tensor) and other == 1
        if function in _LESS and args[0] is written and one:
            # Where the difference loses nothing it is taken: expm1's derivative would be -1 + 1.
            rest = 1 - torch.exp(written.logit)
            return torch.where(written.logit < -1, rest, -torch.expm1(written.logit))
        if function in _TIMES and type(other) is Tensor and (other > 0).all():
            return cls.of(plain(written) * other, written.logit + torch.log(other))
        if function in _ADD and (one or isinstance(other, cls)):
            total = plain(written) + plain(other)
            return Total.of(total, written.logit, other.logit if isinstance(other, cls) else 0.0)
        if function in _DIVIDE and isinstance(args[1], Total):
            return args[1].share(args[0].logit)
        return None


class Total(Written):
    """exp(u) + exp(v)."""

    other: Tensor | float

    @classmethod
    def of(cls, values: Tensor, logit: Tensor, other: Tensor | float = 0.0) -> Any:
        written = super().of(values, logit)
        written.other = other
        return written

    def share(self, logit: Tensor) -> Probability:
        """What the exponential of one of the two is of both."""
        return probability(logit - (self.other if logit is self.logit else self.logit))

    @classmethod
    def read(cls, function: Function, args: Sequence[Any]) -> Tensor | None:
        if not isinstance(args[0], cls) and function not in _INVERSE:
            return None
        if function is torch.log and isinstance(args[0].other, float):
            return -F.logsigmoid(-args[0].logit)
        if function in _INVERSE and args[1] == 1 and isinstance(args[0].other, float):
            return probability(-args[0].logit)
        return None


class Probability(Written):
    """1 / (1 + exp(-x))."""

    logarithm: Tensor | None = None

    def log_p(self) -> Tensor:
        """Found once: some losses raise p to many powers."""
        if self.logarithm is None:
            self.logarithm = F.logsigmoid(self.logit)
        return self.logarithm

    @classmethod
    def read(cls, function: Function, args: Sequence[Any]) -> Tensor | None:
        written = args[0]
        if function in _MINUS and isinstance(args[1], cls) and _is_hard(written):
            difference = plain(written) - plain(args[1])
            return Miss.of(difference, torch.where(written > 0, -args[1].logit, args[1].logit))
        if not isinstance(written, cls):
            return None
        if function in _LESS and args[1] == 1:
            return probability(-written.logit)
        if function in _POWER and written is args[0]:
            power = plain(args[1]) * written.log_p()
            return Exponential.of(torch.exp(power), power)
        if function is torch.log:
            return written.log_p()
        if function in _DETACH:
            return probability(written.logit.detach())
        return None


class Miss(Written):
    """y - p, of a truth y that is 0 or 1."""

    @classmethod
    def read(cls, function: Function, args: Sequence[Any]) -> Tensor | None:
        return probability(args[0].logit) if function in _SIZE else None


def _is_hard(values: Any) -> bool:
    return isinstance(values, Tensor) and bool(((values == 0) | (values == 1)).all())


_SIZE = {Tensor.abs, torch.abs}
_MINUS = {Tensor.__sub__, Tensor.sub, torch.sub}
_TIMES = {Tensor.__mul__, Tensor.mul, Tensor.__rmul__, torch.mul}
_DIVIDE = {Tensor.__truediv__, Tensor.div, torch.div}
_LINEAR = {Tensor.__neg__, Tensor.neg, torch.neg, Tensor.__add__, Tensor.add, Tensor.__radd__,
           Tensor.__sub__, Tensor.sub, Tensor.__mul__, Tensor.mul, Tensor.__rmul__, Tensor.double,
           Tensor.__truediv__, Tensor.div, torch.Tensor.to}  # fmt: skip
_ADD = {Tensor.__add__, Tensor.add, Tensor.__radd__, torch.add}
_INVERSE = {Tensor.__rtruediv__}
_LESS = {Tensor.__rsub__, torch.rsub}
_POWER = {Tensor.__pow__, Tensor.pow, torch.pow}
_DETACH = {Tensor.detach}


def probability(x: Tensor) -> Probability:
    """sigmoid(x), with a derivative that keeps its digits: that of 1 - sigmoid(-x) where x > 0."""
    return Probability.of(torch.where(x > 0, 1 - torch.sigmoid(-x), torch.sigmoid(x)), x)


def plain(values: Any) -> Any:
    """The number without its text."""
    return values.as_subclass(Tensor) if isinstance(values, Written) else values
