"""What overlap losses call their shared parameters, and what each of them does."""

from __future__ import annotations

from typing import Annotated, TypedDict

from torch import Tensor

from taylored.core.overlap.options import Average, Empty, PerClassAverage
from taylored.core.plan.options import LinkName, PerClass, Reduction
from taylored.modules.fields.parameter import About

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
