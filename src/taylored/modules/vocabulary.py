"""The parameters that many losses share, each declared once.

A loss takes them by deriving from the smallest of the five classes that has what it needs, or by a
line of its own, `pos_weight: PosWeight = None`. The `...Call` types say the same for the functions:
`**shared: Unpack[SmoothedCall]`.

A loss of your own:

>>> import torch
>>> from taylored import terms
>>> class HalfFocalLoss(EitherLinkLoss):
...     gamma: Annotated[float, About("focusing", within="[0, inf)")] = 2.0
...
...     @property
...     def term(self):
...         return 0.5 * terms.power(self.gamma) * terms.nll
>>> loss = HalfFocalLoss(gamma=1, label_smoothing=0.1)
>>> loss
HalfFocalLoss(gamma=1, label_smoothing=0.1)
>>> loss(torch.zeros(1, 2), torch.tensor([0]))
tensor(0.1733)
>>> HalfFocalLoss(gama=1)
Traceback (most recent call last):
TypeError: HalfFocalLoss has no parameter `gama`. Did you mean 'gamma'? ...
"""

from __future__ import annotations

from typing import Annotated, TypedDict

from torch import Tensor

from taylored.core.plan.options import LinkName, PerClass, Reduction
from taylored.core.state.distributed import ProcessGroup, as_group
from taylored.modules.classification import ClassificationLoss
from taylored.modules.fields.parameter import About

Link = Annotated[
    LinkName,
    About(
        '"softmax" for one true class per position, "sigmoid" for independent yes / no classes '
        "(detection, multi-label)",
        shared=True,
        slot=True,
    ),
]
Weight = Annotated[
    PerClass | None,
    About(
        "multiplies the loss of a class, after the term; raising it favours that class",
        within="[0, inf)",
        shared=True,
        slot=True,
    ),
]
Alpha = Annotated[
    float | PerClass | None,
    About(
        "weight of positives, with 1 - alpha for negatives (sigmoid only); raising it raises "
        "recall",
        within="[0, 1]",
        search=(0.05, 0.95),
        shared=True,
        slot=True,
    ),
]
PosWeight = Annotated[
    float | PerClass | None,
    About(
        "multiplies the loss of positives only (sigmoid only); raising it raises recall",
        within="[0, inf)",
        shared=True,
        slot=True,
    ),
]
IgnoreIndex = Annotated[
    int | None,
    About(
        "positions (or, for targets per element, elements) with this target count for nothing: no "
        "loss, no gradient, no denominator; None switches it off",
        shared=True,
        slot=True,
    ),
]
LabelSmoothing = Annotated[
    float,
    About(
        "target mass spread evenly over the classes; raising it makes confident predictions "
        "costlier",
        within="[0, 1]",
        fix="give the mass to move away from the target (0.1 is common; not the mass to keep)",
        search=(0.0, 0.3),
        shared=True,
        slot=True,
    ),
]
ReductionName = Annotated[
    Reduction,
    About(
        '"mean" divides by the sum of the targets\' weights for class indices (as torch does), by '
        "the number of positions for probabilities, and by the number of elements for the sigmoid "
        'link; "batch_mean" divides by the number of positions',
        shared=True,
        slot=True,
    ),
]
ClassDim = Annotated[
    int,
    About(
        "axis of `input` that has the classes, and of a target or `sample_weight` of its shape; -1 "
        "is the last, where language models have it. Another layout is read as it is, not copied",
        shared=True,
        slot=True,
    ),
]
BackgroundIndex = Annotated[
    int | None,
    About(
        "class-index target that means none of the classes: a row of negatives (sigmoid only)",
        shared=True,
        slot=True,
    ),
]
Counts = Annotated[
    PerClass,
    About(
        "training samples per class (`taylored.class_counts`); a class without samples counts as "
        "if it had one, with a warning",
        within="[0, inf)",
        fix="use taylored.class_counts(targets)",
        needs="counts",
    ),
]
NumClasses = Annotated[
    int,
    About(
        "number of classes; taken from the data where that is known",
        within="[1, inf)",
        fix="count your classes",
        needs="num_classes",
        fixed=True,
    ),
]
Decay = Annotated[
    float,
    About(
        "factor on the old gradients at each update; lowering it forgets faster, 1 never forgets",
        within="(0, 1]",
        fix="1 never forgets",
        fixed=True,
    ),
]
Group = Annotated[
    ProcessGroup | None,
    About(
        "the processes whose batches are parts of one: all of them (None) for data parallelism; "
        'the data-parallel group, `mesh["data"]`, where tensor-parallel ranks see the same batch '
        "or pipeline stages have no loss. Copies share it; pickles forget it, and the loss then "
        "asks for it again",
        domain="a torch.distributed process group, a mesh of one dimension, or None",
        local=True,
        convert=as_group,
    ),
]


class ReducedLoss(ClassificationLoss):
    """A loss that can leave positions out and reduce what is left, with the classes on any axis."""

    ignore_index: IgnoreIndex = -100
    reduction: ReductionName = "mean"
    class_dim: ClassDim = 1


class ReducedCall(TypedDict, total=False):
    """The shared keywords of a call of such a loss's function."""

    ignore_index: int | None
    reduction: Reduction
    class_dim: int
    sample_weight: Tensor | None
    normalizer: float | Tensor | None


class WeightedLoss(ReducedLoss):
    """A loss with class weights too."""

    weight: Weight = None


class WeightedCall(ReducedCall, total=False):
    """The shared keywords of a call of such a loss's function."""

    weight: PerClass | None


class SmoothedLoss(WeightedLoss):
    """A loss that can smooth its targets too."""

    label_smoothing: LabelSmoothing = 0.0


class SmoothedCall(WeightedCall, total=False):
    """The shared keywords of a call of such a loss's function."""

    label_smoothing: float


class BackgroundLoss(ReducedLoss):
    """A loss of the sigmoid link too: a position may be of none of the classes."""

    background_index: BackgroundIndex = None


class BackgroundCall(ReducedCall, total=False):
    """The shared keywords of a call of such a loss's function."""

    background_index: int | None


class WeightedBackgroundCall(WeightedCall, BackgroundCall, total=False):
    """Those of a loss with class weights."""


class SmoothedBackgroundCall(SmoothedCall, BackgroundCall, total=False):
    """Those of a loss that can smooth its targets."""


class EitherLinkLoss(SmoothedLoss, BackgroundLoss):
    """A loss for the softmax and the sigmoid link."""

    link: Link = "softmax"
    alpha: Alpha = None
    pos_weight: PosWeight = None


class EitherLinkCall(SmoothedBackgroundCall, total=False):
    """The shared keywords of a call of such a loss's function."""

    link: LinkName
    alpha: float | PerClass | None
    pos_weight: float | PerClass | None
