"""GCL: Gaussian noise on the logits, most for rare classes, so that their features fill a cloud."""

from __future__ import annotations

from typing import Annotated

import torch
from torch import Tensor, nn

from taylored.core.class_weights import log_prior
from taylored.core.engine.one_pass import p_t_loss
from taylored.core.inputs.logits import Logits
from taylored.core.inputs.targets import check_input
from taylored.core.numerics import computing_dtype, without_offset
from taylored.core.plan.options import Options, PerClass
from taylored.core.terms.elementary import nll
from taylored.core.terms.shifted import shifted
from taylored.core.terms.term import Term
from taylored.modules.class_axis import along, class_axis
from taylored.modules.fields.parameter import About
from taylored.modules.spec import Reference, spec_of
from taylored.modules.vocabulary import Counts, SmoothedLoss

__all__ = ["GaussianCloudedLogitLoss"]

_DEVIATION = 1.0 / 3.0
"""Of the noise, which is cut off at three times as much, as published."""


def cloud_sizes(counts: PerClass) -> Tensor:
    """log n_max - log n, over the largest: 0 for the most frequent class, 1 for the rarest."""
    log_counts = log_prior(counts, dtype=torch.float64)
    sizes = log_counts.max() - log_counts
    largest = sizes.max()
    return torch.where(largest > 0, sizes / torch.where(largest > 0, largest, 1.0), 0.0)


class GaussianCloudedLogitLoss(SmoothedLoss):
    r"""GCL: cross-entropy of :math:`s (z_k - r \delta_k |\epsilon_k|)` with random epsilon.

    Each logit loses a random amount, which is larger the rarer its class is: :math:`\delta_k` grows
    with the logarithm of :math:`n_{max} / n_k`, from 0 to 1. Rare classes then have to win by more,
    and by another amount each time, which spreads their features over a cloud as large as those of
    frequent ones. The logits are cosines, of a `taylored.CosineClassifier`.

    The draws are those of torch's default generator, anew at every call in training mode; in
    evaluation nothing is drawn, and nothing taken off. There is no state.

    Example:
        >>> import torch
        >>> loss = GaussianCloudedLogitLoss(counts=[1000, 100, 10])
        >>> loss.sizes.float()
        tensor([0.0000, 0.5000, 1.0000])
        >>> cosines, truth = torch.tensor([[0.5, 0.6, 0.2]]), torch.tensor([1])
        >>> loss.eval()(cosines, truth)
        tensor(0.0486)

    Inference: `predict` is the largest logit.
    """

    link = "softmax"
    unreadable = "its logits lose random amounts in training"
    counts: Counts
    noise: Annotated[
        float,
        About(
            "factor on the noise, r; raising it widens the clouds of rare classes, 0 is "
            "cross-entropy of scaled logits",
            within="[0, inf)",
            fix="0.5 to 1 are the published choices",
            search=(0.1, 1.0),
        ),
    ] = 1.0
    margin: Annotated[
        float,
        About(
            "taken off the true logit besides; raising it asks for classes farther apart",
            within="[0, inf)",
            fix="0 is the published choice",
            search=(0.0, 0.5),
        ),
    ] = 0.0
    scale: Annotated[
        float,
        About(
            "multiplies the logits; raising it lets the probabilities come closer to 0 and 1",
            within="(0, inf)",
            fix="30 is the published choice",
            search=(8.0, 64.0, "log"),
        ),
    ] = 30.0

    def derive(self) -> None:
        """How large the cloud of every class is."""
        self.sizes = nn.Buffer(cloud_sizes(self.counts), persistent=False)

    def fill(self, options: Options) -> Options:
        """The options with the scale."""
        return options._replace(temperature=1.0 / self.scale)

    def evaluate(self, input: Logits, target: Tensor, options: Options) -> Tensor:
        """The loss of the clouded logits."""
        term: Term = shifted(nll, self.scale * self.margin)
        if not self.training or self.noise == 0.0:
            return p_t_loss(input, target, term, options)
        logits = check_input(input)
        clouded = without_offset(logits.to(computing_dtype(logits)), class_axis(logits))
        # In the order of the axes, whatever the layout of the memory is. In place, on tensors of
        # our own: two are as large as the logits at any time.
        drawn = torch.randn(clouded.shape, dtype=clouded.dtype, device=clouded.device)
        drawn.mul_(_DEVIATION).abs_().clamp_(max=1.0).mul_(self.noise * along(self.sizes, logits))
        clouded.sub_(drawn)
        del drawn
        return p_t_loss(clouded, target, term, options)

    def published(self, outputs: Tensor) -> Tensor:
        """The scaled outputs."""
        return self.scale * outputs.to(computing_dtype(outputs))


SPEC = spec_of(
    "gcl",
    GaussianCloudedLogitLoss,
    summary="cross-entropy of logits that lose a random amount, more for rare classes (GCL)",
    formula=r"-\log \frac{e^{s \tilde z_t}}{\sum_k e^{s \tilde z_k}},\quad \tilde z_k = z_k - r\, "
    r"\frac{\log n_{\max} - \log n_k}{\log n_{\max} - \log n_{\min}} |\epsilon_k|",
    reference=Reference(
        "Li, Cheung, Lu",
        "Long-Tailed Visual Recognition via Gaussian Clouded Logit Adjustment",
        "CVPR 2022",
        "as in the authors' code",
    ),
    differs={
        "Keke921/GCLLoss": "GCLLoss(cls_num_list, m = margin, s = scale, noise_mul = noise): "
        "draws in evaluation too; equal counts make it NaN. Its focal form is for a second stage",
    },
    examples=("gcl(noise=0, scale=4)", "gcl(noise=0, margin=0.2, scale=2)"),
    head="cosine",
)
