"""AdaFace: a margin that asks more of samples of high quality, as the norm of features tells it."""

from __future__ import annotations

from collections.abc import Callable
from typing import TYPE_CHECKING, Annotated, ClassVar

import torch
from torch import Tensor, nn

from taylored.core.engine.one_pass import p_t_loss
from taylored.core.engine.sharded.sharded_pass import replicas
from taylored.core.inputs.features import feature_size
from taylored.core.inputs.logits import Logits, outline
from taylored.core.numerics import computing_dtype, one_if_zero, widest_dtype
from taylored.core.plan.options import Options
from taylored.core.plan.prepare import prepare
from taylored.core.plan.truth_margin import AngularMargin
from taylored.core.state.buffers import counted, held, keep_wide
from taylored.core.state.distributed import summed
from taylored.core.state.micro_batches import MicroBatches
from taylored.core.state.side_effects import refuse_side_effects
from taylored.core.terms.elementary import nll
from taylored.modules.fields.parameter import About
from taylored.modules.spec import Reference, spec_of
from taylored.modules.vocabulary import Group, WeightedLoss

__all__ = ["AdaFaceLoss"]

_SHORTEST, _LONGEST = 1e-3, 100.0
"""Between these the official code cuts norms off."""
_START = (20.0, 100.0)
"""Mean and deviation of the norms with which the official code starts."""
_EPSILON = 1e-3
"""What the official code adds to the deviation."""


def adaptive_margin(quality: Tensor, margin: float) -> AngularMargin:
    """-m q on the angle and m q + m on the cosine (Kim et al. 2022, equation 10)."""
    return AngularMargin(-margin * quality, margin * quality + margin)


class AdaFaceLoss(WeightedLoss):
    r"""AdaFace, :math:`s (\cos(\theta_t - m q) - m q - m)` as the logit of the true class.

    The norm of a sample's features tells the quality of its image, q in [-1, 1]: how many
    deviations it lies above the running mean of the norms, times h. Where it is high, hard samples
    count most; where it is low they may be unrecognisable and count less. At q = -1 this is
    ArcFace, at 0 CosFace. No gradient flows to the norms. The logits are cosines, of a
    `taylored.CosineClassifier` or as `LinearLogits`.

    Shape:
        input (N, C, d1, ...) cosines; target (N, d1, ...) class indices; features (N, D, d1, ...),
        before they are brought to length one, given at the call: `loss(cosines, target, features)`.
        The call also takes `sample_weight` and `normalizer`.

    Example:
        >>> import torch
        >>> from taylored import CosineClassifier
        >>> _ = torch.manual_seed(0)
        >>> head, features = CosineClassifier(8, 3), 5 * torch.randn(4, 8)
        >>> loss = AdaFaceLoss(scale=16.0)
        >>> loss(head(features), torch.tensor([0, 1, 2, 0]), features).isfinite()
        tensor(True)
        >>> loss.mean
        tensor(19.9139, dtype=torch.float64)

    State: the buffers `mean` and `deviation` of the norms start at 20 and 100, as published, and
    are updated in training mode with gradients enabled, before they are read; in evaluation they
    are only read. Positions that are ignored or have the weight 0 are not counted, other weights do
    not enter. A batch is that of all ranks of the process group, in one collective a forward, so
    that every rank has to call the loss. Micro-batches (`accumulate`) see the state with their
    group so far. It cannot train inside torch.func transforms or activation checkpointing.
    """

    link = "softmax"
    unreadable: ClassVar[str] = (
        "its margin depends on the features, which are not among the outputs"
    )
    margin: Annotated[
        float,
        About(
            "how much the true class has to win by; raising it asks for classes farther apart",
            within="[0, 1.5707963267948966]",
            fix="0.4 is the published choice",
            search=(0.1, 0.8),
        ),
    ] = 0.4
    h: Annotated[
        float,
        About(
            "how far a deviation of the norm moves the quality; raising it lets more samples reach "
            "either end, 0 is CosFace",
            within="[0, inf)",
            fix="0.333 is the published choice",
            search=(0.1, 1.0),
        ),
    ] = 0.333
    momentum: Annotated[
        float,
        About(
            "factor on mean and deviation of the earlier norms; raising it steadies them",
            within="[0, 1)",
            fix="0.99 is the published choice",
            fixed=True,
        ),
    ] = 0.99
    scale: Annotated[
        float,
        About(
            "multiplies the cosines; raising it lets probabilities come closer to 0 and 1",
            within="(0, inf)",
            fix="64 is the published choice",
            search=(8.0, 64.0, "log"),
        ),
    ] = 64.0
    process_group: Group = None

    def setup(self) -> None:
        """Start the running mean and deviation."""
        mean, deviation = (torch.tensor(v, dtype=torch.float64, device="cpu") for v in _START)
        self.mean, self.deviation = nn.Buffer(mean), nn.Buffer(deviation)
        self.group = MicroBatches(3)

    # The call takes the features too: their norm tells the quality.
    def forward(  # type: ignore[override]
        self,
        input: Logits,
        target: Tensor,
        features: Tensor,
        *,
        sample_weight: Tensor | None = None,
        normalizer: float | Tensor | None = None,
    ) -> Tensor:
        """The loss of cosines against targets, given the features that they came from."""
        return self._enter(self.class_dim, normalizer, input, target, sample_weight, features)

    def evaluate(  # type: ignore[override]
        self, input: Logits, target: Tensor, options: Options, features: Tensor
    ) -> Tensor:
        """The loss of cosines that came from these features; in training the norms are counted."""
        _, plan = prepare(outline(input), target, nll, options)
        norms = feature_size(features, input, 2.0).clamp(_SHORTEST, _LONGEST)
        if self.training and torch.is_grad_enabled():
            there = plan.rows.reshape(norms.shape) != 0
            mean, deviation = self._counted(norms, there, replicas(input, self.process_group))
        else:
            mean, deviation = held(self.mean), held(self.deviation)
        mean, deviation = mean.to(norms), deviation.to(norms)
        quality = (self.h * (norms - mean) / (deviation + _EPSILON)).clamp(-1.0, 1.0)
        options = options._replace(margin=adaptive_margin(quality, self.margin))
        return p_t_loss(input, target, nll, options)

    @torch.no_grad()
    def _counted(self, norms: Tensor, there: Tensor, copies: int) -> tuple[Tensor, Tensor]:
        """Mean and deviation with this batch, which become the state.

        `copies` is how many of the processes have this batch.
        """
        refuse_side_effects("in eval mode", "call loss.eval() before")
        kept = torch.where(there, norms, 0.0).to(widest_dtype(norms.device))
        # Around a constant near the mean, so that no digits cancel where norms are alike.
        apart = torch.where(there, kept - _START[0], 0.0)
        sums = torch.stack([apart.sum(), (apart * apart).sum(), there.sum().to(apart)])
        sums = sums.to(self.mean) / copies
        sums, complete = counted(summed(sums, self.process_group)), None
        if self.group.size > 1:
            sums, _, complete = self.group.add(sums)
        found = self._averaged(sums)
        for buffer, new in zip((self.mean, self.deviation), found, strict=True):
            buffer.copy_(new if complete is None else torch.where(complete, new, buffer))
        return found

    def _averaged(self, sums: Tensor) -> tuple[Tensor, Tensor]:
        """Mean and deviation after a batch with these sums; one sample has no deviation."""
        total, squares, count = sums
        mean = total / one_if_zero(count)
        variance = (squares - total * mean) / one_if_zero(count - 1.0).clamp_min(1.0)
        batch = (mean + _START[0], variance.clamp_min(0.0).sqrt())
        sound = (count > 1) & squares.isfinite()
        old = (held(self.mean), held(self.deviation))
        fresh = 1.0 - self.momentum
        first, second = (
            torch.where(sound, was + fresh * (now - was), was)
            for was, now in zip(old, batch, strict=True)
        )
        return first, second

    @torch.no_grad()
    def gather(self, micro_batches: int) -> None:
        """Count so many forwards as one batch; an open group is closed as it is."""
        left = self.group.resize(micro_batches)
        if left is not None:
            mean, deviation = self._averaged(left)
            self.mean.copy_(mean)
            self.deviation.copy_(deviation)

    def fill(self, options: Options) -> Options:
        """The options with the scale."""
        return options._replace(temperature=1.0 / self.scale)

    def published(self, outputs: Tensor) -> Tensor:
        """The scaled cosines, without the margin."""
        return self.scale * outputs.to(computing_dtype(outputs))

    def _apply(self, fn: Callable[[Tensor], Tensor], recurse: bool = True) -> AdaFaceLoss:
        before = {name: self._buffers.get(name) for name in ("mean", "deviation")}
        super()._apply(fn, recurse)
        keep_wide(self, before)
        return self

    if TYPE_CHECKING:

        def __call__(  # type: ignore[override]
            self,
            input: Logits,
            target: Tensor,
            features: Tensor,
            *,
            sample_weight: Tensor | None = None,
            normalizer: float | Tensor | None = None,
        ) -> Tensor:
            """The loss of cosines against targets, given the features they came from."""
            ...


SPEC = spec_of(
    "adaface",
    AdaFaceLoss,
    summary="cross-entropy of cosines with a margin that adapts to the quality of each sample",
    formula=r"-\log \frac{e^{s f}}{e^{s f} + \sum_{k \ne t} e^{s \cos \theta_k}},\quad "
    r"f = \cos(\theta_t - m q) - m q - m",
    reference=Reference(
        "Kim, Jain, Liu",
        "AdaFace: Quality Adaptive Margin for Face Recognition",
        "CVPR 2022",
        "equations 8 to 10",
    ),
    differs={
        "mk-minchul/AdaFace": "AdaFace(m, h, s, t_alpha = 1 - momentum) holds the class vectors, "
        "and takes norms; it updates its state in evaluation too, on each rank its own, keeps the "
        "angle within [0.001, pi - 0.001], and a batch of one makes its state NaN. Here the angle "
        "ends at 0 too, and beyond pi the cosine falls on along a line",
    },
    examples=("adaface(scale=4)", "adaface(margin=0.2, h=1, scale=2)"),
    targets=("index",),
    head="cosine",
    call="features",
)
