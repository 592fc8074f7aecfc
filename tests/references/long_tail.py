"""References of the losses of `losses/long_tail`: counts, wrappers, and losses with state."""

from __future__ import annotations

import math

import torch
from torch import Tensor

from references.call import Call
from references.formulas import (
    Parameters,
    along,
    class_weight,
    elements,
    is_index,
    kept_mask,
    nll,
    one_hot,
    sigmoid_losses,
    softmax,
)
from references.registry import losses_of, reference


def class_balanced_weights(counts: object, beta: float) -> Tensor:
    """The official code's formula: 1 - beta over 1 - beta^n, then normalised to sum C."""
    weights = [n * 0 + 1 / n if beta == 1 else (1 - beta) / (1 - beta**n) for n in counts]
    total = math.fsum(weights)
    return torch.tensor([w * len(weights) / total for w in weights], dtype=torch.float64)


def weights_of_class_balanced(parameters: Parameters) -> Tensor:
    return class_balanced_weights(parameters["counts"], parameters.get("beta", 0.999))


@reference("class_balanced", class_weights=weights_of_class_balanced)
def class_balanced(logits: Tensor, target: Tensor, parameters: Parameters) -> Tensor:
    """Cui et al. 2019, equations 6 to 8; per sample or per class column."""
    inner: Call = parameters["loss"]
    weights = weights_of_class_balanced(parameters)
    if inner.link() == "softmax" or parameters.get("weighting", "sample") == "class":
        return losses_of(inner.having(weight=weights.tolist()), logits, target)
    rows = (one_hot(target, logits.shape[1]) * along(weights, logits)).sum(dim=1, keepdim=True)
    return losses_of(inner, logits, target) * rows


def deferred_weights(parameters: Parameters) -> Tensor:
    """Ones until the training is `start` far, and it has just begun."""
    counts = [max(1, n) for n in parameters["counts"]]
    if parameters.get("start", 0.8) > 0:
        return torch.ones(len(counts), dtype=torch.float64)
    return class_balanced_weights(counts, parameters.get("beta", 0.9999))


@reference("deferred", class_weights=deferred_weights)
def deferred(logits: Tensor, target: Tensor, parameters: Parameters) -> Tensor:
    """Cao et al. 2019: the inner loss with the weights of this moment."""
    weighted = parameters["loss"].having(weight=deferred_weights(parameters).tolist())
    return losses_of(weighted, logits, target)


# --- class counts on the logits ---------------------------------------------------------------


def counted(parameters: Parameters) -> Tensor:
    """Samples per class; a class without any counts as one."""
    return torch.tensor([max(1.0, float(n)) for n in parameters["counts"]], dtype=torch.float64)


def cross_entropy_with(
    factors: Tensor, logits: Tensor, target: Tensor, parameters: Parameters
) -> Tensor:
    """Cross-entropy with the exponentials multiplied by a factor per class."""
    masses = along(factors, logits) * torch.exp(logits)
    p = masses / masses.sum(dim=1, keepdim=True)
    y = one_hot(target, logits.shape[1]) if is_index(target, logits) else target.double()
    smoothing = parameters.get("label_smoothing", 0.0)
    y = y * (1 - smoothing) + smoothing / logits.shape[1]
    weight = class_weight(parameters, logits)
    losses = -(weight * y * torch.log(p)).sum(dim=1)
    return losses * kept_mask(logits, target, parameters, "softmax")


@reference("seesaw")
def seesaw(logits: Tensor, target: Tensor, parameters: Parameters) -> Tensor:
    """Wang et al. 2021, one matrix of mitigation factors and one of compensation factors."""
    n, classes = counted(parameters), logits.shape[1]
    mitigation = torch.clamp(n.unsqueeze(0) / n.unsqueeze(1), max=1.0) ** parameters.get("p", 0.8)
    p = torch.softmax(logits.detach(), dim=1)
    y = one_hot(target, classes) * class_weight(parameters, logits)
    losses = torch.zeros_like(logits[:, 0])
    for truth in range(classes):
        reached = p[:, truth].clamp(min=0.01).unsqueeze(1)
        factors = along(mitigation[truth], logits)
        factors = factors * torch.clamp(p / reached, min=1.0) ** parameters.get("q", 2.0)
        own = along((torch.arange(classes) == truth).double(), logits)
        masses = torch.exp(logits) * (own + (1 - own) * factors)
        losses = losses - y[:, truth] * torch.log(masses[:, truth] / masses.sum(dim=1))
    return losses * kept_mask(logits, target, parameters, "softmax")


@reference("equalization")
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
    weight = class_weight(parameters, logits)
    assert parameters.get("label_smoothing", 0.0) == 0.0
    losses = (weight * y * -torch.log(torch.where(y > 0, p, 1.0))).sum(dim=1)
    return losses * kept_mask(logits, target, parameters, "softmax")


@reference("influence_balanced")
def influence_balanced(logits: Tensor, target: Tensor, parameters: Parameters) -> Tensor:
    """Park et al. 2021, equation 9, the divisor constant."""
    p, y = softmax(logits), one_hot(target, logits.shape[1])
    features = parameters["features"].double().abs().sum(dim=1)
    influence = (p - y).abs().sum(dim=1) * features
    losses = -(y * torch.log(p)).sum(dim=1)
    return parameters.get("scale", 1000.0) * losses / (influence.detach() + 1e-3)


# --- losses that follow their own gradients ---------------------------------------------------
# Parameters without "positive" and "negative" mean a loss that has not seen a batch yet.

GUARD = 1e-10  # of the official ratio, under the bar


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


def softmax_eql_bias(parameters: Parameters) -> Tensor:
    """What Softmax-EQL adds to the logits; up to one constant, which softmax does not see."""
    collected = vector(parameters.get("positive", [0.0] * parameters["num_classes"]))
    tau = parameters.get("tau", 1.0)
    if parameters.get("floor", "gradient") == "gradient":  # "softmax_eql"
        return tau * torch.log(collected.clamp(min=1e-4))
    share = collected / (collected.sum() + 1e-4)  # "softmax_eqlv2"
    return torch.log(share**tau + 1e-9)


@reference("softmax_eql")
def softmax_eql(logits: Tensor, target: Tensor, parameters: Parameters) -> Tensor:
    """Tan et al., arXiv 2210.05566: the inner loss of logits with the bias."""
    inner: Call = parameters.get("loss", Call("cross_entropy", None, {}))
    return losses_of(inner, logits + along(softmax_eql_bias(parameters), logits), target)


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


@reference("sigmoid_eql")
def sigmoid_eql(logits: Tensor, target: Tensor, parameters: Parameters) -> Tensor:
    """Tan et al., CVPR 2021, equations 4 to 6; binary cross-entropy, weighted both ways."""
    yes, no, y = sigmoid_eql_weights(logits, target, parameters)
    log_p, log_q = -torch.log(1 + torch.exp(-logits)), -torch.log(1 + torch.exp(logits))
    return -(yes * y * log_p + no * (1 - y) * log_q)


def dynamic_focus(parameters: Parameters, logits: Tensor) -> tuple[Tensor, Tensor]:
    """gamma_j and the weight gamma_j / gamma_b, of the ratio clamped to [0, 1]."""
    base, scale = parameters.get("gamma", 2.0), parameters.get("scale", 8.0)
    g = ratio(parameters, 1.0, logits.shape[1]).clamp(0.0, 1.0)
    gamma = base + scale * (1 - g)
    weight = gamma / base
    if parameters.get("weight") is not None:
        weight = weight * vector(parameters["weight"])
    return along(gamma, logits), along(weight, logits)


@reference("equalized_focal")
def equalized_focal(logits: Tensor, target: Tensor, parameters: Parameters) -> Tensor:
    """Li et al., CVPR 2022, equation 7, with the alpha of the code."""
    gamma, weight = dynamic_focus(parameters, logits)
    y, kept = truth_and_mask(logits, target, parameters)
    alpha = parameters.get("alpha", 0.25)
    a, b = (1.0, 1.0) if alpha is None else (alpha, 1.0 - alpha)
    p, q = 1 / (1 + torch.exp(-logits)), 1 / (1 + torch.exp(logits))
    yes, no = -(q**gamma) * torch.log(p), -(p**gamma) * torch.log(q)
    return kept * weight * (a * y * yes + b * (1 - y) * no)


@reference("equalized_quality_focal")
def equalized_quality_focal(logits: Tensor, target: Tensor, parameters: Parameters) -> Tensor:
    """The same with a quality score for a target, from the authors' code: no alpha."""
    gamma, weight = dynamic_focus(parameters, logits)
    score, kept = truth_and_mask(logits, target, parameters)
    p, q = 1 / (1 + torch.exp(-logits)), 1 / (1 + torch.exp(logits))
    entropy = -(score * torch.log(p) + (1 - score) * torch.log(q))
    distance = torch.where(score > 0, (score - p).abs(), p)
    return kept * weight * distance**gamma * entropy


@reference("ecm")
def ecm(logits: Tensor, target: Tensor, parameters: Parameters) -> Tensor:
    """Cho and Kraehenbuehl 2022, as published: a quotient of two weighted exponentials."""
    y, coefficient = elements(logits, target, parameters)
    smoothing = parameters.get("label_smoothing", 0.0)
    y = y * (1 - smoothing) + smoothing / 2
    given = parameters.get("num_samples")
    present = [max(float(n), 1.0) for n in parameters["counts"]]
    total = max(2.0, sum(present) if given is None else given)
    yes = [min(n, total - 1.0) for n in present]
    no = [total - n for n in yes]
    both = [a**0.25 + b**0.25 for a, b in zip(yes, no, strict=True)]
    for_yes = along([s / b**0.25 for s, b in zip(both, no, strict=True)], logits)
    for_no = along([s / a**0.25 for s, a in zip(both, yes, strict=True)], logits)
    up, down = for_yes * torch.exp(logits), for_no * torch.exp(-logits)
    ratio = along([b / a for a, b in zip(yes, no, strict=True)], logits)
    weight = ratio * torch.log((1 + ratio) / ratio)
    entropy = -y * torch.log(up / (up + down)) - (1 - y) * torch.log(down / (up + down))
    return coefficient * weight * entropy


@reference("balanced_experts")
def balanced_experts(logits: Tensor, target: Tensor, parameters: Parameters) -> Tensor:
    """Aimar et al. 2023: shares of the log prior, evenly around 1, for the stacked experts."""
    n, experts, spread = counted(parameters), len(logits), parameters.get("spread", 1.0)
    total = torch.zeros_like(logits[0, :, 0])
    for e, expert in enumerate(logits):
        share = 1 - spread + 2 * spread * e / (experts - 1) if experts > 1 else 1.0
        factors = (n / n.sum()) ** share
        total = total + cross_entropy_with(factors, expert, target, parameters) / experts
    return total
