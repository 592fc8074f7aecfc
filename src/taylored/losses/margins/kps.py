"""KPS: a scale per class on the logits and a margin per class on the true one."""

from __future__ import annotations

import math
from typing import Annotated, Unpack

import torch
from torch import Tensor, nn

from taylored.core.class_weights import present_counts
from taylored.core.engine.one_pass import p_t_loss
from taylored.core.inputs.logits import Logits
from taylored.core.numerics import computing_dtype, tensor_of
from taylored.core.plan.options import Options, PerClass
from taylored.core.terms.elementary import nll
from taylored.core.terms.shifted import shifted
from taylored.core.terms.term import Term
from taylored.modules.fields.parameter import About
from taylored.modules.function import function_of
from taylored.modules.spec import Reference, spec_of
from taylored.modules.vocabulary import Counts, SmoothedCall, SmoothedLoss

__all__ = ["KPSLoss", "kps_loss"]

_START = 50.0
"""What the counts are scaled to before their logarithm, for the rarest class, as published."""


def class_factors(counts: PerClass) -> Tensor:
    """log(50 n / n_min) / log 50: 1 for the rarest class, more for the others."""
    n = tensor_of(present_counts(counts), torch.float64)
    return torch.log(_START * n / n.min()) / math.log(_START)


def mirrored_margins(factors: Tensor, max_m: float) -> Tensor:
    """Margins that the classes have in the opposite order of their factors, up to max_m.

    Classes with the same count have the same margin, the mean of those of their places.
    """
    order = torch.argsort(factors, descending=True)
    placed = torch.empty_like(factors)
    placed[order] = factors[order].flip(0)
    alike = (factors.unsqueeze(0) == factors.unsqueeze(1)).to(factors)
    margins = alike @ placed / alike.sum(dim=1)
    return max_m * margins / factors.max()


class KPSLoss(SmoothedLoss):
    r"""KPS, cross-entropy of :math:`s a_k z_k` with :math:`s (a_t z_t - m_t)` for the true class.

    A factor a_k >= 1 that grows with the logarithm of a class's count lets frequent classes be told
    apart at smaller logits, and the truth has to win by a margin m_k that is largest for the rarest
    class. The logits are cosines, of a `taylored.CosineClassifier`. With probabilities as target
    the loss is the expected one: each class takes its own margin where it is the truth.

    Example:
        >>> import torch
        >>> loss = KPSLoss(counts=[500, 10], scale=4)
        >>> loss.factors.float(), loss.margins.float()
        (tensor([2., 1.]), tensor([0.2500, 0.5000]))
        >>> loss(torch.tensor([[0.3, 0.6]]), torch.tensor([1]))
        tensor(2.1269)

    Inference: `predict` is the largest logit, without factors and margins, which belong to
    training; `posterior` undoes both.
    """

    link = "softmax"
    max_m: Annotated[
        float,
        About(
            "margin of the rarest class; raising it favours rare classes",
            within="[0, inf)",
            fix="0.5 is the published choice; 0 is no margin",
            search=(0.1, 1.0),
        ),
    ] = 0.5
    scale: Annotated[
        float,
        About(
            "multiplies logits and margins; raising it lets probabilities come closer to 0 and 1",
            within="(0, inf)",
            fix="30 is the published choice",
            search=(8.0, 64.0, "log"),
        ),
    ] = 30.0
    counts: Counts

    def derive(self) -> None:
        """Factor and margin of every class."""
        factors = class_factors(self.counts)
        self.factors = nn.Buffer(factors, persistent=False)
        self.margins = nn.Buffer(mirrored_margins(factors, self.max_m), persistent=False)
        # The largest factor is a part of the scale, so that no product is beyond the range.
        self._largest = float(factors.max())
        self._shares = nn.Buffer(factors / factors.max(), persistent=False)

    @property
    def term(self) -> Term:
        """The loss as a term of the probability of the scaled logits."""
        return shifted(nll, self.scale * self.margins)

    def fill(self, options: Options) -> Options:
        """The options with factors and scale."""
        temperature = 1.0 / (self.scale * self._largest)
        return options._replace(logit_scale=self._shares, temperature=temperature)

    def published(self, outputs: Tensor) -> Tensor:
        """The scaled outputs, without factors and margins."""
        return self.scale * outputs.to(computing_dtype(outputs))


@function_of(KPSLoss)
def kps_loss(
    input: Logits,
    target: Tensor,
    *,
    counts: PerClass,
    max_m: float = 0.5,
    scale: float = 30.0,
    **shared: Unpack[SmoothedCall],
) -> Tensor:
    r"""KPS, cross-entropy of :math:`s a_k z_k` with :math:`s (a_t z_t - m_t)` for the true class.

    The function works out factors and margins at every call; the module does so once.

    Example:
        >>> import torch
        >>> kps_loss(torch.tensor([[0.3, 0.6]]), torch.tensor([1]), counts=[500, 10], scale=4.0)
        tensor(2.1269)
    """
    factors = class_factors(counts)
    term = shifted(nll, scale * mirrored_margins(factors, max_m))
    largest = float(factors.max())
    options = Options(logit_scale=factors / largest, temperature=1.0 / (scale * largest), **shared)
    return p_t_loss(input, target, term, options)


SPEC = spec_of(
    "kps",
    KPSLoss,
    kps_loss,
    summary="a scale per class on the logits, and a margin on the true one that rare classes need",
    formula=r"-\log \frac{e^{s (a_t z_t - m_t)}}"
    r"{e^{s (a_t z_t - m_t)} + \sum_{k \ne t} e^{s a_k z_k}},"
    r"\quad a_k = \log_{50} (50\, n_k / n_{\min})",
    reference=Reference(
        "Li, Cheung, Hu",
        "Key Point Sensitive Loss for Long-Tailed Visual Recognition",
        "TPAMI 2022",
        "as in the authors' code",
    ),
    differs={
        "Keke921/KPSLoss": "equal for class indices up to epoch 150, for classes in descending "
        "order of counts of which no two are alike: there margins belong to places in the list. "
        "From epoch 150 on it multiplies all logits of a sample by its class's mirrored factor",
    },
    examples=("kps(scale=4)", "kps(max_m=0.3, scale=2, label_smoothing=0.1)"),
    head="cosine",
)
