"""Deferred re-weighting: learn from the data as they are first, and from balanced weights last."""

from __future__ import annotations

from typing import Annotated, Any

import torch
from torch import nn

from taylored.core.numerics import state_dtype
from taylored.core.plan.options import Options
from taylored.losses.long_tail.reweighting import Beta, ReweightingLoss, weighted
from taylored.modules.fields.parameter import About
from taylored.modules.spec import Reference, spec_of

__all__ = ["DeferredReweightingLoss"]


class DeferredReweightingLoss(ReweightingLoss):
    r"""A loss with class weights 1 at first, :math:`\propto (1 - \beta) / (1 - \beta^{n_c})` last.

    Re-weighting from the start hurts the features of frequent classes; late in training, at a small
    learning rate, it only moves the decision. `deferred(ldam())` in the catalogue is LDAM-DRW. With
    the sigmoid link the columns of the classes are weighted.

    The training loop says how far it is, once an epoch; without that nothing is re-weighted:

        for epoch in range(epochs):
            loss.set_progress(epoch / epochs)
            ...

    The weights in use are changed in place: no recompilation and no device sync. `fraction`, the
    last progress told, is in the state dict, so that a resumed training goes on with them.

    Shape:
        As for the wrapped loss, `sample_weight` and `normalizer` included.

    Returns:
        What the wrapped loss returns.

    Example:
        >>> import torch
        >>> from taylored import CrossEntropyLoss
        >>> loss = DeferredReweightingLoss(CrossEntropyLoss(), counts=[1000, 10])
        >>> logits, truth = torch.tensor([[2.0, 0.0], [2.0, 0.0]]), torch.tensor([0, 1])
        >>> epochs = 5
        >>> for epoch in range(epochs):
        ...     loss.set_progress(epoch / epochs)
        ...     print(round(loss(logits, truth).item(), 4))
        1.1269
        1.1269
        1.1269
        1.1269
        2.1061

    Inference: `predict` is that of the wrapped loss; `posterior` undoes the weights that count now.
    """

    beta: Beta = 0.9999
    start: Annotated[
        float,
        About(
            "progress from which the weights count; lowering it re-weights for longer: 0 is the "
            "class-balanced loss, 1 never re-weights before the end",
            within="[0, 1]",
            fix="0.8 is the published choice",
            search=(0.5, 0.95),
        ),
    ] = 0.8

    def setup(self) -> None:
        """Start at the beginning of the training."""
        self.fraction = nn.Buffer(torch.zeros((), dtype=state_dtype(), device="cpu"))
        self.register_load_state_dict_post_hook(_in_the_loaded_state)  # type: ignore[no-untyped-call]

    def derive(self) -> None:
        """The weights of the end, and those that count now."""
        self.weights = self.weights_for(self.beta)
        self.current = nn.Buffer(torch.ones_like(self.weights), persistent=False)
        self._choose()

    def schedule(self, fraction: float) -> None:
        """Put the weights in place that belong to this share of the training."""
        self.fraction.fill_(fraction)
        self._choose()

    def fill(self, options: Options) -> Options:
        """The weights that count now."""
        return weighted(options, self.current)

    @torch.no_grad()
    def _choose(self) -> None:
        # Into the same tensor: to a compiled or captured training step nothing has changed.
        late = self.fraction >= self.start
        self.current.copy_(torch.where(late, self.weights, 1.0))


def _in_the_loaded_state(loss: Any, _keys: object) -> None:
    loss._choose()


SPEC = spec_of(
    "deferred",
    DeferredReweightingLoss,
    summary="any loss of the family, with class-balanced weights late in training (DRW)",
    formula=r"w_c\, L(p_t),\quad w_c = 1 \text{ first, then } "
    r"\frac{1 - \beta}{1 - \beta^{n_c}} \text{ with } \sum_c w_c = C",
    reference=Reference(
        "Cao, Wei, Gaidon, Arechiga, Ma",
        "Learning Imbalanced Datasets with Label-Distribution-Aware Margin Loss",
        "NeurIPS 2019",
        "deferred re-balancing",
    ),
    differs={
        "kaidic/LDAM-DRW": "equal to its DRW rule with start=0.8 (from epoch 160 on, of 200); "
        "there the loss is built anew every epoch",
    },
    value_range="that of the wrapped loss, times the weight",
    denominator="that of the wrapped loss",
    examples=(
        "deferred(ldam(scale=2), start=0)",
        'deferred(focal(gamma=2, link="sigmoid"), beta=0.99, start=0)',
    ),
    identities={
        "deferred(poly(epsilon=2))": "poly(epsilon=2)",
        "deferred(cross_entropy(), beta=0.99, start=0)": "class_balanced(cross_entropy(), "
        "beta=0.99)",
    },
)
