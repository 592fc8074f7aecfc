"""GHM-C: binary cross-entropy, with crowded gradient sizes turned down."""

from __future__ import annotations

from collections.abc import Callable
from typing import Annotated

import torch
from torch import Tensor, nn

from taylored.core.engine.elementwise import ElementBatch, Elements, Values, element_batch, elements
from taylored.core.engine.elementwise_pass import loss_of_batch, pieces
from taylored.core.inputs.logits import Logits
from taylored.core.numerics import widest_dtype
from taylored.core.plan.options import Options
from taylored.core.state.buffers import counted, held, keep_wide
from taylored.core.state.distributed import summed, world_size
from taylored.core.state.micro_batches import MicroBatches
from taylored.core.state.side_effects import refuse_side_effects
from taylored.core.terms.point import Point
from taylored.modules.fields.parameter import About
from taylored.modules.spec import Reference, spec_of
from taylored.modules.vocabulary import BackgroundLoss, Group, WeightedLoss

__all__ = ["GHMLoss"]


def gradient_bins(x: Tensor, y: Tensor, bins: int) -> Tensor:
    """Which of the equal bins of [0, 1] the gradient size |p - y| of each element falls into."""
    size = (torch.sigmoid(x) - y).detach().abs()
    # NaN is in no bin, but the number of one has to be given. The loss is NaN whichever it is.
    return (torch.nan_to_num(size) * bins).long().clamp(max=bins - 1)


def bin_counts(found: Elements, bins: int) -> Tensor:
    """How many elements each bin has; those that count for nothing are in none."""
    place, counted = gradient_bins(found.z, found.y, bins), found.counted()
    # Whole numbers: adding ones in float32 stalls at 2^24.
    empty = torch.zeros(bins, dtype=torch.int64, device=place.device)
    return empty.scatter_add(0, place.flatten(), counted.flatten().long())


@torch.no_grad()
def all_bin_counts(given: ElementBatch, bins: int) -> Tensor:
    """How many elements of all positions each bin has; float32 has not all whole numbers."""
    none = torch.zeros(bins, dtype=torch.int64, device=given.logits.device)
    counts = sum((bin_counts(elements(piece), bins) for piece in pieces(given)), none)
    return counts.to(widest_dtype(given.logits.device))


def bin_weights(counts: Tensor, density: Tensor) -> Tensor:
    """Weight of bin b = (N / number of non-empty bins) / density of b; 0 for empty bins."""
    filled = counts > 0
    total, used = counts.sum(), filled.sum()
    weights = total / (torch.where(filled, density, 1.0) * torch.where(used == 0, 1, used))
    return torch.where(filled, weights, 0.0)


def harmonised_values(weights: Tensor) -> Values:
    """Binary cross-entropy times the weight of the bin that its gradient falls into (eq. 9)."""

    def values(at: Point, y: Tensor) -> Tensor:
        place = gradient_bins(at.margin, y, len(weights))
        return weights[place] * at.binary_cross_entropy(y)

    return values


class GHMLoss(WeightedLoss, BackgroundLoss):
    r"""GHM-C, :math:`\frac{N}{M\,R_b}\,\mathrm{BCE}`, R_b the elements whose gradient is as large.

    Gradient sizes |p - y| are sorted into bins. Nearly all elements of a detector are easy, some
    are hopeless (outliers, wrong labels), few are in between; dividing by the number R_b of
    elements in the same one of the M bins that are not empty gives each bin the same say, and so
    turns both crowds down. The weights are constants: no gradient flows through them. They depend
    on the batch, so that the loss of an element does too. Ignored elements and those of weight 0
    are in no bin; other weights do not enter the density.

    Example:
        >>> import torch
        >>> loss = GHMLoss(bins=10)
        >>> logits = torch.tensor([[-3.0, -3.1, -3.2, 0.5]])
        >>> loss(logits, torch.tensor([[0, 0, 0, 1]]), normalizer=1)
        tensor(1.0366)

    State: with momentum > 0 the buffers `density` and `seen` (bins,), updated in training mode with
    gradients enabled, before the weights are read; a bin only where the batch has elements in it.
    In evaluation they are only read. The average is corrected for its start at 0, so that the first
    batch is weighted as without momentum. The counts are those of the batches of all ranks of the
    process group, added up in one collective a forward, so that every rank of it has to call the
    loss; an evaluation takes the batches of all ranks to be as large as its own. Micro-batches
    (`accumulate`) are weighted by those of their group so far, as if the rest of it were alike.
    Without momentum nothing is kept and nothing is sent: the density is that of the batch at hand.
    The momentum form cannot train inside torch.func transforms or activation checkpointing.
    """

    unreadable = "its weights depend on the other elements of each batch"
    link = "sigmoid"
    bins: Annotated[
        int,
        About(
            "number of equal bins of [0, 1]; raising it follows the density more closely, and more "
            "noisily, 1 is binary cross-entropy",
            within="[1, inf)",
            fix="10 in the paper's classification",
            search=(2, 30),
            fixed=True,
        ),
    ] = 10
    momentum: Annotated[
        float,
        About(
            "factor on the bin counts of earlier batches, a moving average; raising it steadies "
            "the weights of small batches, 0 keeps no state",
            within="[0, 1)",
            fix="0 keeps no state, 0.75 is usual",
            search=(0.0, 0.95),
            fixed=True,
        ),
    ] = 0.0
    process_group: Group = None

    def setup(self) -> None:
        """Start the moving average, if there is one."""
        if self.momentum > 0:
            self.density = nn.Buffer(torch.zeros(self.bins, dtype=torch.float64, device="cpu"))
            self.seen = nn.Buffer(torch.zeros(self.bins, dtype=torch.float64, device="cpu"))
            self.group = MicroBatches(self.bins)

    def evaluate(self, input: Logits, target: Tensor, options: Options) -> Tensor:
        """The loss of logits against targets; with momentum a training forward is counted."""
        given = element_batch(input, target, options)
        counts = all_bin_counts(given, self.bins)
        weights = bin_weights(counts, counts) if self.momentum == 0 else self._averaged(counts)
        return loss_of_batch(input, given, harmonised_values(weights.to(given.plan.rows)))

    def _averaged(self, counts: Tensor) -> Tensor:
        """The weights by the moving average over the batches; a training forward is counted."""
        counts = counts.to(self.density)
        if self.training and torch.is_grad_enabled():
            counts, density, seen = self._counted(counts)
        else:
            counts = counts * world_size(self.process_group)
            density, seen = held(self.density), held(self.seen)
        average = density / torch.where(seen > 0, seen, 1.0)
        return bin_weights(counts, torch.where(seen > 0, average, counts))

    @torch.no_grad()
    def _counted(self, counts: Tensor) -> tuple[Tensor, Tensor, Tensor]:
        """The counts of the whole batch, and both averages with them, which become the state."""
        fix = "call loss.eval() before, or use momentum=0"
        refuse_side_effects("without momentum or in eval mode", fix)
        counts, complete = counted(summed(counts, self.process_group)), None
        if self.group.size > 1:
            counts, forwards, complete = self.group.add(counts)
            counts = counts * (self.group.size / forwards)
        density, seen = self._with(counts)
        for buffer, averaged in ((self.density, density), (self.seen, seen)):
            kept = averaged if complete is None else torch.where(complete, averaged, buffer)
            buffer.copy_(kept)
        return counts, density, seen

    def _with(self, counts: Tensor) -> tuple[Tensor, Tensor]:
        """Both averages after a batch with these counts."""
        # A bin that is empty in this batch stays as it is: nothing times 1, plus nothing.
        kept = torch.where(counts > 0, torch.full_like(counts, self.momentum), 1.0)
        fresh = 1.0 - self.momentum
        density = held(self.density) * kept + fresh * counts
        return density, held(self.seen) * kept + fresh * (counts > 0).to(counts)

    @torch.no_grad()
    def gather(self, micro_batches: int) -> None:
        """Count so many forwards as one batch; an open group is closed as it is."""
        if self.momentum > 0:
            left = self.group.resize(micro_batches)
            if left is not None:
                density, seen = self._with(left)
                self.density.copy_(density)
                self.seen.copy_(seen)

    def _apply(self, fn: Callable[[Tensor], Tensor], recurse: bool = True) -> GHMLoss:
        before = {name: self._buffers.get(name) for name in ("density", "seen")}
        super()._apply(fn, recurse)
        keep_wide(self, before)
        return self


SPEC = spec_of(
    "ghm",
    GHMLoss,
    summary="binary cross-entropy over the density of its gradient sizes (GHM-C)",
    formula=r"\frac{N}{M\,R_{b(|p - y|)}}\,\mathrm{BCE}(x, y)",
    reference=Reference(
        "Li, Liu, Wang",
        "Gradient Harmonized Single-stage Detector",
        "AAAI 2019",
        "equations 5 to 9",
    ),
    differs={
        "mmdetection": "GHMC(bins, momentum): equal for momentum = 0 and reduction='mean', where "
        "its label_weight > 0 marks what counts and ignored labels are skipped; its loop over the "
        "bins waits for the device at each. With momentum its average is not corrected, so that "
        "the first weights are larger by 1 / (1 - momentum)",
    },
    examples=("ghm(bins=10)",),
)
