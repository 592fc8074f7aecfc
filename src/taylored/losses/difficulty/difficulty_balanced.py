"""CDB: classes that are classified wrongly more often weigh more."""

from __future__ import annotations

from typing import Annotated

import torch
from torch import Tensor

from taylored.core.checks import fail
from taylored.core.plan.options import Options
from taylored.losses.difficulty.scored import ScoredLoss
from taylored.losses.long_tail.reweighting import weighted
from taylored.modules.base import parameters_of
from taylored.modules.fields.parameter import About
from taylored.modules.spec import Reference, spec_of

__all__ = ["DifficultyBalancedLoss"]

_EASIEST = 0.01
"""A class that is always right keeps this difficulty, or all weights could be 0."""


def difficulty_weights(accuracy: Tensor, tau: float) -> Tensor:
    """(1 - accuracy)^tau, of sum C (Sinha et al. 2020, equations 1 and 2)."""
    weights = (1.0 - accuracy).clamp_min(_EASIEST) ** tau
    return weights * (len(weights) / weights.sum())


class DifficultyBalancedLoss(ScoredLoss):
    r"""CDB, :math:`w_t\,\phi(p_t)` with :math:`w_c \propto (1 - \mathrm{acc}_c)^{\tau}`.

    Rare classes are not always the difficult ones, nor frequent ones easy. The weight of a class
    follows how often its samples are classified wrongly, by a running accuracy over the training;
    a class that was not seen yet counts as never right. At first all weights are 1.

    Shape:
        As for the wrapped loss, `sample_weight` and `normalizer` included. In training the loss
        needs the logits themselves, of which it looks for the largest. `indicator` is the
        `ClassScores`.

    Returns:
        What the wrapped loss returns.

    Example:
        >>> import torch
        >>> loss = DifficultyBalancedLoss(num_classes=2)
        >>> logits = torch.tensor([[2.0, 0.0], [2.0, 0.0]], requires_grad=True)
        >>> truth = torch.tensor([0, 1])
        >>> loss(logits, truth), loss(logits, truth)
        (tensor(1.1269, grad_fn=...), tensor(2.1071, grad_fn=...))
        >>> loss.weights()
        tensor([0.0198, 1.9802], dtype=torch.float64)

    Inference: `predict` is that of the wrapped loss; `posterior` undoes the weights of this moment.
    """

    tau: Annotated[
        float,
        About(
            "power of the difficulty; raising it favours difficult classes more, 0 changes nothing",
            within="[0, inf)",
            fix="0.5 to 2 are the published choices",
            search=(0.5, 2.0),
        ),
    ] = 1.0

    def check(self) -> None:
        """Refuse a loss with another link, or without a place for class weights."""
        takes = "weight" in parameters_of(type(self.inner))
        if self.inner.link != "softmax" or not takes or self.inner.weight is not None:
            known = "a softmax loss that takes `weight`, and has none of its own"
            fail("loss", known, repr(self.inner), "wrap CrossEntropyLoss(), FocalLoss(), ...")
        super().check()

    def score(self, outputs: Tensor) -> Tensor:
        """1 for the class that is predicted."""
        best = outputs.argmax(1, keepdim=True)
        return torch.zeros_like(outputs).scatter(1, best, 1.0)

    def weights(self) -> Tensor:
        """The class weights of the moment."""
        return difficulty_weights(self.indicator.mean(), self.tau)

    def fill(self, options: Options) -> Options:
        """The weights of the moment."""
        return weighted(options, self.weights())


SPEC = spec_of(
    "difficulty_balanced",
    DifficultyBalancedLoss,
    summary="any softmax loss, with class weights from how often each class is wrong (CDB)",
    formula=r"w_t\,\phi(p_t),\quad w_c \propto (1 - \mathrm{acc}_c)^{\tau},\; \sum_c w_c = C",
    reference=Reference(
        "Sinha, Ohashi, Nakamura",
        "Class-Wise Difficulty-Balanced Loss for Solving Class-Imbalance",
        "ACCV 2020",
        "equations 1 and 2",
    ),
    differs={
        "hitachi-rd-cv/CDB-loss": "is given the accuracies on validation data after every epoch, "
        "and builds the loss anew; here they are those of the training batches so far. Its tau can "
        "follow the spread of the accuracies",
    },
    value_range="that of the wrapped loss, times the weight",
    denominator="that of the wrapped loss",
    examples=("difficulty_balanced()", "difficulty_balanced(focal(gamma=2), tau=0.5)"),
    identities={"difficulty_balanced(num_classes=5, tau=0)": "cross_entropy()"},
)
