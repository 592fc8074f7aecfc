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

import functools
from typing import TYPE_CHECKING, Annotated, ClassVar, TypedDict

from torch import Tensor

from taylored.core.checks import fail
from taylored.core.inputs.logits import Logits
from taylored.core.inputs.targets import check_input
from taylored.core.overlap.batch import Batch, read_batch
from taylored.core.overlap.options import Average, Empty, OverlapOptions, PerClassAverage
from taylored.core.overlap.reduced import Costs, Ratios, check_weight, costs_of_sums, reduced
from taylored.core.overlap.sums import Cost, Sums
from taylored.core.plan.options import LinkName, PerClass, Reduction
from taylored.modules.base import Loss, Takes
from taylored.modules.class_axis import at_home
from taylored.modules.docs import RAISES, Described
from taylored.modules.fields.parameter import About
from taylored.modules.logits_call import first_look
from taylored.modules.vocabulary import ClassDim, IgnoreIndex, Link, Weight

AverageOver = Annotated[
    Average,
    About(
        'what one ratio is formed over: "class" one class in the whole batch, "sample" one class '
        'in one sample, "micro" all classes in the whole batch, "sample_micro" all classes in one '
        "sample. In a batch small regions are outweighed by large ones of the same class, and few "
        "classes are empty; with all classes together the class weights enter the sums",
        shared=True,
    ),
]
AverageOfClasses = Annotated[
    PerClassAverage,
    About(
        'what one value is formed over: "class" one class in the whole batch, "sample" one class '
        "in one sample",
        shared=True,
    ),
]
EmptyPolicy = Annotated[
    Empty,
    About(
        'what is done where a class has no truth: "keep" lets it cost what the formula says, '
        '"perfect" counts it as without loss, "skip" leaves it out of sum and mean. A region that '
        "is neither true nor predicted costs 0 in any case",
        shared=True,
    ),
]
OverlapReduction = Annotated[
    Reduction,
    About(
        '"mean" divides by the class weights of the ratios that count (by how many they are '
        'without weights), "batch_mean" by how many they are. A ratio counts if some of its '
        "positions do",
        shared=True,
    ),
]
SmoothNumerator = Annotated[
    float,
    About(
        "added above the line of each ratio, in positions; raising it makes small errors on small "
        "regions cheaper, and what is predicted where nothing is true",
        within="[0, inf)",
        search=(1e-5, 1.0, "log"),
        shared=True,
    ),
]
SmoothDenominator = Annotated[
    float,
    About(
        "added below the line of each ratio, in positions; raising it lowers the gradient of small "
        "regions",
        within="[0, inf)",
        search=(1e-5, 1.0, "log"),
        shared=True,
    ),
]

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


class OverlapCall(TypedDict, total=False):
    """The shared keywords of a call of any overlap loss's function."""

    weight: PerClass | None
    ignore_index: int | None
    reduction: Reduction
    class_dim: int
    sample_weight: Tensor | None
    normalizer: float | Tensor | None


class RegionCall(OverlapCall, total=False):
    """Those of a loss that is a function of the sums of regions."""

    link: LinkName
    average: Average
    empty: Empty
    smooth_numerator: float
    smooth_denominator: float


class VolumeCall(OverlapCall, total=False):
    """Those of a loss that needs every probability in its place."""

    average: PerClassAverage
    empty: Empty


def overlap_loss(input: Logits, target: Tensor, costs: Costs, options: OverlapOptions) -> Tensor:
    """The loss of logits against truths, from what finds the cost of every ratio."""
    if options.class_dim != 1:
        return _moved(input, target, costs, options)
    batch = read_batch(input, target, options)
    check_weight(options, batch.classes)
    return reduced(batch, costs(batch), options)


def region_loss(
    input: Logits,
    target: Tensor,
    cost: Cost,
    options: OverlapOptions,
    *,
    squares: bool = False,
) -> Tensor:
    """The loss of a cost of each region's sums."""
    costs = functools.partial(costs_of_sums, options=options, cost=cost, squares=squares)
    return overlap_loss(input, target, costs, options)


def check_axes(batch: Batch, least: int, most: int | None = None) -> None:
    """Refuse logits with too few or too many axes of positions."""
    axes = len(batch.spatial)
    if axes < least or (most is not None and axes > most):
        count = f"at least {least}" if most is None else f"{least} to {most}"
        fail(
            "input",
            f"logits (N, C, d1, ...) with {count} axes of positions",
            f"{axes} of them",
            "give the positions their axes: logits.unflatten or unsqueeze",
        )


def _moved(input: Logits, target: Tensor, costs: Costs, options: OverlapOptions) -> Tensor:
    """The loss of a caller who has the classes on another axis; a result has them last."""
    input = check_input(input)
    shape: list[int] = []

    def inside(input: Logits, target: Tensor, weight: Tensor | None) -> Tensor:
        there = options._replace(class_dim=1, sample_weight=weight)
        found = overlap_loss(input, target, costs, there)
        shape[:] = found.shape
        return found.reshape(-1) if found.dim() > 1 else found  # not to be moved with the classes

    found = at_home(inside, options.class_dim, 1, input, target, options.sample_weight)
    return found.reshape(shape)


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
        if not self._looked:
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
