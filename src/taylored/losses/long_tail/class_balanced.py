"""Class-balanced loss: any loss of the family, weighted by the effective number of samples."""

from __future__ import annotations

from typing import Annotated, Literal

import torch
from torch import Tensor

from taylored.core.checks import fail
from taylored.core.inputs.logits import Logits
from taylored.core.inputs.targets import sigmoid_kind
from taylored.core.links.margins import margins_of
from taylored.core.logistic import log_sigmoid
from taylored.core.plan.options import Options, PerClass
from taylored.core.plan.plan import along_classes
from taylored.core.posterior.calibrated import rows_of
from taylored.core.posterior.prior import Prior, under_prior
from taylored.losses.long_tail.reweighting import Beta, ReweightingLoss, weighted
from taylored.modules.fields.parameter import About
from taylored.modules.spec import Reference, spec_of

__all__ = ["ClassBalancedLoss"]


class ClassBalancedLoss(ReweightingLoss):
    r"""A loss weighted by :math:`(1 - \beta) / (1 - \beta^{n_c})`, normalised to sum C.

    The n-th sample of a class adds beta^(n-1) to its *effective number*: beyond about
    1 / (1 - beta) samples a class counts as full, and all larger classes weigh nearly the same.
    Published choices of beta: 0.9, 0.99, 0.999, 0.9999; 0 changes nothing, 1 is inverse frequency.

    For the sigmoid link, weighting="sample" is the official code: the weight of a sample's class
    multiplies its whole row, negatives included, which needs class-index targets. With "class"
    each column has its own weight on positives and negatives, for multi-label data (as the VidHOI
    code wires it). With the softmax link both are the same. The official sigmoid and focal forms
    divide by the batch size: reduction="batch_mean" in the wrapped loss.

    Shape:
        As for the wrapped loss, `sample_weight` and `normalizer` included.

    Returns:
        What the wrapped loss returns.

    Example:
        >>> import torch
        >>> from taylored import CrossEntropyLoss
        >>> loss = ClassBalancedLoss(CrossEntropyLoss(), counts=[100, 10], beta=0.99)
        >>> loss(torch.tensor([[2.0, 0.0], [2.0, 0.0]]), torch.tensor([0, 1]))
        tensor(1.8648)

    Inference: `predict` is that of the wrapped loss; `posterior` undoes the weights. With
    weighting="sample" its rows sum to one, as each sample has one label.
    """

    beta: Beta = 0.999
    weighting: Annotated[
        Literal["sample", "class"],
        About("sigmoid link: weigh a sample's whole row, or each class column"),
    ] = "sample"

    def derive(self) -> None:
        """The weight of every class."""
        self.weights = self.weights_for(self.beta)

    @property
    def _by_sample(self) -> bool:
        return self.link == "sigmoid" and self.weighting == "sample"

    def fill(self, options: Options) -> Options:
        """Weights per class; those per sample are put in where the target is known."""
        return options if self._by_sample else weighted(options, self.weights)

    def evaluate(self, input: Logits, target: Tensor, options: Options) -> Tensor:
        """The wrapped loss with these options, and the weight of each sample's class."""
        if self._by_sample:
            rows = self._rows(input, target, options.background_index)
            given = options.sample_weight
            weight = rows if given is None else _times(rows, given, input)
            options = options._replace(sample_weight=weight)
        return self.inner.evaluate(input, target, options)

    def calibrated(self, outputs: Tensor, options: Options) -> Tensor:
        """Those of the wrapped loss; for weights by sample, log odds of a single label each."""
        logits = self.inner.calibrated(outputs, options)
        if not self._by_sample:
            return logits
        # Class k is yes with the share of its weighted samples in those of all classes.
        wide = rows_of(logits, "sigmoid")
        log_eta = log_sigmoid(wide) - torch.log(along_classes(self.weights, wide))
        return margins_of(log_eta).reshape(logits.shape)

    def moved(
        self, logits: Tensor, prior: Prior, counts: PerClass | None, num_samples: float | None
    ) -> Tensor:
        """Under another prior; with weights by sample the classes share one label."""
        if not self._by_sample:
            return super().moved(logits, prior, counts, num_samples)
        log_eta = log_sigmoid(rows_of(logits, "sigmoid"))
        log_eta = under_prior(log_eta, "softmax", prior, counts, num_samples)
        return margins_of(log_eta).reshape(logits.shape)

    def _rows(self, input: Logits, target: Tensor, background: int | None) -> Tensor:
        """The weight of each position's class; 1, the mean of all, where it has none."""
        if sigmoid_kind(input, target, background) == "dense":
            fail(
                "target",
                'class indices with weighting="sample" (each row has the weight of its class)',
                f"one truth per element, shape {tuple(target.shape)}",
                'use weighting="class" for multi-label targets',
            )
        inside = (target >= 0) & (target < self.weights.shape[0])
        rows = self.weights[torch.where(inside, target, 0).long()]
        return rows if background is None else torch.where(target == background, 1.0, rows)


def _times(rows: Tensor, sample_weight: Tensor, input: Logits) -> Tensor:
    """Both weights of each position, or element; what fits neither is left to the inner loss."""
    if sample_weight.shape == input.shape:
        return rows.unsqueeze(1) * sample_weight
    if sample_weight.shape == rows.shape[:1]:
        return rows * sample_weight.reshape(-1, *[1] * (rows.dim() - 1))
    return rows * sample_weight if sample_weight.shape == rows.shape else sample_weight


SPEC = spec_of(
    "class_balanced",
    ClassBalancedLoss,
    summary="any loss of the family, weighted by the effective number of samples",
    formula=r"\frac{1 - \beta}{1 - \beta^{n_c}}\, L(p_t),\quad \sum_c w_c = C",
    reference=Reference(
        "Cui, Jia, Lin, Song, Belongie",
        "Class-Balanced Loss Based on Effective Number of Samples",
        "CVPR 2019",
        "equations 6 to 8",
    ),
    differs={
        "richardaecn/class-balanced-loss": "equal with reduction='batch_mean' in the wrapped "
        "loss; its focal modulator overflows below logits of -88 in float32 and then gives the "
        "hardest positives no loss",
        "nizhf/hoi-prediction-gaze-transformer (VidHOI)": "passes the weights as `pos_weight`, "
        "where they multiply positives and negatives: weighting='class' here, with "
        "reduction='mean'; it counts at least 5 samples a class",
        "timm": "its effective-number class weights are these before the use in a loss",
    },
    value_range="that of the wrapped loss, times the weight",
    denominator="that of the wrapped loss; the official code divides by the batch size",
    examples=(
        "class_balanced(cross_entropy(), beta=0.999)",
        "class_balanced(focal(gamma=2), beta=0.9999)",
        'class_balanced(focal(gamma=0.5, link="sigmoid", reduction="batch_mean"), beta=0.99)',
        'class_balanced(focal(gamma=2, link="sigmoid"), beta=0.99, weighting="class")',
    ),
    identities={
        "class_balanced(cross_entropy(), beta=0)": "cross_entropy()",
        "class_balanced(poly(epsilon=2), beta=0)": "poly(epsilon=2)",
    },
)
