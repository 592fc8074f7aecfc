"""The base of losses that give another loss class weights from the class counts."""

from __future__ import annotations

from typing import Annotated

import torch
from torch import Tensor, nn

from taylored.core.checks import fail
from taylored.core.class_weights import effective_number_weights
from taylored.core.numerics import tensor_of
from taylored.core.plan.options import Options
from taylored.losses.as_loss import as_loss
from taylored.modules.base import parameters_of
from taylored.modules.classification import ClassificationLoss
from taylored.modules.fields.field import positional
from taylored.modules.fields.parameter import About
from taylored.modules.vocabulary import Counts
from taylored.modules.wrapper import WrapperLoss

Beta = Annotated[
    float,
    About(
        "reach of the effective number, 1 / (1 - beta); raising it favours rare classes",
        within="[0, 1]",
        fix="0.9, 0.99, 0.999 and 0.9999 are the published choices",
        search=(0.9, 0.99999, "log"),
    ),
]


class ReweightingLoss(WrapperLoss):
    """A loss around another one that has no class weights yet."""

    loss: Annotated[
        nn.Module,
        About(
            "the loss to weight; it is copied",
            domain="a loss without a `weight` of its own; torch's CrossEntropyLoss and "
            "BCEWithLogitsLoss too",
            fixed=True,
            convert=as_loss,
        ),
    ] = positional(kw_only=False)
    counts: Counts

    def check(self) -> None:
        """Refuse a loss that is weighted already, or has no place for weights."""
        self._refuse_weighted()
        super().check()

    def _refuse_weighted(self) -> None:
        losses = [
            module for module in self.inner.modules() if isinstance(module, ClassificationLoss)
        ]
        takers = [loss for loss in losses if "weight" in parameters_of(type(loss))]
        if any(isinstance(loss, ReweightingLoss) for loss in losses):
            fix = "weight it once: unwrap the inner loss"
        elif not takers:
            fix = "wrap another loss: this one has no weights per class"
        elif any(loss.weight is not None for loss in takers):
            fix = "leave `weight` out of the inner loss: it is the slot that is filled here"
        else:
            return
        fail("loss", "a loss that takes `weight`, and has none of its own", repr(self.inner), fix)

    def weights_for(self, beta: float) -> Tensor:
        """(1 - beta) / (1 - beta^n) for every class, of sum C (Cui et al. 2019, equation 6)."""
        weights = effective_number_weights(self.counts, beta, dtype=torch.float64)
        return nn.Buffer(weights, persistent=False)


def weighted(options: Options, weights: Tensor) -> Options:
    """The options with class weights, times those that they have already."""
    if options.weight is not None:
        weights = weights * tensor_of(options.weight).to(weights)
    return options._replace(weight=weights)
