"""Center loss: the squared distance of features to the center of their class."""

from __future__ import annotations

from collections.abc import Callable
from typing import Annotated, ClassVar, Literal

import torch
from torch import Tensor, nn

from taylored.core.checks import check_floats, fail
from taylored.core.inputs.targets import check_indices
from taylored.core.numerics import state_dtype
from taylored.core.plan.options import check_reduction
from taylored.core.plan.reduced import reduced
from taylored.core.state.buffers import counted, held, keep_wide
from taylored.core.state.distributed import summed
from taylored.core.state.micro_batches import MicroBatches
from taylored.core.state.side_effects import refuse_side_effects
from taylored.modules.base import Takes
from taylored.modules.fields.parameter import About
from taylored.modules.spec import Reference, spec_of
from taylored.modules.values import ValueLoss, prepared
from taylored.modules.vocabulary import Group, IgnoreIndex, NumClasses

__all__ = ["CenterLoss"]


class CenterLoss(ValueLoss):
    r"""Center loss, :math:`\frac12 \|x - c_y\|^2`, the distance to the center of the class.

    It is added to a classification loss with a small weight (0.003 is published), and draws the
    features of a class together. The centers follow by averaging, a rule of their own, as
    published: :math:`c_j` moves by :math:`\alpha \sum_{y=j} (x - c_j) / (1 + n_j)` after a batch
    with n_j samples of class j. Or they are parameters that an optimiser trains, whose weight in
    the sum then is that of the loss: give them a learning rate of their own. Only the centers of
    the batch's classes are looked at: no distance to all classes is formed.

    Example:
        >>> import torch
        >>> loss = CenterLoss(num_classes=2, dim=2)
        >>> features = torch.tensor([[3.0, 4.0], [1.0, 0.0]], requires_grad=True)
        >>> loss(features, torch.tensor([0, 1]))
        tensor(6.5000, grad_fn=...)
        >>> loss.centers
        tensor([[0.7500, 1.0000],
                [0.2500, 0.0000]])

    State: by averaging, the buffer `centers` (C, D) starts at 0 and is updated in training mode
    with gradients enabled, after it is read; in evaluation it is only read. Samples that are
    ignored or have the weight 0 are not counted, other weights do not enter. A batch is that of
    all ranks of the process group, in one collective of C (D + 1) numbers a forward, so that every
    rank has to call the loss; micro-batches (`accumulate`) are one batch, and their sums take as
    many doubles. It cannot train inside torch.func transforms or activation checkpointing. Trained
    centers are the parameter of the same name, which data parallelism has to be told of.
    """

    takes: ClassVar[Takes] = "features"
    inner: ClassVar[int] = 1
    shapes: ClassVar[str] = "input (..., D) features; target (...) their classes, whole numbers."
    num_classes: NumClasses
    dim: Annotated[
        int,
        About(
            "length of a feature vector, D; the default is that of the paper's pictures",
            within="[1, inf)",
            fix="give features.shape[-1]",
            fixed=True,
        ),
    ] = 2
    update: Annotated[
        Literal["averaging", "gradient"],
        About(
            'how centers follow: by "averaging", as published, or as a parameter by its "gradient"',
            fixed=True,
        ),
    ] = "averaging"
    alpha: Annotated[
        float,
        About(
            "share of the way to the mean that a center moves, by averaging; lowering it steadies "
            "the centers",
            within="[0, 1]",
            fix="0.5 is the published choice",
            search=(0.1, 0.9),
        ),
    ] = 0.5
    ignore_index: IgnoreIndex = -100
    process_group: Group = None

    def setup(self) -> None:
        """Start the centers at 0."""
        device = torch.get_default_device()
        start = torch.zeros(self.num_classes, self.dim, dtype=state_dtype(), device=device)
        if self.update == "gradient":
            self.centers: Tensor = nn.Parameter(start)
            return
        self.centers = nn.Buffer(start)
        self.group = MicroBatches(self.num_classes * (self.dim + 1))

    def check_call(self, input: Tensor, target: Tensor) -> None:
        """Refuse features of another length, and what is no class."""
        check_floats(input=input)
        if input.dim() < 1 or input.shape[-1] != self.dim:
            fail("input", f"features of length dim={self.dim} on the last axis",
                 f"shape {tuple(input.shape)}",
                 "make the loss with dim=features.shape[-1]")  # fmt: skip
        if not isinstance(target, Tensor) or target.is_floating_point():
            fail("target", "the class of every sample, whole numbers",
                 str(getattr(target, "dtype", type(target).__name__)),
                 "use target.long()")  # fmt: skip
        if target.shape != input.shape[:-1]:
            fail("target", f"one class per sample, shape {tuple(input.shape[:-1])}",
                 f"shape {tuple(target.shape)}",
                 "use target.reshape(features.shape[:-1])")  # fmt: skip

    def forward(
        self,
        input: Tensor,
        target: Tensor,
        *,
        sample_weight: Tensor | None = None,
        normalizer: float | Tensor | None = None,
    ) -> Tensor:
        """The loss of features of some classes; in training mode the centers follow."""
        self.check_call(input, target)
        check_reduction(self.reduction, normalizer)
        kept = torch.ones_like(target, dtype=torch.bool)
        if self.ignore_index is not None:
            kept = target != self.ignore_index
        truth = torch.where(kept, target, 0).long()
        check_indices(truth, self.num_classes, self.ignore_index)
        # What is ignored may hold NaN.
        safe = torch.where(kept.unsqueeze(-1), input, 0.0)
        (wide, _), weight = prepared((safe, truth), self.inner, sample_weight, None)
        centers = held(self.centers) if self.update == "averaging" else self.centers
        apart = wide - centers.to(wide)[truth]
        values = 0.5 * (apart * apart).sum(dim=-1)
        if self.update == "averaging" and self.training and torch.is_grad_enabled():
            self._follow(wide, truth, kept if weight is None else kept & (weight != 0))
        return reduced(values, self.reduction, weight, normalizer, kept)

    @torch.no_grad()
    def _follow(self, features: Tensor, truth: Tensor, there: Tensor) -> None:
        """Move the centers towards the features of their classes."""
        refuse_side_effects('update="gradient" or in eval mode', "call loss.eval() before")
        ones = there.unsqueeze(-1).to(features)
        rows = torch.cat([torch.where(there.unsqueeze(-1), features, 0.0), ones], dim=-1)
        rows = rows.reshape(-1, self.dim + 1).to(self.group.sums)
        sums = rows.new_zeros(self.num_classes, self.dim + 1)
        sums = sums.index_add_(0, truth.reshape(-1), rows).reshape(-1)
        sums = counted(summed(sums, self.process_group))
        if self.group.size == 1:
            self.centers.copy_(self._moved(sums))
            return
        sums, _, complete = self.group.add(sums)
        self.centers.copy_(torch.where(complete, self._moved(sums), self.centers))

    def _moved(self, sums: Tensor) -> Tensor:
        """The centers after a batch with these sums of features and counts."""
        table = sums.reshape(self.num_classes, self.dim + 1)
        total, count = table[:, :-1], table[:, -1:]
        centers = held(self.centers).to(table)
        step = (total - count * centers) / (1.0 + count)
        return torch.where(step.isfinite(), centers + self.alpha * step, centers)

    @torch.no_grad()
    def gather(self, micro_batches: int) -> None:
        """Count so many forwards as one batch; an open group is closed as it is."""
        if self.update == "averaging":
            left = self.group.resize(micro_batches)
            if left is not None:
                self.centers.copy_(self._moved(left))

    def _apply(self, fn: Callable[[Tensor], Tensor], recurse: bool = True) -> CenterLoss:
        before = {"centers": self._buffers.get("centers")}
        super()._apply(fn, recurse)
        keep_wide(self, before)
        return self


SPEC = spec_of(
    "center",
    CenterLoss,
    summary="squared distance of features to the center of their class, which follows them",
    formula=r"\frac12 \lVert x - c_y \rVert^2",
    reference=Reference(
        "Wen, Zhang, Li, Qiao",
        "A Discriminative Feature Learning Approach for Deep Face Recognition",
        "ECCV 2016",
        "equations 2 to 4",
    ),
    differs={
        "KaiyangZhou/pytorch-center-loss": "update='gradient', without the 1/2, from random "
        "centers; it forms the distances to all classes, by a difference of squares that loses "
        "digits, and clamps those of the others, so that its loss has a floor of (C - 1) 1e-12",
        "pytorch-metric-learning": "CentroidTripletLoss is another loss; it has no center loss",
    },
    examples=(
        "center(num_classes=3, dim=2)",
        "center(num_classes=3, dim=2, alpha=0.2)",
        'center(num_classes=3, dim=2, update="gradient")',
    ),
)
