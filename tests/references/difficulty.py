"""References of the losses of `losses/difficulty`, given the scores so far."""

from __future__ import annotations

import torch
from torch import Tensor

from references.call import Call
from references.formulas import Parameters, along
from references.registry import losses_of, reference


def means(parameters: Parameters, initial: float) -> list[float]:
    """The mean score of each class; without a state none has been seen."""
    none = [0.0] * parameters["num_classes"]
    pairs = zip(parameters.get("total", none), parameters.get("number", none), strict=True)
    return [total / number if number else initial for total, number in pairs]


def inner_of(parameters: Parameters) -> Call:
    return parameters.get("loss", Call("cross_entropy", None, {}))


def difficulty_weights(parameters: Parameters) -> Tensor:
    """Sinha et al. 2020, equations 1 and 2."""
    difficulty = [
        max(0.01, 1 - mean) ** parameters.get("tau", 1.0) for mean in means(parameters, 0)
    ]
    weights = [len(difficulty) * d / sum(difficulty) for d in difficulty]
    return torch.tensor(weights, dtype=torch.float64)


@reference("difficulty_balanced", class_weights=difficulty_weights)
def difficulty_balanced(logits: Tensor, target: Tensor, parameters: Parameters) -> Tensor:
    weights = difficulty_weights(parameters).tolist()
    return losses_of(inner_of(parameters).having(weight=weights), logits, target)


@reference("equilibrium")
def equilibrium(logits: Tensor, target: Tensor, parameters: Parameters) -> Tensor:
    """Feng et al. 2021: exponentials times the mean scores."""
    scores = means(parameters, parameters.get("initial", 0.01))
    bias = [
        parameters.get("tau", 1.0) * torch.log(torch.tensor(s, dtype=torch.float64)) for s in scores
    ]
    return losses_of(inner_of(parameters), logits + along(torch.stack(bias), logits), target)
