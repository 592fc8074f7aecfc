"""A loss from any term of the algebra."""

from __future__ import annotations

from torch import Tensor, nn

from taylored.core.engine.one_pass import p_t_loss
from taylored.core.inputs.logits import Logits
from taylored.core.plan.options import LinkName, Options, PerClass, Reduction
from taylored.core.terms.term import Term
from taylored.modules.fields import check_fields
from taylored.modules.spec import hold


def term_loss(
    input: Logits,
    target: Tensor,
    term: Term,
    *,
    link: LinkName = "softmax",
    weight: PerClass | None = None,
    alpha: float | PerClass | None = None,
    pos_weight: float | PerClass | None = None,
    logit_bias: PerClass | None = None,
    temperature: float = 1.0,
    ignore_index: int | None = -100,
    label_smoothing: float = 0.0,
    reduction: Reduction = "mean",
    sample_weight: Tensor | None = None,
    normalizer: float | Tensor | None = None,
) -> Tensor:
    """The loss of any term, with every slot of the engine.

    The functional form of `TermLoss`, which documents the parameters.

    Example:
        >>> import torch
        >>> from taylored import terms
        >>> generalised = 1.5 * terms.nll + 0.5 * terms.power(2)
        >>> term_loss(torch.tensor([[2.0, 0.0]]), torch.tensor([0]), generalised)
        tensor(0.1975)
    """
    return p_t_loss(
        input,
        target,
        term,
        Options(
            link=link,
            weight=weight,
            alpha=alpha,
            pos_weight=pos_weight,
            logit_bias=logit_bias,
            temperature=temperature,
            ignore_index=ignore_index,
            label_smoothing=label_smoothing,
            reduction=reduction,
            sample_weight=sample_weight,
            normalizer=normalizer,
        ),
    )


class TermLoss(nn.Module):
    """The loss of any term: write a formula, get a stable one-pass loss.

    Args:
        term: an expression over `taylored.terms`. Exponents given per class move with the module
            only if they are rebuilt from its buffers; for that use a named loss.
        link: "softmax" or "sigmoid".
        weight: one number per class; raising a class's weight favours it.
        alpha: weight of positives against negatives, sigmoid only.
        pos_weight: multiplies the loss of positives only, sigmoid only.
        logit_bias: added to the logits per class while training; log class frequencies give the
            balanced softmax. Raising a class's bias demands a larger margin for the others.
        temperature: divides the logits (after the bias), > 0. Raising it softens probabilities.
        ignore_index: positions or elements with this target count for nothing.
        label_smoothing: target mass spread evenly over the classes.
        reduction: "none", "sum", "mean" or "batch_mean" (see `FocalLoss`).

    Shape:
        As for `FocalLoss`, `sample_weight` and `normalizer` included.

    Returns:
        A scalar, or with reduction="none" one value per position (softmax) or element (sigmoid).

    Raises:
        ValueError: for a parameter out of its domain, or shapes that do not fit.

    Example:
        >>> import torch
        >>> from taylored import terms
        >>> loss = TermLoss(terms.power(1) * terms.nll, logit_bias=[0.0, 1.0])
        >>> loss(torch.tensor([[2.0, 0.0]]), torch.tensor([0]))
        tensor(0.0842)

    Reference:
        Leng et al., PolyLoss, ICLR 2022, equation 1: a loss as a function of p_t.
    """

    weight: Tensor | None
    alpha: float | Tensor | None
    pos_weight: float | Tensor | None
    logit_bias: Tensor | None

    def __init__(
        self,
        term: Term,
        *,
        link: LinkName = "softmax",
        weight: PerClass | None = None,
        alpha: float | PerClass | None = None,
        pos_weight: float | PerClass | None = None,
        logit_bias: PerClass | None = None,
        temperature: float = 1.0,
        ignore_index: int | None = -100,
        label_smoothing: float = 0.0,
        reduction: Reduction = "mean",
    ) -> None:
        super().__init__()
        self.term = term
        self.link = link
        self.temperature = temperature
        self.ignore_index = ignore_index
        self.label_smoothing = label_smoothing
        self.reduction = reduction
        hold(self, "weight", weight)
        hold(self, "alpha", alpha)
        hold(self, "pos_weight", pos_weight)
        hold(self, "logit_bias", logit_bias)
        check_fields(self, self.link)

    def forward(
        self,
        input: Logits,
        target: Tensor,
        *,
        sample_weight: Tensor | None = None,
        normalizer: float | Tensor | None = None,
    ) -> Tensor:
        """The loss of logits against targets."""
        return term_loss(
            input,
            target,
            self.term,
            link=self.link,
            weight=self.weight,
            alpha=self.alpha,
            pos_weight=self.pos_weight,
            logit_bias=self.logit_bias,
            temperature=self.temperature,
            ignore_index=self.ignore_index,
            label_smoothing=self.label_smoothing,
            reduction=self.reduction,
            sample_weight=sample_weight,
            normalizer=normalizer,
        )

    def extra_repr(self) -> str:
        """The formula and the link."""
        return f'{self.term!r}, link="{self.link}"'
