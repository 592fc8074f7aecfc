"""One independent float64 reference per loss, written from the papers' equations.

Naive on purpose: exp, sums and loops, no stable forms, nothing from the package. Good to about
1e-12 for moderate logits; extremes are checked against mpmath instead. `REFERENCES[name]` takes
logits, target and the parameters as a dict and gives the unreduced losses, one per position
(softmax) or per element (sigmoid); `reference_loss` adds sample weights and the denominator.
"""

from __future__ import annotations

import ast
import math
from collections.abc import Callable
from dataclasses import dataclass, field, replace
from typing import Any

import torch
from torch import Tensor

from references.equalization import EQUALIZATION
from references.long_tail import PRIOR, deferred_weights
from references.robust import ROBUST, SIGMOID

Parameters = dict[str, Any]
Phi = Callable[[Tensor, Parameters], Tensor]

SIGMOID_ONLY = {
    "binary_cross_entropy",
    "balanced_cross_entropy",
    "sigmoid_eql",
    "equalized_focal",
    "equalized_quality_focal",
    *SIGMOID,
}
SIGMOID_BY_DEFAULT = {"equalization"}
WRAPPING_CROSS_ENTROPY = {"softmax_eql"}
"""Losses whose inner loss is cross-entropy where it is left out."""


@dataclass(frozen=True)
class Call:
    """A loss string taken apart, by a parser of our own."""

    name: str
    inner: Call | None
    arguments: Parameters
    state: dict[str, list[float]] = field(default_factory=dict)

    @classmethod
    def of(cls, text: str) -> Call:
        return cls._of(ast.parse(text, mode="eval").body)

    @classmethod
    def _of(cls, node: ast.expr) -> Call:
        if isinstance(node, ast.Name):
            return cls(node.id, None, {})
        assert isinstance(node, ast.Call)
        assert isinstance(node.func, ast.Name)
        inner = cls._of(node.args[0]) if node.args else None
        arguments = {str(k.arg): ast.literal_eval(k.value) for k in node.keywords}
        return cls(node.func.id, inner, arguments)

    def innermost(self) -> Call:
        return self if self.inner is None else self.inner.innermost()

    def having(self, **options: object) -> Call:
        """The same loss with other options of the shared vocabulary."""
        if self.inner is not None:
            return replace(self, inner=self.inner.having(**options))
        if self.name in WRAPPING_CROSS_ENTROPY:
            return replace(self, inner=Call("cross_entropy", None, options))
        return replace(self, arguments={**self.arguments, **options})

    def option(self, name: str, default: object = None) -> Any:
        return self.innermost().arguments.get(name, default)

    def link(self) -> str:
        if self.innermost().name in SIGMOID_ONLY:
            return "sigmoid"
        default = "sigmoid" if self.innermost().name in SIGMOID_BY_DEFAULT else "softmax"
        return str(self.option("link", default))

    def text(self) -> str:
        shown = [] if self.inner is None else [self.inner.text()]
        shown += [f"{name}={value!r}" for name, value in self.arguments.items()]
        return f"{self.name}({', '.join(shown)})"


# --- phi(p) of each loss ----------------------------------------------------------------------


def nll(p: Tensor, parameters: Parameters) -> Tensor:
    return -torch.log(p)


def focal(p: Tensor, parameters: Parameters) -> Tensor:
    """Lin et al. 2017, equation 4."""
    return -((1 - p) ** along(parameters.get("gamma", 2.0), p)) * torch.log(p)


def poly(p: Tensor, parameters: Parameters) -> Tensor:
    """Leng et al. 2022, equations 5 to 7."""
    epsilon, gamma = parameters.get("epsilon", 1.0), parameters.get("gamma", 0.0)
    total = -((1 - p) ** gamma) * torch.log(p)
    for j, step in enumerate(epsilon if isinstance(epsilon, (list, tuple)) else [epsilon], 1):
        total = total + step * (1 - p) ** (gamma + j)
    return total


def taylor(p: Tensor, parameters: Parameters) -> Tensor:
    """Feng et al. 2020; Drop-N of Leng et al. 2022."""
    total = torch.zeros_like(p)
    for j in range(1, parameters.get("num_terms", 2) + 1):
        total = total + (1 - p) ** j / j
    return total


def series(p: Tensor, parameters: Parameters) -> Tensor:
    """Leng et al. 2022, equation 1."""
    total = torch.zeros_like(p)
    for j, coefficient in enumerate(parameters.get("coefficients", [1.0]), 1):
        total = total + coefficient * (1 - p) ** j
    return total


# --- targets ----------------------------------------------------------------------------------


def along(values: object, logits: Tensor) -> Tensor:
    """A number, or one per class, to broadcast along axis 1."""
    values = torch.as_tensor(values, dtype=torch.float64)
    return values.reshape(-1, *[1] * (logits.dim() - 2)) if values.dim() else values


def one_hot(target: Tensor, classes: int) -> Tensor:
    return torch.stack([(target == c).double() for c in range(classes)], dim=1)


def is_index(target: Tensor, logits: Tensor) -> bool:
    return target.dim() == logits.dim() - 1 and not target.is_floating_point()


def kept_mask(logits: Tensor, target: Tensor, parameters: Parameters, link: str) -> Tensor:
    """1 where something counts: per position for indices, per element for the sigmoid link."""
    ignore = parameters.get("ignore_index", -100)
    if is_index(target, logits):
        kept = torch.ones_like(target) if ignore is None else (target != ignore)
        kept = kept.double()
        return kept if link == "softmax" else kept.unsqueeze(1).expand(logits.shape)
    if link == "softmax":
        return torch.ones_like(logits.sum(1))
    if ignore is None or target.dtype == torch.bool:
        return torch.ones_like(logits)
    return (target != ignore).double()


# --- links ------------------------------------------------------------------------------------


def softmax_losses(phi: Phi, logits: Tensor, target: Tensor, parameters: Parameters) -> Tensor:
    """Sum over the classes of weight * target mass * phi(p), per position."""
    classes, smoothing = logits.shape[1], parameters.get("label_smoothing", 0.0)
    exponentials = torch.exp(logits)
    p = exponentials / exponentials.sum(dim=1, keepdim=True)
    y = one_hot(target, classes) if is_index(target, logits) else target.double()
    y = y * (1 - smoothing) + smoothing / classes
    weight = parameters.get("weight")
    weight = along(1.0 if weight is None else weight, logits)
    losses = (weight * y * phi(p, parameters)).sum(dim=1)
    return losses * kept_mask(logits, target, parameters, "softmax")


def sigmoid_losses(phi: Phi, logits: Tensor, target: Tensor, parameters: Parameters) -> Tensor:
    """a y phi(p) + b (1 - y) phi(1 - p), per element."""
    smoothing, alpha = parameters.get("label_smoothing", 0.0), parameters.get("alpha")
    kept = kept_mask(logits, target, parameters, "sigmoid")
    y = one_hot(target, logits.shape[1]) if is_index(target, logits) else target.double()
    y = torch.where(kept > 0, y, 0.0)
    y = y * (1 - smoothing) + smoothing / 2
    positive = negative = along(1.0, logits)
    if parameters.get("weight") is not None:
        positive = negative = along(parameters["weight"], logits)
    if alpha is not None:
        positive, negative = positive * along(alpha, logits), negative * (1 - along(alpha, logits))
    if parameters.get("pos_weight") is not None:
        positive = positive * along(parameters["pos_weight"], logits)
    p = 1 / (1 + torch.exp(-logits))
    opposite = 1 / (1 + torch.exp(logits))
    yes = positive * y * phi(p, parameters)
    no = negative * (1 - y) * phi(opposite, parameters)
    return (yes + no) * kept


def _by_link(phi: Phi) -> Callable[[Tensor, Tensor, Parameters], Tensor]:
    def reference(logits: Tensor, target: Tensor, parameters: Parameters) -> Tensor:
        softmax = parameters.get("link", "softmax") == "softmax"
        return (softmax_losses if softmax else sigmoid_losses)(phi, logits, target, parameters)

    return reference


def class_balanced_weights(counts: object, beta: float) -> Tensor:
    """The official code's formula: 1 - beta over 1 - beta^n, then normalised to sum C."""
    weights = [n * 0 + 1 / n if beta == 1 else (1 - beta) / (1 - beta**n) for n in counts]
    total = math.fsum(weights)
    return torch.tensor([w * len(weights) / total for w in weights], dtype=torch.float64)


def class_balanced(logits: Tensor, target: Tensor, parameters: Parameters) -> Tensor:
    """Cui et al. 2019, equations 6 to 8; per sample or per class column."""
    inner: Call = parameters["loss"]
    weights = class_balanced_weights(parameters["counts"], parameters.get("beta", 0.999))
    if inner.link() == "softmax" or parameters.get("weighting", "sample") == "class":
        return losses_of(inner.having(weight=weights.tolist()), logits, target)
    rows = (one_hot(target, logits.shape[1]) * along(weights, logits)).sum(dim=1, keepdim=True)
    return losses_of(inner, logits, target) * rows


def equalization(logits: Tensor, target: Tensor, parameters: Parameters) -> Tensor:
    """Tan et al. 2020, equations 3 to 5 (sigmoid) and 10 (softmax; every rare class is spared)."""
    amounts = torch.tensor(parameters["counts"], dtype=torch.float64)
    rare = (amounts / amounts.sum() < parameters.get("threshold", 0.00177)).double()
    y = one_hot(target, logits.shape[1]) if is_index(target, logits) else target.double()
    y = torch.where(y == parameters.get("ignore_index", -100), 0.0, y)
    foreground = torch.ones_like(y[:, :1])
    if not is_index(target, logits):
        foreground = (y > 0).any(dim=1, keepdim=True).double()
    spared = 1 - foreground * along(rare, logits) * (1 - y)
    if parameters.get("link", "sigmoid") == "sigmoid":
        return sigmoid_losses(nll, logits, target, parameters) * spared
    assert parameters["gamma"] == 1
    shares = spared * torch.exp(logits)
    p = shares / shares.sum(dim=1, keepdim=True)
    weight = along(parameters.get("weight") or 1.0, logits)
    smoothing = parameters.get("label_smoothing", 0.0)
    assert smoothing == 0.0
    losses = (weight * y * -torch.log(torch.where(y > 0, p, 1.0))).sum(dim=1)
    return losses * kept_mask(logits, target, parameters, "softmax")


REFERENCES: dict[str, Callable[[Tensor, Tensor, Parameters], Tensor]] = {
    "cross_entropy": lambda z, y, parameters: softmax_losses(nll, z, y, parameters),
    "binary_cross_entropy": lambda z, y, parameters: sigmoid_losses(nll, z, y, parameters),
    "balanced_cross_entropy": lambda z, y, parameters: sigmoid_losses(
        nll, z, y, {"alpha": 0.5, **parameters}
    ),
    "focal": _by_link(focal),
    "poly": _by_link(poly),
    "taylor": _by_link(taylor),
    "series": _by_link(series),
    "class_balanced": class_balanced,
    "equalization": equalization,
    **EQUALIZATION,
    **PRIOR,
    **ROBUST,
}


def losses_of(call: Call, logits: Tensor, target: Tensor) -> Tensor:
    parameters = {**call.arguments, **call.state}
    if call.inner is not None:
        parameters["loss"] = call.inner
    return REFERENCES[call.name](logits, target, parameters)


# --- denominators -----------------------------------------------------------------------------


def denominator(call: Call, logits: Tensor, target: Tensor) -> Tensor:
    """What the sum is divided by; zero counts as one."""
    reduction, link = call.option("reduction", "mean"), call.link()
    kept = kept_mask(logits, target, call.innermost().arguments, link)
    if reduction == "batch_mean":
        count = kept.sum() if link == "softmax" else (kept > 0).any(dim=1).sum()
    elif link == "softmax" and is_index(target, logits):
        weight = call.option("weight")
        if call.name == "class_balanced":
            weight = class_balanced_weights(
                call.arguments["counts"], call.arguments.get("beta", 0.999)
            )
        if call.name == "deferred":
            weight = deferred_weights(call.arguments)
        weight = along(1.0 if weight is None else weight, logits)
        count = ((one_hot(target, logits.shape[1]) * weight).sum(dim=1) * kept).sum()
    else:
        count = kept.sum()
    return torch.where(count == 0, 1.0, count.double())


def reference_loss(
    call: Call,
    logits: Tensor,
    target: Tensor,
    *,
    sample_weight: Tensor | None = None,
    normalizer: float | Tensor | None = None,
) -> Tensor:
    """The whole loss in float64: unreduced losses, sample weights, denominator."""
    logits = logits.double()
    losses = losses_of(call, logits, target)
    if sample_weight is not None:
        extra = sample_weight.double()
        if call.link() == "sigmoid" and extra.dim() < losses.dim():
            extra = extra.reshape(*extra.shape[:1], 1, *extra.shape[1:])
        losses = losses * extra.reshape(*extra.shape, *[1] * (losses.dim() - extra.dim()))
    reduction = call.option("reduction", "mean")
    if reduction == "none":
        return losses
    if reduction == "sum":
        return losses.sum()
    if normalizer is not None:
        amount = torch.as_tensor(normalizer, dtype=torch.float64)
        return losses.sum() / torch.where(amount == 0, 1.0, amount)
    return losses.sum() / denominator(call, logits, target)
