"""LDAM: cross-entropy with a margin on the true class that is largest for the rarest."""

from __future__ import annotations

from typing import Annotated, Unpack

import torch
from torch import Tensor, nn

from taylored.core.class_weights import inverse_frequency_weights
from taylored.core.engine.one_pass import p_t_loss
from taylored.core.inputs.logits import Logits
from taylored.core.numerics import computing_dtype
from taylored.core.plan.options import Options, PerClass
from taylored.core.terms.elementary import nll
from taylored.core.terms.shifted import shifted
from taylored.core.terms.term import Term
from taylored.modules.fields.parameter import About
from taylored.modules.function import function_of
from taylored.modules.spec import Reference, spec_of
from taylored.modules.vocabulary import Counts, SmoothedCall, SmoothedLoss

__all__ = ["LDAMLoss", "ldam_loss"]


def ldam_margins(counts: PerClass, max_m: float) -> Tensor:
    """n^(-1/4), scaled so that the rarest class has max_m (Cao et al. 2019)."""
    root = inverse_frequency_weights(counts, power=0.25, dtype=torch.float64)
    return max_m * root / root.max()


class LDAMLoss(SmoothedLoss):
    r"""LDAM, :math:`-\log \left(e^{s (z_t - m_t)} / (e^{s (z_t - m_t)} + \sum e^{s z_k})\right)`.

    The truth has to win by a margin m_k that falls with the fourth root of its class's count: few
    samples need a wide margin to generalise. The loss is for logits that are cosines, of a
    `taylored.CosineClassifier`; on unbounded logits a margin can be bought by larger weights.
    `deferred(ldam())` in the catalogue is LDAM-DRW, the published training. With probabilities as
    target the loss is the expected one: each class takes its own margin where it is the truth.

    Example:
        >>> import torch
        >>> from taylored import CosineClassifier
        >>> loss = LDAMLoss(counts=[160, 10])
        >>> loss.margins.float()
        tensor([0.2500, 0.5000])
        >>> cosines = CosineClassifier(8, 2)(torch.ones(4, 8))
        >>> loss(cosines, torch.tensor([0, 0, 0, 1])).isfinite()
        tensor(True)
        >>> loss.predict(torch.tensor([[0.1, 0.7]])), loss.posterior(torch.tensor([[0.1, 0.7]]))
        (tensor([1]), tensor([[0.0453, 0.9547]]))

    Inference: `predict` is the largest logit; without margins, which belong to training, the
    probabilities would be the softmax of scale times the logits. `posterior` undoes the margins.
    """

    link = "softmax"
    max_m: Annotated[
        float,
        About(
            "margin of the rarest class; the others' are smaller by (n / n_min)^(1/4). Raising it "
            "favours rare classes, 0 is cross-entropy of scaled logits",
            within="[0, inf)",
            fix="0.5 is the published choice; 0 is no margin",
            search=(0.1, 1.0),
        ),
    ] = 0.5
    scale: Annotated[
        float,
        About(
            "multiplies logits and margins; cosines lie in [-1, 1], and raising it lets the "
            "probabilities come closer to 0 and 1",
            within="(0, inf)",
            fix="30 is the published choice",
            search=(8.0, 64.0, "log"),
        ),
    ] = 30.0
    counts: Counts

    def derive(self) -> None:
        """The margin of every class, before it is scaled."""
        self.margins = nn.Buffer(ldam_margins(self.counts, self.max_m), persistent=False)

    @property
    def term(self) -> Term:
        """The loss as a term of the probability of the scaled logits."""
        return shifted(nll, self.scale * self.margins)

    def fill(self, options: Options) -> Options:
        """The options with the scale."""
        return options._replace(temperature=1.0 / self.scale)

    def published(self, outputs: Tensor) -> Tensor:
        """The scaled outputs, without margins."""
        return self.scale * outputs.to(computing_dtype(outputs))


@function_of(LDAMLoss)
def ldam_loss(
    input: Logits,
    target: Tensor,
    *,
    counts: PerClass,
    max_m: float = 0.5,
    scale: float = 30.0,
    **shared: Unpack[SmoothedCall],
) -> Tensor:
    r"""LDAM, :math:`-\log \left(e^{s (z_t - m_t)} / (e^{s (z_t - m_t)} + \sum e^{s z_k})\right)`.

    The function works out the margins at every call; the module does so once.

    Example:
        >>> import torch
        >>> cosines, truth = torch.tensor([[0.3, 0.3]]), torch.tensor([1])
        >>> ldam_loss(cosines, truth, counts=[160, 10], max_m=0.5, scale=4.0)
        tensor(2.1269)
    """
    term = shifted(nll, scale * ldam_margins(counts, max_m))
    return p_t_loss(input, target, term, Options(temperature=1.0 / scale, **shared))


SPEC = spec_of(
    "ldam",
    LDAMLoss,
    ldam_loss,
    summary="cross-entropy with a margin on the true class that grows as its count falls",
    formula=r"-\log \frac{e^{s (z_t - m_t)}}{e^{s (z_t - m_t)} + \sum_{k \ne t} e^{s z_k}},"
    r"\quad m_k \propto n_k^{-1/4}",
    reference=Reference(
        "Cao, Wei, Gaidon, Arechiga, Ma",
        "Learning Imbalanced Datasets with Label-Distribution-Aware Margin Loss",
        "NeurIPS 2019",
        "the LDAM loss with cross-entropy",
    ),
    differs={
        "kaidic/LDAM-DRW": "equal for class indices; runs on CUDA only, with masks of a deprecated "
        "type. There a class without samples gets a NaN and all others no margin. Its NormedLinear "
        "is `CosineClassifier`",
    },
    examples=("ldam(scale=4)", "ldam(max_m=0.3, scale=2, label_smoothing=0.1)"),
    identities={"ldam(max_m=0, scale=1)": "cross_entropy()"},
    head="cosine",
)
