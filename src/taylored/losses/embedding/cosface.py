"""CosFace: cross-entropy of cosines in which the true class has to win by a margin."""

from __future__ import annotations

from typing import Annotated, Unpack

from torch import Tensor

from taylored.core.engine.one_pass import p_t_loss
from taylored.core.inputs.logits import Logits
from taylored.core.numerics import computing_dtype
from taylored.core.plan.options import Options
from taylored.core.terms.elementary import nll
from taylored.core.terms.shifted import shifted
from taylored.core.terms.term import Term
from taylored.modules.fields.parameter import About
from taylored.modules.function import function_of
from taylored.modules.spec import Reference, spec_of
from taylored.modules.vocabulary import SmoothedCall, SmoothedLoss

__all__ = ["CosFaceLoss", "cosface_loss"]


def cosface_term(margin: float, scale: float) -> Term:
    """-log p at log odds that are lower by s m (Wang et al. 2018, equation 4)."""
    return shifted(nll, scale * margin)


class CosFaceLoss(SmoothedLoss):
    r"""CosFace, :math:`-\log \left(e^{s (c_t - m)} / (e^{s (c_t - m)} + \sum e^{s c_k})\right)`.

    The logits are cosines of a sample and of each class, as `taylored.CosineClassifier` gives them.
    The margin is taken off the true one in training, so that classes stay apart; it moves the log
    odds of the truth and nothing else, and so the loss is a function of p_t: one pass, also on
    `LinearLogits` of a million identities. For verification compare the embeddings themselves.

    Example:
        >>> import torch
        >>> from taylored import CosineClassifier
        >>> cosines = CosineClassifier(8, 3)(torch.ones(4, 8))
        >>> CosFaceLoss()(cosines, torch.tensor([0, 1, 2, 0])).isfinite()
        tensor(True)
        >>> loss = CosFaceLoss(margin=0.5, scale=10)
        >>> loss(torch.tensor([[0.9, 0.2]]), torch.tensor([0]))
        tensor(0.1269)
    """

    link = "softmax"
    margin: Annotated[
        float,
        About(
            "what is taken off the cosine of the truth; raising it asks for classes farther apart, "
            "and too much of it can be met by nobody",
            within="[0, inf)",
            fix="0.35 is the published choice",
            search=(0.1, 0.5),
        ),
    ] = 0.35
    scale: Annotated[
        float,
        About(
            "multiplies cosines and margin; raising it lets probabilities come closer to 0 and 1",
            within="(0, inf)",
            fix="64 is the published choice",
            search=(8.0, 64.0, "log"),
        ),
    ] = 64.0

    @property
    def term(self) -> Term:
        """The loss as a term of the probability of the scaled cosines."""
        return cosface_term(self.margin, self.scale)

    def fill(self, options: Options) -> Options:
        """The options with the scale."""
        return options._replace(temperature=1.0 / self.scale)

    def published(self, outputs: Tensor) -> Tensor:
        """The scaled cosines, without the margin."""
        return self.scale * outputs.to(computing_dtype(outputs))


@function_of(CosFaceLoss)
def cosface_loss(
    input: Logits,
    target: Tensor,
    *,
    margin: float = 0.35,
    scale: float = 64.0,
    **shared: Unpack[SmoothedCall],
) -> Tensor:
    r"""CosFace, :math:`-\log \left(e^{s (c_t - m)} / (e^{s (c_t - m)} + \sum e^{s c_k})\right)`.

    Example:
        >>> import torch
        >>> cosface_loss(torch.tensor([[0.9, 0.2]]), torch.tensor([0]), margin=0.5, scale=10)
        tensor(0.1269)
    """
    options = Options(temperature=1.0 / scale, **shared)
    return p_t_loss(input, target, cosface_term(margin, scale), options)


SPEC = spec_of(
    "cosface",
    CosFaceLoss,
    cosface_loss,
    summary="cross-entropy of cosines with a margin on the true one",
    formula=r"-\log \frac{e^{s (c_t - m)}}{e^{s (c_t - m)} + \sum_{k \ne t} e^{s c_k}}",
    reference=Reference(
        "Wang, Wang, Zhou, Ji, Gong, Zhou, Li, Liu",
        "CosFace: Large Margin Cosine Loss for Deep Face Recognition",
        "CVPR 2018",
        "equation 4",
    ),
    differs={
        "pytorch-metric-learning": "CosFaceLoss(num_classes, embedding_size, margin, scale): holds "
        "the class vectors itself; equal on CosineClassifier's cosines",
    },
    examples=("cosface(margin=0.35, scale=4)", "cosface(margin=0.1, scale=2)"),
    head="cosine",
)
