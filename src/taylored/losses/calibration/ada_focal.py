"""AdaFocal: focal loss whose gamma follows, bin by bin, how well the model is calibrated."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from typing import Annotated

import torch
from torch import Tensor, nn

from taylored.core.checks import fail
from taylored.core.engine.one_pass import p_t_loss
from taylored.core.inputs.logits import Logits
from taylored.core.inputs.targets import check_input, softmax_kind
from taylored.core.plan.options import Options
from taylored.core.state.buffers import held, keep_wide
from taylored.core.terms.elementary import Power
from taylored.core.terms.point import Point
from taylored.core.terms.power_series import Series
from taylored.core.terms.term import Term
from taylored.modules.fields.parameter import About
from taylored.modules.spec import Reference, spec_of
from taylored.modules.vocabulary import SmoothedLoss

__all__ = ["AdaFocalLoss"]


@dataclass(frozen=True, eq=False, repr=False)
class BinnedFocal(Term):
    """(1 - p)^gamma -log p, or (1 + p)^-gamma -log p where gamma < 0, with a gamma per bin of p.

    Attributes:
        edges: (B - 1,), where a bin ends and the next begins, ascending.
        gammas: (B,).
    """

    edges: Tensor
    gammas: Tensor

    def evaluate(self, at: Point) -> Tensor:
        """The value, with the exponent of each sample."""
        return self.evaluate_with_slope(at)[0]

    def evaluate_with_slope(self, at: Point) -> tuple[Tensor, Tensor]:
        """Value and slope within a bin; the jump at its end has none."""
        place = torch.bucketize(at.p.detach(), self.edges.to(at.p), right=True)
        gamma = self.gammas.to(at.p)[place]
        value, slope = Power(gamma.clamp_min(0.0)).multiply(at, at.nll, at.q)
        inverse = (-gamma).clamp_min(0.0)
        factor = (1.0 + at.p) ** inverse
        bent = at.q * (1.0 - inverse * at.p / (1.0 + at.p) * at.nll)
        focal = gamma >= 0.0
        return torch.where(focal, value, factor * at.nll), torch.where(focal, slope, factor * bent)

    def series(self, order: int) -> Series:
        """None: each bin has its own."""
        fail("term", "one with a power series in 1 - p_t", str(self), "take that of focal loss")

    def __str__(self) -> str:
        return f"(1-p)^gamma(p) * -log(p), gamma from {len(self.gammas)} bins of p"


class AdaFocalLoss(SmoothedLoss):
    r"""AdaFocal, :math:`-(1 - p_t)^{\gamma_b} \log p_t`, with a gamma for each bin b of p_t.

    After each epoch `adapt` is given the validation set: where the model was more confident than
    it was right, gamma grows by :math:`\gamma_b \leftarrow \gamma_b e^{\lambda (C_b - A_b)}`, where
    it was not confident enough gamma falls, and below `switch` the bin goes over to the inverse
    focal loss, :math:`-(1 + p_t)^{|\gamma_b|} \log p_t`, and back. :math:`C_b` and :math:`A_b` are
    the mean confidence and the accuracy of the bin's validation samples; bins hold equally many.
    Until `adapt` is called first, it is focal loss with gamma `initial`.

    Example:
        >>> import torch
        >>> loss = AdaFocalLoss(bins=2)
        >>> logits = torch.tensor([[3.0, 0.0], [0.0, 2.0], [0.5, 0.0]])
        >>> truth = torch.tensor([1, 1, 0])
        >>> loss(logits, truth)
        tensor(1.0327)
        >>> loss.adapt(logits, truth)
        >>> loss.gammas, loss(logits, truth)
        (tensor([0.6855, 1.5169], dtype=torch.float64), tensor(1.0656))

    State: the buffers `gammas`, (bins,), and `edges`, (bins - 1,), change in `adapt` alone.
    Processes stay equal if each gives `adapt` the same samples, those of all ranks.
    """

    link = "softmax"
    unreadable = "the loss jumps where gamma changes, and outputs near that are no single answer"
    bins: Annotated[
        int,
        About(
            "of p_t; raising it follows the calibration more closely, with fewer samples in each",
            within="[1, inf)",
            fix="15 is the published choice",
            fixed=True,
        ),
    ] = 15
    initial: Annotated[
        float,
        About(
            "gamma of all bins before the first `adapt`; raising it silences easy samples sooner, "
            "below 0 they count more instead",
            within="[-3, inf)",
            fix="1 is the published choice",
            search=(0.5, 3.0),
            fixed=True,
        ),
    ] = 1.0
    rate: Annotated[
        float,
        About(
            "lambda; raising it lets gamma answer faster to a gap between confidence and accuracy",
            within="(0, inf)",
            fix="1 is the published choice",
            fixed=True,
        ),
    ] = 1.0
    switch: Annotated[
        float,
        About(
            "size of gamma below which a bin changes between focal and inverse focal loss; raising "
            "it changes sooner",
            within="[0, inf)",
            fix="0.2 is the published choice",
            fixed=True,
        ),
    ] = 0.2
    largest: Annotated[
        float,
        About(
            "bound of gamma above; raising it allows samples to be silenced more",
            within="[0, inf)",
            fix="20 is the published choice",
            fixed=True,
        ),
    ] = 20.0
    smallest: Annotated[
        float,
        About(
            "bound of gamma below; lowering it allows a stronger inverse focal loss. Below -3 the "
            "loss would rise with p",
            within="[-3, 0]",
            fix="-2 is the published choice",
            fixed=True,
        ),
    ] = -2.0

    def setup(self) -> None:
        """One gamma everywhere."""
        gammas = torch.full((self.bins,), self.initial, dtype=torch.float64, device="cpu")
        edges = torch.arange(1, self.bins, dtype=torch.float64, device="cpu") / self.bins
        self.gammas, self.edges = nn.Buffer(gammas), nn.Buffer(edges)

    def evaluate(self, input: Logits, target: Tensor, options: Options) -> Tensor:
        """Cross-entropy, focused by bin."""
        term = BinnedFocal(held(self.edges), held(self.gammas))
        return p_t_loss(input, target, term, options)

    @torch.no_grad()
    def adapt(self, logits: Tensor, target: Tensor) -> None:
        """Move gamma by what the model says of a validation set and how often it is right.

        Args:
            logits: (N, C), of the whole validation set.
            target: (N,) class indices; those that equal `ignore_index` are left out.

        Raises:
            ValueError: for other shapes or dtypes, or fewer samples than bins.
        """
        if check_input(logits).dim() != 2 or softmax_kind(logits, target) != "index":
            fail("target", f"class indices (N,) for logits (N, C), here {tuple(logits.shape)}",
                 f"shape {tuple(target.shape)}", "one class per sample")  # fmt: skip
        z, labels = logits.double(), target
        if self.ignore_index is not None:
            there = target != self.ignore_index
            z, labels = z[there], labels[there]
        if len(labels) < self.bins:
            expected = f"at least {self.bins} samples that count, one per bin"
            mend = "give the whole validation set, or construct the loss with fewer bins"
            fail("logits", expected, str(len(labels)), mend)
        confidence, predicted = torch.softmax(z, 1).max(1)
        order = torch.argsort(confidence)
        confidence, right = confidence[order], (predicted == labels)[order].double()
        ends = torch.arange(self.bins + 1, device=z.device) * len(labels) // self.bins
        gaps = (confidence - right).cumsum(0)
        gaps = torch.cat([gaps.new_zeros(1), gaps])[ends].diff() / ends.diff()
        edges = 0.5 * (confidence[ends[1:-1] - 1] + confidence[ends[1:-1]])
        self.edges.copy_(edges)
        self.gammas.copy_(self._moved(gaps.to(self.gammas)))

    def _moved(self, gaps: Tensor) -> Tensor:
        """The gammas after a step, with a change of sides where they became small."""
        moved = self.gammas * torch.exp(self.rate * torch.where(self.gammas > 0.0, gaps, -gaps))
        other = torch.where(moved > 0.0, -self.switch, self.switch)
        moved = torch.where(moved.abs() < self.switch, other, moved)
        return moved.clamp(self.smallest, self.largest)

    def _apply(self, fn: Callable[[Tensor], Tensor], recurse: bool = True) -> AdaFocalLoss:
        before = {name: self._buffers.get(name) for name in ("gammas", "edges")}
        super()._apply(fn, recurse)
        keep_wide(self, before)
        return self


SPEC = spec_of(
    "ada_focal",
    AdaFocalLoss,
    summary="focal loss whose gamma follows the calibration on validation data, bin by bin",
    formula=r"-(1 - p_t)^{\gamma_b} \log p_t,\quad "
    r"\gamma_b \leftarrow \gamma_b\, e^{\lambda (C_b - A_b)},\; b = \text{bin of } p_t",
    reference=Reference(
        "Ghosh, Schaaf, Gormley",
        "AdaFocal: Calibration-aware Adaptive Focal Loss",
        "NeurIPS 2022",
        "algorithm 1",
    ),
    differs={
        "3mcloud/adafocal": "equal, but that a bin ends half way between two confidences and "
        "takes p_t from there on; there the loss is summed, and is given the gaps",
    },
    examples=("ada_focal()", "ada_focal(initial=-0.5, bins=4)"),
    identities={
        "ada_focal(initial=1.3)": "focal(gamma=1.3)",
        "ada_focal(initial=0)": "cross_entropy()",
    },
)
