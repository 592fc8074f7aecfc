"""The bases of overlap losses: what ratios of regions cost, per class and per batch or sample.

A loss of your own, from the sums of each region:

>>> import torch
>>> class KulczynskiLoss(RegionLoss):
...     '''1 - (T / P + T / Y) / 2.'''
...
...     def cost(self, sums):
...         precision = sums.ratio(sums.both, sums.predicted)
...         return 1 - (precision + sums.ratio(sums.both, sums.true)) / 2
>>> loss = KulczynskiLoss(reduction="none")
>>> loss(torch.zeros(1, 2, 4), torch.tensor([[0, 0, 0, 1]]))
tensor([0.3750, 0.6250])
"""

from __future__ import annotations

from typing import TYPE_CHECKING, ClassVar

from torch import Tensor

from taylored.core.context import compiling
from taylored.core.inputs.logits import Logits
from taylored.core.overlap.batch import Batch
from taylored.core.overlap.options import Average, OverlapOptions
from taylored.core.overlap.reduced import Ratios, costs_of_sums
from taylored.core.overlap.sums import Sums
from taylored.core.plan.options import LinkName
from taylored.modules.base import Loss, Takes
from taylored.modules.docs import RAISES, Described
from taylored.modules.logits_call import first_look
from taylored.modules.overlap.call import overlap_loss
from taylored.modules.overlap.vocabulary import (
    AverageOfClasses,
    AverageOver,
    EmptyPolicy,
    OverlapReduction,
    SmoothDenominator,
    SmoothNumerator,
)
from taylored.modules.vocabulary import ClassDim, IgnoreIndex, Link, Weight

_SHAPE = (
    "input (N, C, d1, ...) logits{one}; target (N, d1, ...) class indices, or the shape of `input` "
    "with probabilities, one-hot{many}; masks may be (N, 1, d1, ...). The call also takes "
    "`sample_weight`: one number per position weighs the positions inside each ratio, one per "
    "sample multiplies the ratios of that sample where `average` forms them by sample; and "
    '`normalizer`, which replaces the denominator of "mean"; 0 counts nothing: the loss is 0.'
)
_RETURNS = (
    'A scalar, or with reduction="none" one value per ratio: (C,) for "class", (N, C) for '
    '"sample", () for "micro", (N,) for "sample_micro"; float32 for half-precision logits.'
)


class OverlapLoss(Loss):
    """A loss of logits against truths, one value per class or ratio instead of per position.

    A subclass has a `link`, as a field or for all its instances, and fills `costs`, or derives from
    `RegionLoss` and fills `cost`.

    Attributes:
        least_axes: how many axes of positions the logits need.
    """

    takes: ClassVar[Takes] = "logits"
    least_axes: ClassVar[int] = 0

    weight: Weight = None
    ignore_index: IgnoreIndex = -100
    empty: EmptyPolicy = "keep"
    reduction: OverlapReduction = "mean"
    class_dim: ClassDim = 1

    if TYPE_CHECKING:
        # Fields of the subclasses, or what they say for all their instances.
        @property
        def link(self) -> LinkName:
            """How logits become probabilities."""
            ...

        @property
        def average(self) -> Average:
            """What one ratio is formed over."""
            ...

    @classmethod
    def described(cls) -> Described:
        """Shapes by the link, results by the average."""
        link = getattr(cls, "link", None)
        one = ", or (C,) for one sample" if link != "sigmoid" else ", or (N,) for one question"
        many = "" if link == "softmax" else ", or with the sigmoid link any number of true classes"
        return Described(_SHAPE.format(one=one, many=many), _RETURNS, RAISES)

    @classmethod
    def target_kinds(cls) -> tuple[str, ...]:
        """Class indices, probabilities, and the sigmoid link's multi-hot."""
        multi = () if getattr(cls, "link", None) == "softmax" else ("multi-hot",)
        return ("index", "probabilities", *multi)

    @classmethod
    def mean_divides_by(cls, targets: tuple[str, ...]) -> str:
        """The ratios that count, by their class weights."""
        return "class weights of the ratios that count"

    def costs(self, batch: Batch) -> Ratios:
        """What each ratio costs; the slot of a subclass."""
        raise NotImplementedError

    def options(
        self, sample_weight: Tensor | None = None, normalizer: float | Tensor | None = None
    ) -> OverlapOptions:
        """The shared options for a call of this loss."""
        return OverlapOptions(
            link=self.link,
            weight=self.weight,
            ignore_index=self.ignore_index,
            average=self.average,
            empty=self.empty,
            reduction=self.reduction,
            class_dim=self.class_dim,
            sample_weight=sample_weight,
            normalizer=normalizer,
        )

    def forward(
        self,
        input: Logits,
        target: Tensor,
        *,
        sample_weight: Tensor | None = None,
        normalizer: float | Tensor | None = None,
    ) -> Tensor:
        """The loss of logits against truths."""
        if not (compiling() or self._looked):
            first_look(self, input, self.link, self.class_dim)
        return overlap_loss(input, target, self.costs, self.options(sample_weight, normalizer))


class RegionLoss(OverlapLoss):
    """A loss that is a function of a few sums over every region; a subclass fills `cost`.

    The sums take one sweep over the logits, and their gradient another; nothing of the size of the
    logits is kept between the two.
    """

    link: Link = "softmax"
    average: AverageOver = "class"
    smooth_numerator: SmoothNumerator = 0.0
    smooth_denominator: SmoothDenominator = 0.0

    @property
    def squares(self) -> bool:
        """Whether `cost` reads sums of squares."""
        return False

    def cost(self, sums: Sums) -> Tensor:
        """What each ratio costs; the slot of a subclass."""
        raise NotImplementedError

    def costs(self, batch: Batch) -> Ratios:
        """From the sums of the batch."""
        return costs_of_sums(batch, self.options(), self.cost, squares=self.squares)

    def options(
        self, sample_weight: Tensor | None = None, normalizer: float | Tensor | None = None
    ) -> OverlapOptions:
        """The shared options, and what smooths the ratios."""
        return (
            super()
            .options(sample_weight, normalizer)
            ._replace(
                smooth_numerator=self.smooth_numerator, smooth_denominator=self.smooth_denominator
            )
        )


class VolumeLoss(OverlapLoss):
    """A loss that needs every probability in its place; a subclass fills `costs`.

    It is made of plain operations, and takes several times the memory of the logits.
    """

    average: AverageOfClasses = "class"
