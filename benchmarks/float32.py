"""All float32 numbers, a sign and an exponent at a time, and what a loss makes of them."""

from __future__ import annotations

from collections.abc import Iterator
from typing import Any

import torch
from exact import FAR, FORMS, NEAR, Both, Exact
from torch import Tensor, nn
from ulp import DOUBT, Tally

from taylored import catalog
from taylored.core.engine.executor import Executor
from taylored.core.plan.prepare import prepare

CALL = 2**16
"""Logits of one sweep, which stay in the cache with what is compared to them."""

NOT_FINITE = 255
"""The exponent of infinity and NaN."""

OUTPUTS = ("value", "gradient")


def chunks() -> Iterator[str]:
    """The names of all pieces that float32 is cut into."""
    for exponent in range(NOT_FINITE + 1):
        yield from (f"+{exponent}", f"-{exponent}")


def numbers(chunk: str) -> Tensor:
    """The 2^23 numbers of a chunk."""
    first = (int(chunk[1:]) << 23) - ((chunk[0] == "-") << 31)
    return torch.arange(first, first + 2**23, dtype=torch.int32).view(torch.float32)


class Checked:
    """A loss of one logit with a hard target, beside what it should be.

    Both are functions of the margin: the logit, or minus the logit where the truth is "no". The
    gradient is compared as the slope, minus the derivative by the margin.
    """

    def __init__(self, text: str, executor: Executor) -> None:
        name = text.partition("(")[0].strip()
        if name not in FORMS:
            raise SystemExit(f"there is no exact form of {name!r}, only of {', '.join(FORMS)}")
        self.loss = unreduced(text)
        self.exact = Exact(FORMS[name](self.loss))
        self._executor = executor
        self._ones = torch.ones(CALL)
        logits, options = torch.zeros(CALL, 1), self.loss.options()
        self._plans = [
            prepare(logits, torch.full_like(logits, target), self.loss.term, options)[1]
            for target in (0, 1)
        ]
        if not all(executor.accepts(logits, plan) for plan in self._plans):
            raise SystemExit(f"{text} is not one of the losses that the native library runs")
        alpha = getattr(self.loss, "alpha", None)
        positive = getattr(self.loss, "pos_weight", None)
        scale = 1.0 if positive is None else float(positive)
        self.weights = (1.0, scale) if alpha is None else (1.0 - float(alpha), scale * float(alpha))

    def chunk(self, name: str) -> dict[str, Tally]:
        """What comes of all margins of a chunk with either target."""
        found = {output: Tally() for output in OUTPUTS}
        margins = numbers(name)
        finite = int(name[1:]) != NOT_FINITE
        alike = self._alike(margins) if finite else {}
        for part in margins.split(CALL):
            seen = self._finite(part, alike) if finite else self._limits(part)
            for output, tally in seen.items():
                found[output].merge(tally)
        return found

    def certain(self, margin: float, target: int, output: str) -> Any:
        """The exact number, by mpmath."""
        value, slope = self.exact.certain(margin)
        return self.weights[target] * (value if output == "value" else slope)

    def wide(self, margin: float, target: int, output: str) -> float:
        """The same as chunks are compared with."""
        value, slope = self.exact.at(torch.tensor([margin]))
        return self.weights[target] * float(value if output == "value" else slope)

    def _finite(self, margins: Tensor, alike: dict[tuple[int, int], float]) -> dict[str, Tally]:
        yes, no = self._run(margins, 1), self._run(-margins, 0)
        # The other target of the opposite logit is the same question.
        same = self.weights[0] == self.weights[1] and all(map(torch.equal, yes, no))
        found = {output: Tally() for output in OUTPUTS}
        exact: Both | None = None
        for got, target in [(yes, 1)] if same else [(yes, 1), (no, 0)]:
            for k, output in enumerate(OUTPUTS):
                expected = alike.get((target, k))
                if expected is not None and torch.equal(got[k], self._ones * expected):
                    found[output].count(len(margins))
                    continue
                exact = exact or self.exact.at(margins)
                found[output].add(got[k], self.weights[target] * exact[k], margins, target)
        for tally in found.values() if same else ():
            tally.mirrored()
        return found

    def _alike(self, margins: Tensor) -> dict[tuple[int, int], float]:
        """The one float32 that all results of a chunk have to be, by target and output.

        Near 0 and far out value and slope are straight lines: what both ends are rounded to, all
        between them are.
        """
        if NEAR <= abs(float(margins[0])) < FAR:
            return {}
        ends, found = self.exact.at(margins[[0, -1]]), {}
        for target in (0, 1):
            for k in range(len(OUTPUTS)):
                exact = self.weights[target] * ends[k]
                around = torch.cat([exact * (1.0 - DOUBT), exact * (1.0 + DOUBT)]).float()
                if (around == around[0]).all():
                    found[target, k] = float(around[0])
        return found

    def _limits(self, margins: Tensor) -> dict[str, Tally]:
        """NaN stays NaN; infinite logits have the limits of value and slope."""
        found = {output: Tally() for output in OUTPUTS}
        ends = {inf: self.exact.at(torch.tensor([inf]).clamp(-3e38, 3e38)) for inf in _INFINITIES}
        for target in (1, 0):
            got = self._run(margins if target else -margins, target)
            for k, output in enumerate(OUTPUTS):
                expected = torch.full_like(margins, torch.nan)
                for infinity, limits in ends.items():
                    limit = self.weights[target] * float(limits[k])
                    limit = limit if abs(limit) < 1e30 else torch.inf
                    expected[margins == infinity] = limit
                found[output].expect(got[k], expected, margins, target)
        return found

    def _run(self, logits: Tensor, target: int) -> Both:
        """Value and slope, from the sweep that a call of the loss hands out."""
        z = logits.unsqueeze(1).clone()
        found = self._executor.sweep(z, self._plans[target], into=z)
        gradient = found.gradient.squeeze(1)
        return Both(found.loss.squeeze(1), gradient.neg_() if target else gradient)


_INFINITIES = (float("inf"), float("-inf"))


def unreduced(text: str) -> nn.Module:
    """The loss of a catalogue text, with one value per logit."""
    name, _, rest = text.strip().partition("(")
    inside = rest.rstrip(")").strip()
    return catalog.get(f'{name}({inside + ", " if inside else ""}reduction="none")')
