"""The equalization losses in float64, as their authors' code computes them; nothing of the package.

Two layers. `EQUALIZATION` holds the losses of a given state, one entry per catalogue name, for the
suites generated from SPEC. `Official` runs a loss over batches: it reads the weights of a step from
the state before it, takes the gradient of the naive loss by autograd (which is what the official
hooks collect) or, for Sigmoid-EQL, by the official formula, and adds its absolute sums per class.

Parameters without "positive" and "negative" mean a loss that has not seen a batch yet.
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import replace
from typing import Any

import torch
from torch import Tensor

Parameters = dict[str, Any]

GUARD = 1e-10  # of the official ratio, under the bar


def along(values: Tensor, logits: Tensor) -> Tensor:
    """One number per class, to broadcast along axis 1."""
    return values.reshape(-1, *[1] * (logits.dim() - 2))


def vector(values: object) -> Tensor:
    return torch.as_tensor(values, dtype=torch.float64)


def ratio(parameters: Parameters, initial: float, classes: int) -> Tensor:
    """g_j, unclamped; `initial` where nothing has been counted yet."""
    if "positive" not in parameters:
        return torch.full((classes,), initial, dtype=torch.float64)
    return vector(parameters["positive"]) / (vector(parameters["negative"]) + GUARD)


def truth_and_mask(logits: Tensor, target: Tensor, parameters: Parameters) -> tuple[Tensor, Tensor]:
    """One number in [0, 1] per element, and 1 where the element counts. Background is all 0."""
    ignore = parameters.get("ignore_index", -100)
    if target.dim() == logits.dim() - 1:
        columns = range(logits.shape[1])
        y = torch.stack([(target == c).double() for c in columns], dim=1)
        kept = torch.ones_like(target) if ignore is None else (target != ignore).long()
        return y * kept.unsqueeze(1), kept.unsqueeze(1).double().expand(logits.shape)
    kept = torch.ones_like(logits)
    if ignore is not None and target.dtype != torch.bool:
        kept = (target != ignore).double()
    return torch.where(kept > 0, target.double(), 0.0), kept


# --- Softmax-EQL ------------------------------------------------------------------------------


def softmax_eql_bias(parameters: Parameters) -> Tensor:
    """What Softmax-EQL adds to the logits; up to one constant, which softmax does not see."""
    collected = vector(parameters.get("positive", [0.0] * parameters["num_classes"]))
    tau = parameters.get("tau", 1.0)
    if parameters.get("floor", "gradient") == "gradient":  # "softmax_eql"
        return tau * torch.log(collected.clamp(min=1e-4))
    share = collected / (collected.sum() + 1e-4)  # "softmax_eqlv2"
    return torch.log(share**tau + 1e-9)


def softmax_eql(logits: Tensor, target: Tensor, parameters: Parameters) -> Tensor:
    """Tan et al., arXiv 2210.05566: the inner loss of logits with the bias."""
    from references import Call, losses_of

    inner: Call = parameters.get("loss", Call("cross_entropy", None, {}))
    return losses_of(inner, logits + along(softmax_eql_bias(parameters), logits), target)


# --- Sigmoid-EQL, that is EQL v2 --------------------------------------------------------------


def sigmoid_eql_weights(
    logits: Tensor, target: Tensor, parameters: Parameters
) -> tuple[Tensor, Tensor, Tensor]:
    """Weights of the outcomes yes and no, mask included, and the truth."""
    alpha, gamma = parameters.get("alpha", 4.0), parameters.get("gamma", 12.0)
    g = ratio(parameters, 100.0, parameters["num_classes"])
    r = 1 / (1 + torch.exp(-gamma * (g - parameters.get("mu", 0.8))))
    if parameters.get("background", "none") == "column":
        r = torch.cat([r, torch.ones(1, dtype=torch.float64)])
    q = 1 + alpha * (1 - r)
    y, kept = truth_and_mask(logits, target, parameters)
    own = torch.ones_like(r)
    if parameters.get("weight") is not None:
        own = vector(parameters["weight"])
    return along(own * q, logits) * kept, along(own * r, logits) * kept, y


def sigmoid_eql(logits: Tensor, target: Tensor, parameters: Parameters) -> Tensor:
    """Tan et al., CVPR 2021, equations 4 to 6; binary cross-entropy, weighted both ways."""
    yes, no, y = sigmoid_eql_weights(logits, target, parameters)
    log_p, log_q = -torch.log(1 + torch.exp(-logits)), -torch.log(1 + torch.exp(logits))
    return -(yes * y * log_p + no * (1 - y) * log_q)


# --- Equalized focal losses -------------------------------------------------------------------


def dynamic_focus(parameters: Parameters, logits: Tensor) -> tuple[Tensor, Tensor]:
    """gamma_j and the weight gamma_j / gamma_b, of the ratio clamped to [0, 1]."""
    base, scale = parameters.get("gamma", 2.0), parameters.get("scale", 8.0)
    g = ratio(parameters, 1.0, logits.shape[1]).clamp(0.0, 1.0)
    gamma = base + scale * (1 - g)
    weight = gamma / base
    if parameters.get("weight") is not None:
        weight = weight * vector(parameters["weight"])
    return along(gamma, logits), along(weight, logits)


def equalized_focal(logits: Tensor, target: Tensor, parameters: Parameters) -> Tensor:
    """Li et al., CVPR 2022, equation 7, with the alpha of the code."""
    gamma, weight = dynamic_focus(parameters, logits)
    y, kept = truth_and_mask(logits, target, parameters)
    alpha = parameters.get("alpha", 0.25)
    a, b = (1.0, 1.0) if alpha is None else (alpha, 1.0 - alpha)
    p, q = 1 / (1 + torch.exp(-logits)), 1 / (1 + torch.exp(logits))
    yes, no = -(q**gamma) * torch.log(p), -(p**gamma) * torch.log(q)
    return kept * weight * (a * y * yes + b * (1 - y) * no)


def equalized_quality_focal(logits: Tensor, target: Tensor, parameters: Parameters) -> Tensor:
    """The same with a quality score for a target, from the authors' code: no alpha."""
    gamma, weight = dynamic_focus(parameters, logits)
    score, kept = truth_and_mask(logits, target, parameters)
    p, q = 1 / (1 + torch.exp(-logits)), 1 / (1 + torch.exp(logits))
    entropy = -(score * torch.log(p) + (1 - score) * torch.log(q))
    distance = torch.where(score > 0, (score - p).abs(), p)
    return kept * weight * distance**gamma * entropy


EQUALIZATION: dict[str, Callable[[Tensor, Tensor, Parameters], Tensor]] = {
    "softmax_eql": softmax_eql,
    "sigmoid_eql": sigmoid_eql,
    "equalized_focal": equalized_focal,
    "equalized_quality_focal": equalized_quality_focal,
}


# --- the updates ------------------------------------------------------------------------------


class Official:
    """A loss and its state, batch after batch.

    Attributes:
        call: the loss, `references.Call`.
        positive: accumulated gradient of each class where it was the truth.
        negative: and where it was not.
        steps: batches counted.
    """

    def __init__(self, call: Any, classes: int) -> None:
        self.call = call
        self.classes = classes
        self.positive = torch.zeros(classes, dtype=torch.float64)
        self.negative = torch.zeros(classes, dtype=torch.float64)
        self.steps = 0

    def step(self, logits: Tensor, target: Tensor, **options: Any) -> tuple[Tensor, Tensor]:
        """Value and gradient of a training step, which is counted."""
        value, gradient = self.look(logits, target, **options)
        self.count(logits, target, gradient, **options)
        return value, gradient

    def look(self, logits: Tensor, target: Tensor, **options: Any) -> tuple[Tensor, Tensor]:
        """Value and gradient in the present state, as a validation step would see them."""
        from references import reference_loss

        z = logits.detach().double().requires_grad_()
        value = reference_loss(self._now(), z, target, **options)
        (gradient,) = torch.autograd.grad(value.sum(), z)
        return value.detach(), gradient

    def count(self, logits: Tensor, target: Tensor, gradient: Tensor, **options: Any) -> None:
        """Add a batch whose loss had this gradient."""
        y = self._truth(logits, target)
        if self.call.name == "sigmoid_eql":
            gradient = self._sigmoid_eql_gradient(logits, target)
            if "sample_weight" in options:
                samples = options["sample_weight"]
                gradient = gradient * samples.reshape(-1, *[1] * (logits.dim() - 1))
        axes = [axis for axis in range(logits.dim()) if axis != 1]
        positive = (gradient.abs() * y).sum(dim=axes)[: self.classes]
        negative = (gradient.abs() * (1 - y)).sum(dim=axes)[: self.classes]
        decay = self.call.arguments.get("decay", 1.0)
        self.positive = decay * self.positive + positive
        self.negative = decay * self.negative + negative
        self.steps += 1

    def _now(self) -> Any:
        if self.steps == 0:
            return self.call
        state = {"positive": self.positive.tolist(), "negative": self.negative.tolist()}
        return replace(self.call, state=state)

    def _truth(self, logits: Tensor, target: Tensor) -> Tensor:
        """How an element's gradient is split: its target mass; a quality counts as a whole yes."""
        parameters = self.call.innermost().arguments
        y, _ = truth_and_mask(logits, target, parameters)
        if self.call.name == "equalized_quality_focal":
            return (y > 0).double()
        smoothing = parameters.get("label_smoothing", 0.0)
        return y * (1 - smoothing) + smoothing / logits.shape[1]

    def _sigmoid_eql_gradient(self, logits: Tensor, target: Tensor) -> Tensor:
        """Not divided by N; |sigmoid(x) - y| times the weight, for hard targets."""
        yes, no, y = sigmoid_eql_weights(logits.double(), target, self._with_state())
        p = 1 / (1 + torch.exp(-logits.double()))
        return no * (1 - y) * p - yes * y * (1 - p)

    def _with_state(self) -> Parameters:
        now = self._now()
        return {**now.arguments, **now.state}
