"""The base of the equalized focal losses: every class focuses by its gradient ratio."""

from __future__ import annotations

from typing import Annotated

from torch import Tensor

from taylored.core.plan.options import Options
from taylored.core.state.gradient_indicator import GradientIndicator
from taylored.modules.fields.parameter import About
from taylored.modules.vocabulary import BackgroundLoss, Decay, Group, NumClasses, WeightedLoss


class FocusingLoss(WeightedLoss, BackgroundLoss):
    """A sigmoid loss that counts gradients, and in which starved classes focus harder.

    `indicator` is a `GradientIndicator`. Its sums are those of the loss after its denominator, as
    published.
    """

    link = "sigmoid"
    gamma: Annotated[
        float,
        About(
            "focusing of a balanced class; raising it silences easy samples sooner",
            within="(0, inf)",
            fix="2 is the published choice",
            search=(0.5, 4.0),
        ),
    ] = 2.0
    scale: Annotated[
        float,
        About(
            "extra focusing of a starved class; raising it lets rare classes focus harder. 8 was "
            "published for RetinaNet-like detectors, 4 for YOLOX; 0 leaves all classes alike",
            within="[0, inf)",
            fix="8 or 4 were published",
            search=(0.0, 12.0),
        ),
    ] = 8.0
    decay: Decay = 1.0
    num_classes: NumClasses
    process_group: Group = None

    def setup(self) -> None:
        """Start to count gradients."""
        self.indicator = GradientIndicator(self.num_classes, decay=self.decay, scale="mean")

    def derive(self) -> None:
        """Count with the ranks of the process group."""
        self.indicator.process_group = self.process_group

    def exponents(self) -> Tensor:
        """gamma_j = gamma + scale (1 - g_j) per class, the ratio g_j clamped to [0, 1]."""
        return self.gamma + self.scale * (1.0 - self.indicator.ratio().clamp(0.0, 1.0))

    def fill(self, options: Options) -> Options:
        """This forward is to be counted."""
        return options._replace(indicator=self.indicator)
