"""References of margins and scores."""

from __future__ import annotations

import torch
from torch import Tensor

from references.formulas import Parameters, class_weight, is_index, kept_mask, one_hot, softmax
from references.registry import reference


def truths(logits: Tensor, target: Tensor, parameters: Parameters) -> tuple[Tensor, Tensor]:
    """Smoothed truths, and the weight of each position."""
    smoothing, classes = parameters.get("label_smoothing", 0.0), logits.shape[1]
    y = one_hot(target, classes) if is_index(target, logits) else target.double()
    y = y * (1 - smoothing) + smoothing / classes
    weight = (class_weight(parameters, logits) * y).sum(1)
    return y, weight * kept_mask(logits, target, parameters, "softmax")


@reference("brier")
def brier(logits: Tensor, target: Tensor, parameters: Parameters) -> Tensor:
    y, weight = truths(logits, target, parameters)
    return ((softmax(logits) - y) ** 2).sum(1) * weight


@reference("multiclass_hinge")
def multiclass_hinge(logits: Tensor, target: Tensor, parameters: Parameters) -> Tensor:
    y, weight = truths(logits, target, parameters)
    own = (y * logits).sum(1)
    found = []
    for j in range(logits.shape[1]):
        short = torch.relu(parameters.get("margin", 1.0) - own + logits[:, j])
        found.append(short ** parameters.get("power", 1.0) * (y[:, j] == 0))
    every = torch.stack(found, 1)
    strongest = parameters.get("rivals", "strongest") == "strongest"
    return (every.max(1).values if strongest else every.mean(1)) * weight


def margin_of(score: Tensor, answer: Tensor) -> Tensor:
    """y f with y in {-1, 1}, as the papers write it."""
    return (2 * answer.double() - 1) * score


@reference("hinge")
def hinge(score: Tensor, answer: Tensor, parameters: Parameters) -> Tensor:
    return torch.relu(parameters.get("margin", 1.0) - margin_of(score, answer))


@reference("squared_hinge")
def squared_hinge(score: Tensor, answer: Tensor, parameters: Parameters) -> Tensor:
    return torch.relu(1 - margin_of(score, answer)) ** 2


@reference("modified_huber")
def modified_huber(score: Tensor, answer: Tensor, parameters: Parameters) -> Tensor:
    m = margin_of(score, answer)
    return torch.where(m >= -1, torch.relu(1 - m) ** 2, -4 * m)


@reference("logistic")
def logistic(score: Tensor, answer: Tensor, parameters: Parameters) -> Tensor:
    return torch.log(1 + torch.exp(-margin_of(score, answer)))


@reference("exponential")
def exponential(score: Tensor, answer: Tensor, parameters: Parameters) -> Tensor:
    return torch.exp(-margin_of(score, answer))


@reference("perceptron")
def perceptron(score: Tensor, answer: Tensor, parameters: Parameters) -> Tensor:
    return torch.relu(-margin_of(score, answer))


@reference("margin_ranking")
def margin_ranking(one: Tensor, two: Tensor, order: Tensor, parameters: Parameters) -> Tensor:
    return torch.relu(-order.double() * (one - two) + parameters.get("margin", 0.0))


@reference("zero_one")
def zero_one(score: Tensor, answer: Tensor, parameters: Parameters) -> Tensor:
    return ((score > 0) != (answer == 1)).double()
