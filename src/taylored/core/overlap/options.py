"""The options that all overlap losses share, as the caller gave them."""

from __future__ import annotations

from typing import Literal, NamedTuple

from torch import Tensor

from taylored.core.plan.options import LinkName, PerClass, Reduction

PerClassAverage = Literal["class", "sample"]
Average = Literal["class", "sample", "micro", "sample_micro"]
Empty = Literal["keep", "perfect", "skip"]


class OverlapOptions(NamedTuple):
    """What a caller may ask for besides input, target and the cost of a ratio.

    Attributes:
        average: what one ratio is formed over. "class": one class in all samples; "sample": one
            class in one sample; "micro": all classes in all samples; "sample_micro": all classes in
            one sample.
        empty: what is done with a ratio without any truth.
        smooth_numerator: added above the line of each ratio.
        smooth_denominator: added below it.
    """

    link: LinkName = "softmax"
    weight: PerClass | None = None
    ignore_index: int | None = -100
    average: Average = "class"
    empty: Empty = "keep"
    reduction: Reduction = "mean"
    class_dim: int = 1
    sample_weight: Tensor | None = None
    normalizer: float | Tensor | None = None
    smooth_numerator: float = 0.0
    smooth_denominator: float = 0.0

    @property
    def by_sample(self) -> bool:
        """Whether every sample has ratios of its own."""
        return self.average in ("sample", "sample_micro")

    @property
    def pooled(self) -> bool:
        """Whether the classes share a ratio."""
        return self.average in ("micro", "sample_micro")
