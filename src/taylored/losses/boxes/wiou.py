"""WIoU: IoU, weighted by the distance of the centres, and by how ordinary a box is."""

from __future__ import annotations

from collections.abc import Callable
from typing import Annotated, Literal

import torch
from torch import Tensor, nn

from taylored.core.boxes.geometry import Pair, constant, ratio
from taylored.core.numerics import one_if_zero
from taylored.core.state.buffers import counted, held, keep_wide
from taylored.core.state.distributed import summed, world_size
from taylored.core.state.micro_batches import MicroBatches
from taylored.core.state.side_effects import refuse_side_effects
from taylored.modules.boxes import BoxLoss
from taylored.modules.fields.parameter import About
from taylored.modules.spec import Reference, spec_of
from taylored.modules.vocabulary import Group

__all__ = ["WIoULoss"]


def attention(pair: Pair) -> Tensor:
    """exp(rho^2 / c^2) with the diagonal c a constant (Tong et al., equation 8)."""
    return torch.exp(ratio(pair.distance, constant(pair.diagonal)))


def focusing(outlier: Tensor, alpha: float, delta: float) -> Tensor:
    """beta / (delta alpha^(beta - delta)), largest for beta = 1 / ln alpha (equation 13)."""
    return outlier / delta * alpha ** (delta - outlier)


class WIoULoss(BoxLoss):
    r"""Wise-IoU loss, :math:`r \, e^{\rho^2 / c^2} (1 - \mathrm{IoU})`.

    Version 1 is r = 1: the loss grows with the distance of the centres, and the diagonal c of the
    enclosing box is a constant, so that nothing is gained by making it larger. Version 3 adds the
    focusing :math:`r = \beta / (\delta \alpha^{\beta - \delta})` of the outlier degree
    :math:`\beta = (1 - \mathrm{IoU}) / m`, the loss of a box over the running mean m of all: very
    good boxes, and hopeless ones whose labels may be wrong, weigh less than ordinary ones. r is a
    constant: no gradient flows through it.

    Example:
        >>> import torch
        >>> boxes, target = torch.tensor([0.0, 0.0, 2.0, 2.0]), torch.tensor([1.0, 0.0, 3.0, 2.0])
        >>> WIoULoss(version="v1")(boxes, target)
        tensor(0.7200)
        >>> loss = WIoULoss(version="v3", half_life=100.0)
        >>> loss(boxes.requires_grad_(), target).detach(), loss.mean
        (tensor(0.7163), tensor(0.9977, dtype=torch.float64))

    State: version 3 has the buffer `mean`, which starts at 1, and is updated in training mode with
    gradients enabled, before it is read; in evaluation it is only read. Positions of sample weight
    0 are not counted, other weights do not enter it. It is the mean over the batches of all ranks
    of the process group, in one collective a forward, so that every rank has to call the loss.
    Micro-batches (`accumulate`) are weighted by the mean of their group so far. It cannot train
    inside torch.func transforms or activation checkpointing. Version 1 has none of this.
    """

    version: Annotated[
        Literal["v1", "v3"],
        About('"v1" for the distance alone, "v3" with the focusing', fixed=True),
    ] = "v3"
    alpha: Annotated[
        float,
        About(
            "base of the focusing, for v3; raising it turns outliers further down, the largest "
            "weight is that of beta = 1 / ln(alpha)",
            within="(1, inf)",
            search=(1.2, 2.5),
        ),
    ] = 1.9
    delta: Annotated[
        float,
        About(
            "outlier degree at which the weight is 1, for v3; raising it raises all weights but "
            "those of outliers",
            within="(0, inf)",
            search=(1.0, 5.0),
        ),
    ] = 3.0
    half_life: Annotated[
        float,
        About(
            "batches after which the running mean has forgotten half of what it was, for v3; "
            "raising it steadies the mean and lets its start at 1 last longer",
            within="(0, inf)",
            search=(100.0, 10000.0, "log"),
        ),
    ] = 7000.0
    process_group: Group = None

    def setup(self) -> None:
        """Start the running mean, if there is one."""
        if self.version == "v3":
            self.mean = nn.Buffer(torch.ones((), dtype=torch.float64, device="cpu"))
            self.group = MicroBatches(2)

    def beside(self, weight: Tensor | None, input: Tensor, target: Tensor) -> Tensor:
        """One value per pair of boxes; with version 3 a training forward is counted."""
        pair = Pair.of(input, target, self.format)
        lost = 1.0 - pair.iou
        costs = attention(pair) * lost
        if self.version == "v1":
            return costs
        lost = constant(lost)
        counts = self.training and torch.is_grad_enabled()
        mean = self._counted(lost, weight) if counts else held(self.mean)
        outlier = ratio(lost, mean.to(lost).expand_as(lost))
        return focusing(outlier, self.alpha, self.delta) * costs

    @torch.no_grad()
    def _counted(self, lost: Tensor, weight: Tensor | None) -> Tensor:
        """The running mean with this batch, which becomes the state."""
        refuse_side_effects('version="v1" or in eval mode', "call loss.eval() before")
        world_size(self.process_group)
        there = torch.ones_like(lost) if weight is None else (weight != 0).to(lost)
        there = there.expand_as(lost)
        sums = torch.stack([(lost * there).sum(), there.sum()]).to(self.mean)
        sums, complete = counted(summed(sums, self.process_group)), None
        if self.group.size > 1:
            sums, _, complete = self.group.add(sums)
        mean = self._averaged(sums)
        self.mean.copy_(mean if complete is None else torch.where(complete, mean, self.mean))
        return mean

    def _averaged(self, sums: Tensor) -> Tensor:
        """The running mean after a batch with this sum and count; 0 boxes change nothing."""
        fresh = 1.0 - 0.5 ** (1.0 / self.half_life)
        mean = held(self.mean)
        batch = sums[0] / one_if_zero(sums[1])
        sound = (sums[1] > 0) & batch.isfinite()
        return torch.where(sound, mean + fresh * (batch - mean), mean)

    @torch.no_grad()
    def gather(self, micro_batches: int) -> None:
        """Count so many forwards as one batch; an open group is closed as it is."""
        if self.version == "v3":
            left = self.group.resize(micro_batches)
            if left is not None:
                self.mean.copy_(self._averaged(left))

    def _apply(self, fn: Callable[[Tensor], Tensor], recurse: bool = True) -> WIoULoss:
        before = {"mean": self._buffers.get("mean")}
        super()._apply(fn, recurse)
        keep_wide(self, before)
        return self


SPEC = spec_of(
    "wiou",
    WIoULoss,
    summary="1 - IoU, weighted by distance and by how ordinary a box is (Wise-IoU)",
    formula=r"\frac{\beta}{\delta \alpha^{\beta - \delta}} \, e^{\rho^2 / c^2} (1 - \mathrm{IoU})",
    reference=Reference(
        "Tong, Chen, Xu, Yu",
        "Wise-IoU: Bounding Box Regression Loss with Dynamic Focusing Mechanism",
        "arXiv 2301.10051 (2023)",
        "equations 8 and 13",
    ),
    differs={
        "Instinct323/wiou": "monotonous=None and False: v1 and v3. Its mean stands on the class, "
        "in no state dict (branch v1), is that of one process, and waits for the device at each "
        "batch; the momentum 1 - 0.5^(1 / 7000) is half_life=7000 here",
    },
    examples=("wiou()", 'wiou(version="v1")', "wiou(alpha=1.5, delta=2)"),
)
