"""ArcFace: cross-entropy of cosines with a margin on the angle to the true class."""

from __future__ import annotations

from typing import Annotated, ClassVar, Unpack

from torch import Tensor

from taylored.core.engine.one_pass import p_t_loss
from taylored.core.inputs.logits import Logits
from taylored.core.numerics import computing_dtype
from taylored.core.plan.options import Options
from taylored.core.plan.truth_margin import AngularMargin
from taylored.core.terms.elementary import nll
from taylored.modules.fields.parameter import About
from taylored.modules.function import function_of
from taylored.modules.spec import Reference, spec_of
from taylored.modules.vocabulary import WeightedCall, WeightedLoss

__all__ = ["ArcFaceLoss", "arcface_loss"]


class ArcFaceLoss(WeightedLoss):
    r"""ArcFace, cross-entropy with :math:`s \cos(\theta_t + m)` as logit of the true class.

    The logits are cosines, as `taylored.CosineClassifier` gives them. The margin is an angle, so
    that all classes are asked for the same arc between them. Where the angle and the margin are
    together more than pi, the cosine goes on falling along a line, as in the authors' code. One
    pass, also on `LinearLogits` of a million identities. For verification compare the embeddings
    themselves.

    Example:
        >>> import torch
        >>> from taylored import CosineClassifier
        >>> cosines = CosineClassifier(8, 3)(torch.ones(4, 8))
        >>> ArcFaceLoss()(cosines, torch.tensor([0, 1, 2, 0])).isfinite()
        tensor(True)
        >>> loss = ArcFaceLoss(margin=0.5, scale=10)
        >>> loss(torch.tensor([[0.9, 0.2]]), torch.tensor([0]))
        tensor(0.0219)
    """

    link = "softmax"
    unreadable: ClassVar[str] = "its margin depends on the angle, and not on the probability"
    margin: Annotated[
        float,
        About(
            "added to the angle to the true class, in radians; raising it asks for classes farther "
            "apart",
            within="[0, 1.5707963267948966]",
            fix="0.5 is the published choice",
            search=(0.1, 0.8),
        ),
    ] = 0.5
    scale: Annotated[
        float,
        About(
            "multiplies the cosines; raising it lets probabilities come closer to 0 and 1",
            within="(0, inf)",
            fix="64 is the published choice",
            search=(8.0, 64.0, "log"),
        ),
    ] = 64.0

    def evaluate(self, input: Logits, target: Tensor, options: Options) -> Tensor:
        """Cross-entropy of the cosines with their margin."""
        return p_t_loss(input, target, nll, options)

    def fill(self, options: Options) -> Options:
        """The options with margin and scale."""
        return options._replace(margin=AngularMargin(self.margin), temperature=1.0 / self.scale)

    def published(self, outputs: Tensor) -> Tensor:
        """The scaled cosines, without the margin."""
        return self.scale * outputs.to(computing_dtype(outputs))


@function_of(ArcFaceLoss)
def arcface_loss(
    input: Logits,
    target: Tensor,
    *,
    margin: float = 0.5,
    scale: float = 64.0,
    **shared: Unpack[WeightedCall],
) -> Tensor:
    r"""ArcFace, cross-entropy with :math:`s \cos(\theta_t + m)` as logit of the true class.

    Example:
        >>> import torch
        >>> arcface_loss(torch.tensor([[0.9, 0.2]]), torch.tensor([0]), scale=10)
        tensor(0.0219)
    """
    options = Options(margin=AngularMargin(margin), temperature=1.0 / scale, **shared)
    return p_t_loss(input, target, nll, options)


SPEC = spec_of(
    "arcface",
    ArcFaceLoss,
    arcface_loss,
    summary="cross-entropy of cosines with a margin on the angle to the true class",
    formula=r"-\log \frac{e^{s \cos(\theta_t + m)}}"
    r"{e^{s \cos(\theta_t + m)} + \sum_{k \ne t} e^{s \cos \theta_k}}",
    reference=Reference(
        "Deng, Guo, Xue, Zafeiriou",
        "ArcFace: Additive Angular Margin Loss for Deep Face Recognition",
        "CVPR 2019",
        "equation 3",
    ),
    differs={
        "pytorch-metric-learning": "ArcFaceLoss(num_classes, embedding_size, margin in degrees, "
        "scale): holds the class vectors itself; equal on CosineClassifier's cosines up to "
        "theta + m = pi",
        "deepinsight/insightface": "the same value, theta + m > pi included",
    },
    examples=("arcface(margin=0.5, scale=4)", "arcface(margin=0.2, scale=2)"),
    identities={"arcface(margin=0, scale=2)": "cosface(margin=0, scale=2)"},
    targets=("index",),
    head="cosine",
)
