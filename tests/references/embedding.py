"""References of the losses of embeddings: anchor by anchor, in loops."""

from __future__ import annotations

import math
from collections.abc import Callable

import torch
from torch import Tensor

from references.formulas import (
    Parameters,
    class_weight,
    is_index,
    kept_mask,
    nll,
    one_hot,
    softmax,
    softmax_losses,
)
from references.registry import reference

Anchor = Callable[[Tensor, Tensor, Parameters], "Tensor | None"]
"""Cosines to the positives and to the negatives of an anchor to its loss; None if it has none."""


def reference_of_anchors(name: str) -> Callable[[Anchor], Anchor]:
    """The reference is what one anchor costs; NaN marks the anchors that do not count."""

    def register(anchor: Anchor) -> Anchor:
        @reference(name)
        def values(input: Tensor, target: Tensor, parameters: Parameters) -> Tensor:
            units = input / input.square().sum(1, keepdim=True).sqrt()
            ignored, found = parameters.get("ignore_index", -100), []
            for i in range(len(units)):
                others = [j for j in range(len(units)) if j != i and target[j] != ignored]
                own = [j for j in others if target[j] == target[i]]
                apart = [j for j in others if target[j] != target[i]]
                cost = None
                if target[i] != ignored:
                    cost = anchor(units[own] @ units[i], units[apart] @ units[i], parameters)
                found.append(input.new_tensor(float("nan")) if cost is None else cost)
            return torch.stack(found)

        return anchor

    return register


@reference_of_anchors("supervised_contrastive")
def supervised_contrastive(own: Tensor, apart: Tensor, parameters: Parameters) -> Tensor | None:
    if not len(own):
        return None
    t = parameters.get("temperature", 0.1)
    total = (own / t).exp().sum() + (apart / t).exp().sum()
    return -torch.log((own / t).exp() / total).mean()


@reference_of_anchors("triplet")
def triplet(own: Tensor, apart: Tensor, parameters: Parameters) -> Tensor | None:
    if not len(own) or not len(apart):
        return None
    m = parameters.get("margin", 0.2)
    near, far = 2 - 2 * own, 2 - 2 * apart
    if parameters.get("mining") != "semihard":
        return torch.relu(near.max() - far.min() + m)
    costs = []
    for d in near:
        farther = [x for x in far if x > d]
        chosen = min(farther) if farther else far.max()
        costs.append(torch.relu(d - chosen + m))
    return torch.stack(costs).mean()


@reference_of_anchors("multi_similarity")
def multi_similarity(own: Tensor, apart: Tensor, parameters: Parameters) -> Tensor | None:
    if not len(own) and not len(apart):
        return None
    a, b, base = (parameters.get(k, d) for k, d in (("alpha", 2.0), ("beta", 50.0), ("base", 0.5)))
    positive = torch.log(1 + torch.exp(-a * (own - base)).sum()) / a
    return positive + torch.log(1 + torch.exp(b * (apart - base)).sum()) / b


@reference_of_anchors("circle")
def circle(own: Tensor, apart: Tensor, parameters: Parameters) -> Tensor | None:
    if not len(own) or not len(apart):
        return None
    m, gamma = parameters.get("margin", 0.25), parameters.get("scale", 256.0)
    a_p = torch.relu(1 + m - own).detach()
    a_n = torch.relu(apart + m).detach()
    positive = torch.exp(-gamma * a_p * (own - (1 - m))).sum()
    return torch.log(1 + torch.exp(gamma * a_n * (apart - m)).sum() * positive)


@reference_of_anchors("contrastive")
def contrastive(own: Tensor, apart: Tensor, parameters: Parameters) -> Tensor | None:
    if not len(own) and not len(apart):
        return None
    m, total = parameters.get("margin", 1.0), own.new_zeros(())
    if len(own):
        total = total + (2 - 2 * own).mean()
    if len(apart):
        total = total + (torch.relu(m - (2 - 2 * apart).sqrt()) ** 2).mean()
    return total


@reference("cosface")
def cosface(logits: Tensor, target: Tensor, parameters: Parameters) -> Tensor:
    """The margin is taken off the logit of each class where it is the truth."""
    s, m, c = parameters.get("scale", 64.0), parameters.get("margin", 0.35), logits.shape[1]
    smoothing = parameters.get("label_smoothing", 0.0)
    y = one_hot(target, c) if is_index(target, logits) else target.double()
    y = y * (1 - smoothing) + smoothing / c
    losses = []
    for k in range(c):
        moved = logits - m * one_hot(torch.full_like(logits[:, 0], k), c)
        losses.append(-torch.log(softmax(s * moved)[:, k]))
    weighted = class_weight(parameters, logits) * y * torch.stack(losses, 1)
    return weighted.sum(1) * kept_mask(logits, target, parameters, "softmax")


def with_true_cosine(
    logits: Tensor, target: Tensor, parameters: Parameters, moved: Callable[[Tensor], Tensor]
) -> Tensor:
    """Cross-entropy of scaled cosines, of which the true one is replaced by a function of its own.

    What is no cosine is moved by as much as the nearest one.
    """
    kept = kept_mask(logits, target, parameters, "softmax")
    hot = one_hot(torch.where(kept > 0, target, 0), logits.shape[1])
    own = (hot * logits).sum(1)
    cosine = torch.where(own.abs() < 1, own, own.detach().clamp(-1, 1))
    z = parameters["scale"] * (logits + hot * (moved(cosine) - cosine).unsqueeze(1))
    weight = (hot * class_weight(parameters, logits)).sum(1)
    return -torch.log((hot * softmax(z)).sum(1)) * weight * kept


def angle_of(cosine: Tensor) -> Tensor:
    """With a derivative of 0 where there is none."""
    end = cosine.abs() == 1
    return torch.where(end, torch.acos(cosine.detach()), torch.acos(torch.where(end, 0.0, cosine)))


@reference("arcface")
def arcface(logits: Tensor, target: Tensor, parameters: Parameters) -> Tensor:
    m = parameters.get("margin", 0.5)

    def moved(cosine: Tensor) -> Tensor:
        angle = angle_of(cosine)
        return torch.where(angle + m >= math.pi, cosine - m * math.sin(m), torch.cos(angle + m))

    return with_true_cosine(logits, target, {"scale": 64.0, **parameters}, moved)


@reference("adaface")
def adaface(logits: Tensor, target: Tensor, parameters: Parameters) -> Tensor:
    """Kim et al. 2022, equations 8 to 10, by a state of mean and deviation of the norms."""
    m, h = parameters.get("margin", 0.4), parameters.get("h", 0.333)
    mean, deviation = parameters.get("norms", (20.0, 100.0))
    norms = parameters["features"].double().square().sum(1).sqrt().clamp(1e-3, 100)
    quality = (h * (norms - mean) / (deviation + 1e-3)).clamp(-1, 1)

    def moved(cosine: Tensor) -> Tensor:
        angle, turn = angle_of(cosine), -m * quality
        line = cosine - turn * torch.sin(turn)
        turned = torch.where(angle + turn >= math.pi, line, torch.cos(angle + turn))
        return torch.where(angle + turn <= 0, 1.0, turned) - (m * quality + m)

    return with_true_cosine(logits, target, {"scale": 64.0, **parameters}, moved)


@reference("adacos")
def adacos(logits: Tensor, target: Tensor, parameters: Parameters) -> Tensor:
    """Zhang et al. 2019, equation 12: the fixed scale."""
    scale = math.sqrt(2) * math.log(max(2, logits.shape[1] - 1))
    return softmax_losses(nll, scale * logits, target, parameters)


@reference("proxy_anchor")
def proxy_anchor(cosines: Tensor, target: Tensor, parameters: Parameters) -> Tensor:
    """Kim et al. 2020, equation 4: class by class, over the samples of the batch."""
    margin, scale = parameters.get("margin", 0.1), parameters.get("scale", 32.0)
    kept = kept_mask(cosines, target, parameters, "softmax") > 0
    classes, rows, truths = cosines.shape[1], cosines.movedim(1, -1)[kept], target[kept]
    pulled, pushed = [], []
    for k in range(classes):
        own, other = rows[truths == k, k], rows[truths != k, k]
        pushed.append(torch.log(1 + torch.exp(scale * (other + margin)).sum()))
        if len(own):
            pulled.append(torch.log(1 + torch.exp(-scale * (own - margin)).sum()))
    return torch.stack(pulled).mean() + torch.stack(pushed).mean()


@reference("hinge_embedding")
def hinge_embedding(distance: Tensor, together: Tensor, parameters: Parameters) -> Tensor:
    apart = torch.relu(parameters.get("margin", 1.0) - distance)
    return torch.where(together == 1, distance, apart)


@reference("cosine_embedding")
def cosine_embedding(one: Tensor, two: Tensor, together: Tensor, parameters: Parameters) -> Tensor:
    cosine = (one * two).sum(-1) / ((one**2).sum(-1) * (two**2).sum(-1)).sqrt()
    return torch.where(together == 1, 1 - cosine, torch.relu(cosine - parameters.get("margin", 0)))


@reference("center")
def center(features: Tensor, target: Tensor, parameters: Parameters) -> Tensor:
    """Wen et al. 2016, equation 2, at the centers where they start."""
    return features.square().sum(-1) / 2
