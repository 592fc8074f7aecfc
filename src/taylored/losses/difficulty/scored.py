"""The base of wrappers that keep a score of how well each class is known."""

from __future__ import annotations

from collections.abc import Callable
from typing import Annotated

import torch
from torch import Tensor, nn

from taylored.core.engine.elementwise import element_batch, elements
from taylored.core.engine.elementwise_pass import pieces
from taylored.core.inputs.logits import Logits
from taylored.core.inputs.targets import check_input
from taylored.core.numerics import widest_dtype
from taylored.core.plan.options import Options
from taylored.core.state.class_scores import ClassScores
from taylored.losses.as_loss import as_loss_or_cross_entropy
from taylored.modules.fields.field import positional
from taylored.modules.fields.parameter import About
from taylored.modules.vocabulary import Group, NumClasses
from taylored.modules.wrapper import WrapperLoss

Score = Callable[[Tensor], Tensor]
"""Logits (n, C[, S]) to what a sample of each class would score with them, in that shape."""

ScoreDecay = Annotated[
    float,
    About(
        "factor on a class's old scores at each batch in which it occurs; lowering it forgets "
        "faster, 1 never forgets",
        within="(0, 1]",
        fix="1 never forgets",
        fixed=True,
    ),
]


class ScoredLoss(WrapperLoss):
    """A loss around a softmax loss, that scores the samples of every training forward."""

    link = "softmax"
    loss: Annotated[
        nn.Module | None,
        About(
            "the loss to balance, which holds the shared vocabulary (`weight`, `reduction`, ...); "
            "it is copied",
            domain="a softmax loss that is a function of p_t, or torch's CrossEntropyLoss; by "
            "default cross-entropy",
            fixed=True,
            convert=as_loss_or_cross_entropy,
        ),
    ] = positional(default=None, kw_only=False)
    decay: ScoreDecay = 0.9
    num_classes: NumClasses
    process_group: Group = None

    def setup(self) -> None:
        """Start to score."""
        self.indicator = ClassScores(self.num_classes, initial=self.unseen(), decay=self.decay)

    def derive(self) -> None:
        """Count with the ranks of the process group."""
        self.indicator.process_group = self.process_group

    def unseen(self) -> float:
        """The score of a class without samples so far."""
        return 0.0

    def score(self, outputs: Tensor) -> Tensor:
        """What a sample of each class would score with these logits."""
        raise NotImplementedError

    def evaluate(self, input: Logits, target: Tensor, options: Options) -> Tensor:
        """The wrapped loss, by the scores so far; in training those of the batch are added."""
        if not self.indicator.collecting():
            return self.inner.evaluate(input, target, options)
        self.indicator.refuse_side_effects()
        logits = check_input(input)
        loss = self.inner.evaluate(logits, target, options)
        self._count(logits, target, options)
        return loss

    @torch.no_grad()
    def _count(self, logits: Tensor, target: Tensor, options: Options) -> None:
        every = options._replace(reduction="sum", normalizer=None)
        given = element_batch(logits.detach(), target, every)
        classes, wide = given.logits.shape[1], widest_dtype(logits.device)
        total = torch.zeros(2, classes, dtype=wide, device=logits.device)
        for piece in pieces(given):
            found = elements(piece)
            mass = torch.where(found.counted(), found.y, 0.0)
            scored = mass * self.score(self.inner.published(found.z)).to(mass)
            both = torch.stack([scored, mass]).transpose(1, 2).flatten(2)
            total = total + both.sum(2, dtype=wide)
        self.indicator.update(total[0], total[1])
