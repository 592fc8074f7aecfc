"""What one step looks like from the validation loss: one number per sample, and sums of them."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass, field, replace

import torch
from torch import Tensor

from taylored.core.checks import fail
from taylored.xray.as_function import derivative
from taylored.xray.curve import ANSWER_EDGES, EDGES, Curve, bin_sums, curve_of


@dataclass(frozen=True, eq=False)
class XRay:
    """Every sample of a step, with the direction in which validation pulls its p.

    Args:
        learning_rate: that of the step.
        target: the true class of each position, or with the sigmoid link the label of each element
            of the logits, row by row, (N,).
        positive: whether the answer of an element is yes, (N,); None for the softmax link.
        coefficient: what its phi(p) is multiplied by in the training loss, (N,).
        margin: log odds of p, the probability of the truth as the training loss sees it, (N,).
        rate: change of the margin along v, the gradient of the validation loss, (N,).
        steepness: length of v.
        num_classes: how many classes the logits have.
        groups: a name for each class, or None.
        logits: the training logits.
        direction: how they change along v.

    """

    learning_rate: float
    target: Tensor
    positive: Tensor | None
    coefficient: Tensor
    margin: Tensor
    rate: Tensor
    steepness: float
    num_classes: int
    groups: tuple[str, ...] | None
    logits: Tensor = field(repr=False)
    direction: Tensor = field(repr=False)

    @property
    def p(self) -> Tensor:
        """Probability of the truth, (N,)."""
        return torch.sigmoid(self.margin)

    @property
    def dp(self) -> Tensor:
        """Change of p along v, (N,): below 0 for samples that validation wants more probable."""
        return self.p * torch.sigmoid(-self.margin) * self.rate

    def effects(self, j: float) -> Tensor:
        """What each sample adds to dL_val / de_j, (N,)."""
        if not j > 0:
            fail("j", "an exponent > 0", j, "1 is the first power of 1 - p")
        margin = self.margin.double()
        # j q^(j-1) dp = j q^j p rate: no power below zero, so that q = 0 gives 0 and not NaN.
        slope = j * torch.exp(j * torch.nn.functional.logsigmoid(-margin)) * torch.sigmoid(margin)
        found = self.learning_rate * self.coefficient.double() * slope * self.rate.double()
        return torch.where(self.coefficient == 0, 0.0, found)

    def effect(self, j: float) -> Tensor:
        """dL_val / de_j: below 0 where more of q^j lowers the validation loss."""
        return self.effects(j).sum()

    def effect_by_class(self, j: float) -> Tensor:
        """The same for an e_j that only the samples of one class have, (C,)."""
        sums = torch.zeros(self.num_classes, dtype=torch.float64, device=self.target.device)
        return sums.index_add(0, self.target, self.effects(j))

    def effect_by_group(self, j: float) -> dict[str, float]:
        """The same for an e_j of a group of classes."""
        by_class = self.effect_by_class(j).tolist()
        names = self.named_groups()
        return {
            name: sum(each for each, group in zip(by_class, names, strict=True) if group == name)
            for name in dict.fromkeys(names)
        }

    def effect_of(
        self, training_loss: Callable[[Tensor], Tensor], numbers: Sequence[Tensor]
    ) -> tuple[Tensor, ...]:
        r"""DL_val / d number, for any numbers in the training loss: biases, a temperature, weights.

        A step is :math:`-\eta \nabla_\theta L`, so that with the change dz of the logits along v

        .. math:: \frac{d L_{val}}{d a} = -\eta \frac{\partial}{\partial a}
                  \Big\langle \frac{\partial L(z; a)}{\partial z}, dz \Big\rangle

        Args:
            training_loss: the loss of logits, `lambda z: loss(z / T, target)`, that has the numbers
                in it, at the values that it was looked at with.
            numbers: tensors that require gradients.

        """
        with torch.enable_grad():
            _, along = derivative(training_loss, self.logits, self.direction)
            found = torch.autograd.grad(along, list(numbers))
        return tuple(-self.learning_rate * each for each in found)

    def named_groups(self) -> tuple[str, ...]:
        """The group of every class; "all" without groups."""
        return self.groups or ("all",) * self.num_classes

    def only(self, chosen: Tensor) -> XRay:
        """The X-ray of some of its samples, by a mask (N,)."""
        return replace(
            self,
            target=self.target[chosen],
            positive=None if self.positive is None else self.positive[chosen],
            coefficient=self.coefficient[chosen],
            margin=self.margin[chosen],
            rate=self.rate[chosen],
        )

    def outcomes(self) -> dict[str, XRay]:
        """The positives and the negatives of a loss of the sigmoid link; else all as "truth"."""
        if self.positive is None:
            return {"truth": self}
        return {"positives": self.only(self.positive), "negatives": self.only(~self.positive)}

    def edges(self) -> Sequence[float]:
        """Bins of p for its curve: those of yes and no reach further into both ends."""
        return EDGES if self.positive is None else ANSWER_EDGES

    def curve(self, edges: Sequence[float] | None = None) -> Curve:
        """Mean dp over p, for each group; see `outcomes` for positives and negatives apart."""
        edges = self.edges() if edges is None else edges
        return curve_of(self.bin_sums(edges), tuple(dict.fromkeys(self.named_groups())), edges)

    def bin_sums(self, edges: Sequence[float]) -> Tensor:
        """What a curve is made of, for each group and bin (4, G, B); sums of parts add up."""
        counted = self.coefficient != 0
        names = self.named_groups()
        order = {name: number for number, name in enumerate(dict.fromkeys(names))}
        number = torch.tensor([order[name] for name in names], device=self.target.device)
        return bin_sums(
            self.p[counted].double(),
            self.dp[counted].double(),
            number[self.target[counted]],
            len(order),
            edges,
        )
