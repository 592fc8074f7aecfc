"""Earth mover's distance of two distributions over ranks."""

from __future__ import annotations

import functools
from typing import Annotated, ClassVar, Literal, Unpack

import torch
from torch import Tensor

from taylored.core.checks import check_floats, fail
from taylored.core.numerics import computing_dtype
from taylored.core.posterior.readable import Readable
from taylored.losses.ordinal.threshold_loss import check_ranks_fit
from taylored.modules.base import Takes
from taylored.modules.fields.parameter import About
from taylored.modules.function import function_of
from taylored.modules.spec import Reference, spec_of
from taylored.modules.values import Domain, ValueCall, ValueLoss, value_loss

__all__ = ["EMDLoss", "emd_loss"]

Distance = Literal["squared", "absolute"]

_ROUNDING = 1e-3
"""How far the probabilities of a target may be from a sum of 1."""


def emd_values(input: Tensor, target: Tensor, distance: Distance) -> Tensor:
    """Sum over thresholds of the squared, or absolute, difference of what lies below."""
    p = torch.softmax(input, -1)
    # Below and above each threshold, each added up from its end: 1 - F would lose small digits.
    below = p.cumsum(-1)[..., :-1]
    above = p.flip(-1).cumsum(-1).flip(-1)[..., 1:]
    truth = target.cumsum(-1)[..., :-1]
    moved = below * (1.0 - truth) - above * truth
    return (moved**2 if distance == "squared" else moved.abs()).sum(-1)


def masses(input: Tensor, target: Tensor) -> Tensor:
    """The target as one probability per rank; a rank without a column has none."""
    check_floats(input=input)
    if input.dim() == 0 or input.shape[-1] < 2:
        fail("input", "logits with a column for each of at least two ranks on the last axis",
             f"shape {tuple(input.shape)}", "add the ranks as the last axis")  # fmt: skip
    if isinstance(target, Tensor) and target.is_floating_point() and target.shape == input.shape:
        return target
    check_ranks_fit(input, target)
    ranks = torch.arange(input.shape[-1], device=input.device)
    return (target.unsqueeze(-1) == ranks).to(computing_dtype(input))


def check_masses(_input: Tensor, target: Tensor) -> None:
    """Refuse ranks without a column, and what is no distribution."""
    total = target.sum(-1)
    wrong = ((total - 1.0).abs() > _ROUNDING) | (target < -_ROUNDING).any(-1)
    if not bool(wrong.any()):
        return
    columns = target.shape[-1]
    if not bool((target != 0)[wrong][0].any()):
        fail("target", f"ranks in 0..{columns - 1}, one for each of the {columns} columns of "
             "`input`", "a rank without a column", "give one output per rank, K; K - 1 outputs "
             "are those of `corn` and `coral`")  # fmt: skip
    got = f"a sum of {float(total[wrong][0]):g}"
    if bool((target < -_ROUNDING).any()):
        got = f"{float(target[target < -_ROUNDING][0]):g}"
    fail("target", "probabilities that sum to 1 over the last axis", got, "divide by the sum")


class EMDLoss(Readable, ValueLoss):
    r"""Earth mover's distance over ranks, :math:`\sum_k (F_k - T_k)^2`, F and T the mass up to k.

    It is large where the model is certain of a rank far from the truth. The squared form is proper:
    its minimum is the distribution of the ranks, and with a single rank as target it is the ranked
    probability score. `distance="absolute"` is the earth mover's distance itself, the number of
    steps that the mass is moved; its minimum is the median rank alone.

    Example:
        >>> import torch
        >>> loss = EMDLoss()
        >>> z = torch.tensor([[2.0, 0.0, 0.0]])
        >>> loss(z, torch.tensor([1])), loss(z, torch.tensor([2]))
        (tensor(0.6307), tensor(1.4177))
        >>> loss(z, torch.tensor([[0.8, 0.2, 0.0]]))
        tensor(0.0115)
        >>> loss.posterior(z), loss.predict(z)
        (tensor([[0.7870, 0.1065, 0.1065]]), tensor([0]))
    """

    takes: ClassVar[Takes] = "ranks"
    inner: ClassVar[int] = 1
    shapes: ClassVar[str] = (
        "input (..., K), logits with one column per rank on the last axis; target (...), ranks "
        "0..K - 1 of an integer dtype, or (..., K), one probability per rank."
    )
    distance: Annotated[
        Distance,
        About(
            'how differences of the masses below each threshold count: "squared", or "absolute"',
        ),
    ] = "squared"

    @property
    def domain(self) -> Domain:
        """The target has a column, or is a distribution."""
        return check_masses

    def check_call(self, input: Tensor, target: Tensor) -> None:
        """Everything is checked where the target is read."""

    def values(self, input: Tensor, target: Tensor) -> Tensor:
        """One value per position."""
        return emd_values(input, target, self.distance)

    def why_no_posterior(self) -> str:
        """The absolute distance has no use for the other ranks."""
        absolute = self.distance == "absolute"
        return "its minimum is the median rank, and nothing of the others" if absolute else ""

    def probabilities(self, outputs: Tensor) -> Tensor:
        """The score is proper."""
        return torch.softmax(outputs, -1)

    def decisions(self, outputs: Tensor) -> Tensor:
        """The median: the first rank up to which at least half of the mass lies."""
        return (torch.softmax(outputs, -1).cumsum(-1)[..., :-1] < 0.5).sum(-1)

    def forward(
        self,
        input: Tensor,
        target: Tensor,
        *,
        sample_weight: Tensor | None = None,
        normalizer: float | Tensor | None = None,
    ) -> Tensor:
        """The loss of logits against ranks, or distributions over them."""
        mass = masses(input, target)
        return super().forward(input, mass, sample_weight=sample_weight, normalizer=normalizer)


@function_of(EMDLoss)
def emd_loss(
    input: Tensor,
    target: Tensor,
    *,
    distance: Distance = "squared",
    **shared: Unpack[ValueCall],
) -> Tensor:
    r"""Earth mover's distance over ranks, :math:`\sum_k (F_k - T_k)^2`, F and T the mass up to k.

    Example:
        >>> import torch
        >>> z = torch.tensor([[2.0, 0.0, 0.0]])
        >>> emd_loss(z, torch.tensor([2]), distance="absolute", reduction="none")
        tensor([1.6805])
    """
    values = functools.partial(emd_values, distance=distance)
    given = masses(input, target)
    return value_loss(values, input, given, domain=check_masses, inner=1, **shared)


SPEC = spec_of(
    "emd",
    EMDLoss,
    emd_loss,
    summary="squared earth mover's distance of distributions over ranks; one output per rank",
    formula=r"\sum_k (F_k - T_k)^2",
    value_range="[0, K - 1]",
    reference=Reference(
        "Hou, Yu, Samaras",
        "Squared Earth Mover's Distance-based Loss for Training Deep Neural Networks",
        "arXiv 1611.05916, 2016",
        "section 3, of ordered classes",
    ),
    differs={
        "NIMA": "the root of the mean over ranks of this, as its authors train it",
    },
    examples=("emd()", 'emd(distance="absolute")'),
)
