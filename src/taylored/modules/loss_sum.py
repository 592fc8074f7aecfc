"""Weighted sums of losses that are called alike."""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Sequence

from torch import Tensor, nn

from taylored.core.checks import fail
from taylored.core.written import literal
from taylored.modules.base import Loss, Takes
from taylored.modules.docs import Described

_BOXES = ("boxes", "rotated_boxes", "boxes_3d")


def takes_of(parts: Iterable[Takes]) -> Takes:
    """What a sum is called on: what its parts are, or boxes where some take any two tensors.

    Detectors add an overlap and a distance of the same boxes, "giou + 2.5 * l1".
    """
    found = list(parts)
    return next((takes for takes in found if takes in _BOXES), found[0])


class LossSum(Loss):
    r"""A weighted sum of losses, :math:`\sum_i w_i L_i`; what `+` and `*` make of losses.

    Each part keeps its own link, weights, reduction and state. They are named as in the catalogue,
    for logging: `loss.each(...)` gives the value of every part, `loss.total(...)` adds them up. In
    the catalogue it is written alike, "dice + 0.5 * focal(gamma=2)".

    Args:
        parts: weight and loss of every part; weights are numbers >= 0, and raising one moves the
            balance to its loss.

    Attributes:
        parts: the losses, by name.
        weights: their weights, by name.

    Shape: what the parts take; all have to take the same, but for losses of any two tensors, such
        as `l1`, beside those of boxes.

    Returns:
        The weighted sum of what the parts return, which have to agree in shape.

    Raises:
        ValueError: for losses that are called on different things, a weight below 0, or parts
            whose values do not have the same shape (reduction="none").

    Example:
        >>> import torch
        >>> from taylored import CrossEntropyLoss, FocalLoss
        >>> loss = CrossEntropyLoss() + 0.5 * FocalLoss(gamma=2)
        >>> loss
        CrossEntropyLoss() + 0.5 * FocalLoss(gamma=2)
        >>> logits, target = torch.tensor([[2.0, 0.0], [0.0, 0.0]]), torch.tensor([0, 1])
        >>> loss(logits, target)
        tensor(0.4538)
        >>> values = loss.each(logits, target)
        >>> {name: round(value.item(), 4) for name, value in values.items()}
        {'cross_entropy': 0.41, 'focal': 0.0875}
        >>> loss.total(values)
        tensor(0.4538)
    """

    def __init__(self, parts: Sequence[tuple[float, Loss]]) -> None:
        """Build the sum; `a + 0.5 * b` is the shorter way."""
        super().__init__()
        _check(parts)
        self.parts = nn.ModuleDict()
        self.weights: dict[str, float] = {}
        for weight, loss in parts:
            name = next(name for name in _names(loss) if name not in self.parts)
            self.parts[name] = loss
            self.weights[name] = float(weight)

    @property
    def takes(self) -> Takes:  # type: ignore[override]
        """What every part is called on."""
        return takes_of(loss.takes for _, loss in self.terms())

    @property
    def link(self) -> str:
        """That of the parts, where they have one and the same."""
        links = {getattr(loss, "link", None) for _, loss in self.terms()}
        if len(links) != 1 or None in links:
            raise AttributeError("the parts of the sum have no link, or not the same")
        return str(links.pop())

    def terms(self) -> Iterator[tuple[float, Loss]]:
        """Weight and loss of every part."""
        for name, loss in self.parts.items():
            if isinstance(loss, Loss):  # all are
                yield self.weights[name], loss

    def each(
        self,
        input: Tensor,
        target: Tensor,
        *,
        sample_weight: Tensor | None = None,
        normalizer: float | Tensor | None = None,
    ) -> dict[str, Tensor]:
        """The value of every part, before its weight, by name."""
        return {
            name: loss(input, target, sample_weight=sample_weight, normalizer=normalizer)
            for name, loss in self.parts.items()
        }

    def total(self, values: dict[str, Tensor]) -> Tensor:
        """The weighted sum of the parts' values."""
        (first, one), *others = values.items()
        total = self.weights[first] * one
        for name, value in others:
            if value.shape != one.shape:
                fail(
                    "reduction",
                    f"one that gives {name} the shape of {first}, {tuple(one.shape)}",
                    f"shape {tuple(value.shape)}",
                    'use reduction="mean" or "sum" in both',
                )
            total = total + self.weights[name] * value
        return total

    def forward(
        self,
        input: Tensor,
        target: Tensor,
        *,
        sample_weight: Tensor | None = None,
        normalizer: float | Tensor | None = None,
    ) -> Tensor:
        """The weighted sum of the losses."""
        return self.total(
            self.each(input, target, sample_weight=sample_weight, normalizer=normalizer)
        )

    def gather(self, micro_batches: int) -> None:
        """Tell the parts what one batch is."""
        for _, loss in self.terms():
            loss.accumulate(micro_batches)

    @classmethod
    def described(cls) -> Described:
        """The docstring says it."""
        return Described("", "", "")

    def __repr__(self) -> str:
        return " + ".join(
            repr(loss) if weight == 1.0 else f"{literal(weight)} * {loss!r}"
            for weight, loss in self.terms()
        )


def _check(parts: Sequence[tuple[float, Loss]]) -> None:
    if not parts:
        fail("parts", "at least one loss", "none", "write a + 0.5 * b")
    whole = takes_of(loss.takes for _, loss in parts if isinstance(loss, Loss))
    for weight, loss in parts:
        if not isinstance(weight, (int, float)) or not weight >= 0:  # NaN neither
            fail("weight", "a number >= 0", repr(weight), "write 0.5 * loss")
        if weight == float("inf"):
            fail("weight", "a finite number", repr(weight), "write 0.5 * loss")
        if not isinstance(loss, Loss):
            fix = "write a loss of taylored on both sides"
            fail("parts", "losses", f"{type(loss).__module__}.{type(loss).__qualname__}", fix)
        spec = getattr(type(loss), "spec", None)
        if spec is not None and spec.call == "features":
            fix = "call it beside the sum: it needs features, which the others do not take"
            fail("parts", "losses of an input and a target", repr(loss), fix)
        if loss.takes != whole and not (loss.takes == "values" and whole in _BOXES):
            other = next(other for _, other in parts if other.takes == whole)
            fix = "call the two apart, and add up their values"
            fail("parts", f"called on {whole}, as {other!r} is", f"{loss!r}, on {loss.takes}", fix)


def _names(loss: Loss) -> Iterator[str]:
    """Names for a part: that of the catalogue, or of the class, and then numbered."""
    spec = getattr(type(loss), "spec", None)
    name = type(loss).__name__ if spec is None else spec.name
    yield name
    number = 2
    while True:
        yield f"{name}_{number}"
        number += 1
