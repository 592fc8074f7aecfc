"""Binary cross-entropy on logits: torch's, with the vocabulary of the family."""

from __future__ import annotations

from torch import Tensor, nn

from taylored.core.engine.one_pass import p_t_loss
from taylored.core.inputs.logits import Logits
from taylored.core.plan.options import Options, PerClass, Reduction
from taylored.core.terms.elementary import nll
from taylored.core.terms.term import Term
from taylored.modules.fields import check_fields
from taylored.modules.spec import Reference, Spec, describe, hold


def binary_cross_entropy_loss(
    input: Logits,
    target: Tensor,
    *,
    weight: PerClass | None = None,
    pos_weight: float | PerClass | None = None,
    ignore_index: int | None = -100,
    label_smoothing: float = 0.0,
    reduction: Reduction = "mean",
    sample_weight: Tensor | None = None,
    normalizer: float | Tensor | None = None,
) -> Tensor:
    r"""Binary cross-entropy on logits, :math:`-y \log p - (1 - y) \log(1 - p)`.

    The functional form of `BinaryCrossEntropyLoss`, which documents the parameters.

    Example:
        >>> import torch
        >>> binary_cross_entropy_loss(torch.tensor([2.0, 0.0]), torch.tensor([1.0, 0.0]))
        tensor(0.4100)
    """
    return p_t_loss(
        input,
        target,
        nll,
        Options(
            link="sigmoid",
            weight=weight,
            pos_weight=pos_weight,
            ignore_index=ignore_index,
            label_smoothing=label_smoothing,
            reduction=reduction,
            sample_weight=sample_weight,
            normalizer=normalizer,
        ),
    )


class BinaryCrossEntropyLoss(nn.Module):
    r"""Binary cross-entropy on logits, :math:`-y \log p - (1 - y) \log(1 - p)`.

    The same numbers as `torch.nn.BCEWithLogitsLoss`, value and gradient. `weight` is one number per
    class on axis 1; torch's weights per sample or element go into `sample_weight` of the call.

    Args:
        weight: one number per class; raising a class's weight favours it.
        pos_weight: multiplies the loss of positives only; sigmoid only. Raising it raises recall.
        ignore_index: positions or elements with this target count for nothing. None: off.
        label_smoothing: target mass spread evenly over the classes, in [0, 1].
        reduction: "none", "sum", "mean" or "batch_mean" (see `FocalLoss`).

    Shape:
        input of any shape, logits, classes on axis 1 where per-class options are used; target of
        the same shape, 0 / 1 or in between, or (N, d1, ...) class indices. The call also takes
        `sample_weight` and `normalizer` (see `FocalLoss`).

    Returns:
        A scalar, or with reduction="none" one value per position and class, in [0, inf); float32
        for half-precision logits.

    Raises:
        ValueError: for a parameter out of its domain, or shapes that do not fit.

    Example:
        >>> import torch
        >>> loss = BinaryCrossEntropyLoss(pos_weight=3.0)
        >>> loss(torch.tensor([[2.0, 0.0]]), torch.tensor([[1, 0]]))
        tensor(0.5370)

    Differs from:
        torch: BCEWithLogitsLoss: equal with weight and pos_weight per class; its weights per
            element are sample_weight here; no ignore_index there; targets outside [0, 1] give
            negative losses there and an error inside taylored.debug() here.
        Keras: BinaryCrossentropy(from_logits=True): label_smoothing has the same meaning.

    Reference:
        torch.nn.BCEWithLogitsLoss.
    """

    weight: Tensor | None
    pos_weight: float | Tensor | None

    def __init__(
        self,
        *,
        weight: PerClass | None = None,
        pos_weight: float | PerClass | None = None,
        ignore_index: int | None = -100,
        label_smoothing: float = 0.0,
        reduction: Reduction = "mean",
    ) -> None:
        super().__init__()
        self.ignore_index = ignore_index
        self.label_smoothing = label_smoothing
        self.reduction = reduction
        hold(self, "weight", weight)
        hold(self, "pos_weight", pos_weight)
        check_fields(self, self.link)

    @property
    def term(self) -> Term:
        """The loss as a term."""
        return nll

    @property
    def link(self) -> str:
        """How logits become probabilities."""
        return "sigmoid"

    def forward(
        self,
        input: Logits,
        target: Tensor,
        *,
        sample_weight: Tensor | None = None,
        normalizer: float | Tensor | None = None,
    ) -> Tensor:
        """The loss of logits against targets."""
        return binary_cross_entropy_loss(
            input,
            target,
            weight=self.weight,
            pos_weight=self.pos_weight,
            ignore_index=self.ignore_index,
            label_smoothing=self.label_smoothing,
            reduction=self.reduction,
            sample_weight=sample_weight,
            normalizer=normalizer,
        )

    def __repr__(self) -> str:
        return describe(self, SPEC)


SPEC = Spec(
    name="binary_cross_entropy",
    family="classification",
    module=BinaryCrossEntropyLoss,
    function=binary_cross_entropy_loss,
    summary="sigmoid cross-entropy, torch's numbers in one pass",
    formula=r"-y \log \sigma(x) - (1 - y) \log \sigma(-x)",
    parameters=(),
    shared=("weight", "pos_weight", "ignore_index", "label_smoothing", "reduction"),
    links=("sigmoid",),
    targets=("index", "probabilities", "multi-hot"),
    value_range="[0, inf)",
    denominator="elements that are not ignored",
    reference=Reference("PyTorch", "torch.nn.BCEWithLogitsLoss", "documentation", "the formula"),
    differs=(
        (
            "torch",
            "BCEWithLogitsLoss: equal with weight and pos_weight per class; its weights per "
            "element are sample_weight here; no ignore_index there; targets outside [0, 1] give "
            "negative losses there and an error inside taylored.debug() here",
        ),
        ("Keras", "BinaryCrossentropy(from_logits=True): label_smoothing has the same meaning"),
    ),
    examples=(
        "binary_cross_entropy()",
        "binary_cross_entropy(pos_weight=3)",
        "binary_cross_entropy(label_smoothing=0.1)",
    ),
)
