"""Class-balanced loss: any loss of the family, weighted by the effective number of samples."""

from __future__ import annotations

import copy
from collections.abc import Sequence
from typing import Any, Literal, cast

import torch
from torch import Tensor, nn

from taylored.core.checks import fail, one_of
from taylored.core.class_counts import effective_number_weights
from taylored.core.inputs.logits import Logits
from taylored.core.inputs.targets import sigmoid_kind
from taylored.core.terms.term import Term
from taylored.modules.spec import REQUIRED, Parameter, Reference, Search, Spec, describe

Weighting = Literal["sample", "class"]


def class_balanced(
    loss: nn.Module,
    *,
    counts: Tensor | Sequence[float],
    beta: float = 0.999,
    weighting: Weighting = "sample",
) -> ClassBalancedLoss:
    """Wrap a loss of the family: `ClassBalancedLoss`, which documents the parameters.

    Example:
        >>> from taylored import FocalLoss
        >>> class_balanced(FocalLoss(gamma=2.0), counts=[100, 10], beta=0.99)
        class_balanced(focal(gamma=2), beta=0.99, counts=[100, 10])
    """
    return ClassBalancedLoss(loss, counts=counts, beta=beta, weighting=weighting)


class ClassBalancedLoss(nn.Module):
    r"""A loss weighted by :math:`(1 - \beta) / (1 - \beta^{n_c})`, normalised to sum C.

    The n-th sample of a class adds beta^(n-1) to its *effective number*: beyond about
    1 / (1 - beta) samples a class counts as full, and all larger classes weigh nearly the same.

    Args:
        loss: a loss of the family, without a `weight` of its own. It is copied.
        counts: training samples per class (`taylored.class_counts`). For multi-label data, positives per
            class. Classes without samples weigh as if they had one, with a warning.
        beta: in [0, 1]; raising it favours rare classes more. 0 changes nothing, 1 is inverse
            frequency. Published choices: 0.9, 0.99, 0.999, 0.9999.
        weighting: for the sigmoid link. "sample", as in the official code: the weight of a sample's
            class multiplies its whole row, negatives included (needs class-index targets).
            "class": each column has its own weight on positives and negatives, for multi-label data
            (as the VidHOI code wires it). With the softmax link both are the same.

    Shape:
        As for the wrapped loss, `sample_weight` and `normalizer` included. The official sigmoid and
        focal forms divide by the batch size: reduction="batch_mean" in the wrapped loss.

    Returns:
        What the wrapped loss returns.

    Raises:
        ValueError: for a loss that has its own `weight`, a beta outside [0, 1], or multi-hot
            targets with "sample".

    Example:
        >>> import torch
        >>> from taylored import CrossEntropyLoss
        >>> loss = ClassBalancedLoss(CrossEntropyLoss(), counts=[100, 10], beta=0.99)
        >>> loss(torch.tensor([[2.0, 0.0], [2.0, 0.0]]), torch.tensor([0, 1]))
        tensor(1.8648)

    Differs from:
        richardaecn/class-balanced-loss: equal with reduction='batch_mean' in the wrapped loss; its
            focal modulator overflows below logits of -88 in float32 and then gives the hardest
            positives no loss.
        nizhf/hoi-prediction-gaze-transformer (VidHOI): passes the weights as `pos_weight`, where
            they multiply positives and negatives: weighting='class' here, with reduction='mean'; it
            counts at least 5 samples a class.
        timm: its effective-number class weights are these before the use in a loss.

    Reference:
        Cui et al., Class-Balanced Loss Based on Effective Number of Samples, CVPR 2019,
        equations 6 to 8.
    """

    weights: Tensor
    counts: Tensor

    def __init__(
        self,
        loss: nn.Module,
        *,
        counts: Tensor | Sequence[float],
        beta: float = 0.999,
        weighting: Weighting = "sample",
    ) -> None:
        super().__init__()
        one_of("weighting", weighting, ("sample", "class"))
        base = cast(Any, copy.deepcopy(loss))
        if getattr(base, "weight", REQUIRED) is not None:
            fail(
                "loss",
                "a loss of the family without a `weight` of its own",
                repr(loss),
                "leave `weight` out of the inner loss, or multiply the two by hand",
            )
        self.beta = beta
        self.weighting = weighting
        self._base = repr(base)
        self.register_buffer("counts", torch.as_tensor(counts), persistent=False)
        self.register_buffer("weights", effective_number_weights(counts, beta))
        self._by_sample = base.link == "sigmoid" and weighting == "sample"
        if not self._by_sample:
            base.weight = self.weights
        self.loss = base

    @property
    def term(self) -> Term:
        """The wrapped loss as a term."""
        return cast(Term, self.loss.term)

    @property
    def link(self) -> str:
        """How logits become probabilities."""
        return cast(str, self.loss.link)

    def forward(
        self,
        input: Logits,
        target: Tensor,
        *,
        sample_weight: Tensor | None = None,
        normalizer: float | Tensor | None = None,
    ) -> Tensor:
        """The loss of logits against targets."""
        if self._by_sample:
            rows = self._rows(input, target)
            sample_weight = rows if sample_weight is None else _times(rows, sample_weight, input)
        result: Tensor = self.loss(
            input, target, sample_weight=sample_weight, normalizer=normalizer
        )
        return result

    def _rows(self, input: Logits, target: Tensor) -> Tensor:
        """The weight of each position's class."""
        if sigmoid_kind(input, target) == "dense":
            fail(
                "target",
                'class indices with weighting="sample" (each row has the weight of its class)',
                f"one truth per element, shape {tuple(target.shape)}",
                'use weighting="class" for multi-label targets',
            )
        inside = (target >= 0) & (target < self.weights.shape[0])
        return self.weights[torch.where(inside, target, 0).long()]

    def __repr__(self) -> str:
        return describe(self, SPEC, first=self._base)


def _times(rows: Tensor, sample_weight: Tensor, input: Logits) -> Tensor:
    """Both weights of each position, or element; what fits neither is left to the inner loss."""
    if sample_weight.shape == input.shape:
        return rows.unsqueeze(1) * sample_weight
    if sample_weight.shape == rows.shape[:1]:
        return rows * sample_weight.reshape(-1, *[1] * (rows.dim() - 1))
    return rows * sample_weight if sample_weight.shape == rows.shape else sample_weight


SPEC = Spec(
    name="class_balanced",
    family="classification",
    module=ClassBalancedLoss,
    function=class_balanced,
    summary="any loss of the family, weighted by the effective number of samples",
    formula=r"\frac{1 - \beta}{1 - \beta^{n_c}}\, L(p_t),\quad \sum_c w_c = C",
    parameters=(
        Parameter(
            "beta",
            0.999,
            "number in [0, 1]",
            "reach of the effective number 1 / (1 - beta); raising it favours rare classes",
            Search(0.9, 0.99999, "log"),
        ),
        Parameter(
            "weighting",
            "sample",
            '"sample" or "class"',
            "sigmoid link: weigh a sample's whole row, or each class column",
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
    denominator="that of the wrapped loss; the official code divides by the batch size",
    reference=Reference(
        "Cui, Jia, Lin, Song, Belongie",
        "Class-Balanced Loss Based on Effective Number of Samples",
        "CVPR 2019",
        "equations 6 to 8",
    ),
    differs=(
        (
            "richardaecn/class-balanced-loss",
            "equal with reduction='batch_mean' in the wrapped loss; its focal modulator overflows "
            "below logits of -88 in float32 and then gives the hardest positives no loss",
        ),
        (
            "nizhf/hoi-prediction-gaze-transformer (VidHOI)",
            "passes the weights as `pos_weight`, where they multiply positives and negatives: "
            "weighting='class' here, with reduction='mean'; it counts at least 5 samples a class",
        ),
        ("timm", "its effective-number class weights are these before the use in a loss"),
    ),
    examples=(
        "class_balanced(cross_entropy(), beta=0.999)",
        "class_balanced(focal(gamma=2), beta=0.9999)",
        'class_balanced(focal(gamma=0.5, link="sigmoid", reduction="batch_mean"), beta=0.99)',
        'class_balanced(focal(gamma=2, link="sigmoid"), beta=0.99, weighting="class")',
    ),
    identities=(
        ("class_balanced(cross_entropy(), beta=0)", "cross_entropy()"),
        ("class_balanced(poly(epsilon=2), beta=0)", "poly(epsilon=2)"),
    ),
    inner="required",
    needs=frozenset({"counts"}),
)
