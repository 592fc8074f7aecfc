"""Kullback-Leibler divergence, with the direction said."""

from __future__ import annotations

import functools
from typing import Annotated, ClassVar, Literal, Unpack

import torch
from torch import Tensor

from taylored.core.checks import fail
from taylored.modules.base import Takes
from taylored.modules.fields.parameter import About
from taylored.modules.function import function_of
from taylored.modules.spec import Reference, spec_of
from taylored.modules.values import Domain, ValueCall, ValueLoss, check_alike, value_loss

__all__ = ["KLDivergenceLoss", "kl_divergence_loss"]

Direction = Literal["target_to_model", "model_to_target"]
TargetForm = Literal["probabilities", "log_probabilities", "logits"]

_TOLERANCE = 1e-2
"""How far sums of probabilities may be from 1: half precision has as much."""


def kl_divergence_values(
    input: Tensor,
    target: Tensor,
    direction: Direction,
    target_form: TargetForm,
    temperature: float,
) -> Tensor:
    """sum_k p_k (log p_k - log q_k) over the last axis, at a temperature, times its square."""
    model = torch.log_softmax(input / temperature, -1)
    if target_form == "logits":
        log_target = torch.log_softmax(target / temperature, -1)
    elif target_form == "log_probabilities":
        log_target = target
    else:
        log_target = _log(target)
    pair = (log_target, model) if direction == "target_to_model" else (model, log_target)
    return temperature**2 * _divergence(*pair)


def _log(probabilities: Tensor) -> Tensor:
    """log p, with -inf and no gradient at 0."""
    none = probabilities <= 0
    return torch.where(none, -torch.inf, torch.log(torch.where(none, 1.0, probabilities)))


def _divergence(log_p: Tensor, log_q: Tensor) -> Tensor:
    """What p leaves out costs nothing; what q leaves out and p has costs infinity."""
    nothing = torch.isneginf(log_p)
    difference = torch.where(nothing, 0.0, log_p) - torch.where(nothing, 0.0, log_q)
    return (torch.exp(log_p) * difference).sum(-1)


def check_axis(input: Tensor, target: Tensor) -> None:
    """Refuse tensors without an axis of classes."""
    check_alike(input=input, target=target)
    if input.dim() == 0:
        fail("input", "logits with the classes on the last axis", "a single number", "add an axis")


def check_distributions(_input: Tensor, target: Tensor, target_form: TargetForm) -> None:
    """Refuse what is no distribution of the form that is said."""
    if target_form == "logits":
        return
    if target_form == "probabilities":
        wrong, what = target < 0, "probabilities, numbers in [0, 1]"
        others = '"log_probabilities" or "logits"'
    else:
        wrong, what = target > _TOLERANCE, "logarithms of probabilities, numbers <= 0"
        others = '"probabilities" or "logits"'
    if bool(wrong.any()):
        fail("target", what, f"{target[wrong][0]:g}", f"say what they are, target_form={others}")
    total = (target.exp() if target_form == "log_probabilities" else target).sum(-1)
    wrong = (total - 1).abs() > _TOLERANCE
    if bool(wrong.any()):
        fail("target", "probabilities that sum to 1 over the last axis",
             f"a sum of {total[wrong][0]:g}",
             'use target.softmax(-1), or target_form="logits"')  # fmt: skip


class KLDivergenceLoss(ValueLoss):
    r"""Kullback-Leibler divergence of a model's distribution q and a target p.

    :math:`\sum_k p_k \log (p_k / q_k)` in the direction "target_to_model", KL(p || q), whose
    gradient is that of cross-entropy: the model has to cover all that the target does.
    :math:`\sum_k q_k \log (q_k / p_k)` in the direction "model_to_target", KL(q || p): the model
    may leave modes out, and is punished for what it adds.

    Unlike `torch.nn.KLDivLoss` it takes the model's logits, and "mean" divides by the number of
    distributions, not of numbers. For distillation say `target_form="logits"` and a temperature;
    the square of it keeps gradients at their size (Hinton et al. 2015).

    Example:
        >>> import torch
        >>> logits, target = torch.tensor([[0.0, 0.0]]), torch.tensor([[0.9, 0.1]])
        >>> KLDivergenceLoss()(logits, target)
        tensor(0.3681)
        >>> KLDivergenceLoss(direction="model_to_target")(logits, target)
        tensor(0.5108)
    """

    takes: ClassVar[Takes] = "distributions"
    inner: ClassVar[int] = 1
    shapes: ClassVar[str] = (
        "input (..., C), logits of the model with the classes on the last axis; target of the same "
        "shape."
    )
    direction: Annotated[
        Direction,
        About(
            'which of the two the expectation is over: "target_to_model" is KL(target || model), '
            '"model_to_target" KL(model || target)',
        ),
    ] = "target_to_model"
    target_form: Annotated[
        TargetForm,
        About("what the target holds; it is checked on the CPU"),
    ] = "probabilities"
    temperature: Annotated[
        float,
        About(
            "divides logits, of the target too if it holds logits, and its square multiplies the "
            "loss; raising it shows more of what a teacher thinks of the wrong classes",
            within="(0, inf)",
            search=(1.0, 10.0, "log"),
        ),
    ] = 1.0

    def check_call(self, input: Tensor, target: Tensor) -> None:
        """Refuse tensors without an axis of classes."""
        check_axis(input, target)

    @property
    def domain(self) -> Domain:
        """The target is a distribution."""
        return functools.partial(check_distributions, target_form=self.target_form)

    def values(self, input: Tensor, target: Tensor) -> Tensor:
        """One value per distribution."""
        return kl_divergence_values(
            input, target, self.direction, self.target_form, self.temperature
        )


@function_of(KLDivergenceLoss)
def kl_divergence_loss(
    input: Tensor,
    target: Tensor,
    *,
    direction: Direction = "target_to_model",
    target_form: TargetForm = "probabilities",
    temperature: float = 1.0,
    **shared: Unpack[ValueCall],
) -> Tensor:
    r"""Kullback-Leibler divergence, :math:`\sum_k p_k \log (p_k / q_k)`, in a direction to choose.

    Example:
        >>> import torch
        >>> kl_divergence_loss(torch.zeros(1, 2), torch.tensor([[0.9, 0.1]]), reduction="none")
        tensor([0.3681])
    """
    check_axis(input, target)
    domain = functools.partial(check_distributions, target_form=target_form)
    values = functools.partial(
        kl_divergence_values,
        direction=direction,
        target_form=target_form,
        temperature=temperature,
    )
    return value_loss(values, input, target, domain=domain, inner=1, **shared)


SPEC = spec_of(
    "kl_divergence",
    KLDivergenceLoss,
    kl_divergence_loss,
    summary="divergence of two distributions, with the direction said; distillation",
    formula=r"\sum_k p_k \log (p_k / q_k)",
    reference=Reference(
        "Kullback, Leibler",
        "On Information and Sufficiency",
        "Annals of Mathematical Statistics 1951",
        "equation 2.4; temperature: Hinton, Vinyals, Dean 2015, section 2.1",
    ),
    differs={
        "torch": "KLDivLoss(input, target): input log_softmax(logits), KL(target || model), 'mean' "
        "over all numbers; its 'batchmean' is the mean here. Swapped arguments give a number there",
        "optax": "kl_divergence(log_predictions, targets): equal, from log-probabilities",
    },
    examples=(
        "kl_divergence()",
        'kl_divergence(direction="model_to_target")',
        'kl_divergence(target_form="logits", temperature=3)',
    ),
)
