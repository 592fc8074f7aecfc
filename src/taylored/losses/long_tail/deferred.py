"""Deferred re-weighting: learn from the data as they are first, and from balanced weights last."""

from __future__ import annotations

import copy
from collections.abc import Sequence
from typing import Any, cast

import torch
from torch import Tensor, nn

from taylored.core.checks import fail, in_range
from taylored.core.class_counts import effective_number_weights
from taylored.core.inputs.logits import Logits
from taylored.core.terms.term import Term
from taylored.modules.spec import REQUIRED, Parameter, Reference, Search, Spec, describe


class DeferredReweightingLoss(nn.Module):
    r"""A loss with class weights 1 at first, :math:`\propto (1 - \beta) / (1 - \beta^{n_c})` last.

    Re-weighting from the start hurts the features of frequent classes; late in training, at a small
    learning rate, it only moves the decision. `deferred(ldam())` in the catalogue is LDAM-DRW.

    The training loop says how far it is, once an epoch; without that nothing is re-weighted:

        for epoch in range(epochs):
            loss.progress(epoch / epochs)
            ...

    The weights are changed in place: no recompilation and no device sync. They and `fraction`, the
    last progress told, are in the state dict, so that a resumed training goes on with them.

    Args:
        loss: a loss of the family, without a `weight` of its own. It is copied. With the sigmoid
            link its classes' columns are weighted.
        counts: training samples per class (`taylored.class_counts`). A class without samples weighs as if
            it had one, with a warning.
        beta: in [0, 1]; raising it favours rare classes more (see `ClassBalancedLoss`).
        start: in [0, 1], the progress from which the weights count; lowering it re-weights for
            longer. 0 is the class-balanced loss, 1 never re-weights before the end.

    Shape:
        As for the wrapped loss, `sample_weight` and `normalizer` included.

    Returns:
        What the wrapped loss returns.

    Raises:
        ValueError: for a loss that has its own `weight`, or a parameter out of its domain.

    Example:
        >>> import torch
        >>> from taylored import CrossEntropyLoss
        >>> loss = DeferredReweightingLoss(CrossEntropyLoss(), counts=[1000, 10])
        >>> logits, truth = torch.tensor([[2.0, 0.0], [2.0, 0.0]]), torch.tensor([0, 1])
        >>> epochs = 5
        >>> for epoch in range(epochs):
        ...     loss.progress(epoch / epochs)
        ...     print(round(loss(logits, truth).item(), 4))
        1.1269
        1.1269
        1.1269
        1.1269
        2.1061

    Inference: the rule of the wrapped loss, `loss.loss.predict` where it has one; the weights
    belong to training.

    Differs from:
        kaidic/LDAM-DRW: equal to its DRW rule with start=0.8 (from epoch 160 on, of 200); there the
            loss is built anew every epoch.

    Reference:
        Cao et al., Learning Imbalanced Datasets with Label-Distribution-Aware Margin Loss,
        NeurIPS 2019, deferred re-balancing.
    """

    counts: Tensor
    weights: Tensor
    fraction: Tensor

    def __init__(
        self,
        loss: nn.Module,
        *,
        counts: Tensor | Sequence[float],
        beta: float = 0.9999,
        start: float = 0.8,
    ) -> None:
        super().__init__()
        base = cast(Any, copy.deepcopy(loss))
        if getattr(base, "weight", REQUIRED) is not None:
            fail(
                "loss",
                "a loss of the family without a `weight` of its own",
                repr(loss),
                "leave `weight` out of the inner loss: it is the slot that is filled here",
            )
        in_range("start", start, 0.0, 1.0, "0.8 is the published choice")
        self.beta = beta
        self.start = start
        self._base = repr(base)
        self.register_buffer("counts", torch.as_tensor(counts), persistent=False)
        self.register_buffer("weights", effective_number_weights(counts, beta))
        self.register_buffer("fraction", torch.zeros(()))
        base.weight = torch.ones_like(self.weights)
        self.loss = base
        self.progress(0.0)

    @property
    def term(self) -> Term:
        """The wrapped loss as a term."""
        return cast(Term, self.loss.term)

    @property
    def link(self) -> str:
        """How logits become probabilities."""
        return cast(str, self.loss.link)

    @torch.no_grad()
    def progress(self, fraction: float) -> None:
        """Say which share of the training is done, in [0, 1]; once an epoch is enough."""
        in_range("fraction", fraction, 0.0, 1.0, "use epoch / epochs")
        self.fraction.fill_(fraction)
        current = cast(Tensor, self.loss.weight)
        # Into the same tensor: to a compiled or captured training step nothing has changed.
        if fraction >= self.start:
            current.copy_(self.weights)
        else:
            current.fill_(1.0)

    def forward(
        self,
        input: Logits,
        target: Tensor,
        *,
        sample_weight: Tensor | None = None,
        normalizer: float | Tensor | None = None,
    ) -> Tensor:
        """The loss of logits against targets."""
        result: Tensor = self.loss(
            input, target, sample_weight=sample_weight, normalizer=normalizer
        )
        return result

    def __repr__(self) -> str:
        return describe(self, SPEC, first=self._base)


SPEC = Spec(
    name="deferred",
    family="long-tail",
    module=DeferredReweightingLoss,
    function=None,
    summary="any loss of the family, with class-balanced weights late in training (DRW)",
    formula=r"w_c\, L(p_t),\quad w_c = 1 \text{ first, then } "
    r"\frac{1 - \beta}{1 - \beta^{n_c}} \text{ with } \sum_c w_c = C",
    parameters=(
        Parameter(
            "beta",
            0.9999,
            "number in [0, 1]",
            "reach of the effective number 1 / (1 - beta); raising it favours rare classes",
            Search(0.9, 0.99999, "log"),
        ),
        Parameter(
            "start",
            0.8,
            "number in [0, 1]",
            "progress from which the weights count; lowering it re-weights for longer",
            Search(0.5, 0.95),
        ),
        Parameter(
            "counts",
            REQUIRED,
            "one number >= 0 per class",
            "training samples per class; taken from the data where that is known",
        ),
    ),
    shared=(),
    links=("softmax", "sigmoid"),
    targets=("index", "probabilities", "multi-hot"),
    value_range="that of the wrapped loss, times the weight",
    denominator="that of the wrapped loss",
    reference=Reference(
        "Cao, Wei, Gaidon, Arechiga, Ma",
        "Learning Imbalanced Datasets with Label-Distribution-Aware Margin Loss",
        "NeurIPS 2019",
        "deferred re-balancing",
    ),
    differs=(
        (
            "kaidic/LDAM-DRW",
            "equal to its DRW rule with start=0.8 (from epoch 160 on, of 200); there the loss is "
            "built anew every epoch",
        ),
    ),
    examples=(
        "deferred(ldam(scale=2), start=0)",
        'deferred(focal(gamma=2, link="sigmoid"), beta=0.99, start=0)',
    ),
    identities=(
        ("deferred(poly(epsilon=2))", "poly(epsilon=2)"),
        (
            "deferred(cross_entropy(), beta=0.99, start=0)",
            "class_balanced(cross_entropy(), beta=0.99)",
        ),
    ),
    inner="required",
    needs=frozenset({"counts"}),
)
