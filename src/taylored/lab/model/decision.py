"""From the outputs of a model to scores and probabilities, by the loss that it was trained with."""

from collections.abc import Mapping

import torch
from torch import Tensor, nn

from taylored.core.logistic import log_sigmoid, sigmoid
from taylored.lab.measures.adjust import adjusted, tau_normalised
from taylored.lab.model.card import ModelCard
from taylored.lab.own.code import is_own
from taylored.lab.trial.build_loss import build_loss
from taylored.modules.classification import ClassificationLoss


class Deployed(nn.Module):
    """Preparation, model and decision in one.

    Returns scores, the largest of which decides, and the probabilities of the classes for data with
    the class frequencies of the training data.

    Shape:
        rows as for `Preparation`; returns twice (N, classes).
    """

    def __init__(
        self,
        preparation: nn.Module,
        model: nn.Module,
        card: ModelCard,
        learnt: Mapping[str, Tensor],
    ) -> None:
        super().__init__()
        self.preparation = preparation
        self.model = model
        self._link, self._task, self._rule = card.link, card.task, card.rule
        self.loss = _loss(card, learnt)
        prior = torch.tensor(card.counts, dtype=torch.float32) / max(card.rows, 1)
        self.register_buffer("log_prior", prior.log())

    def forward(self, rows: Tensor) -> tuple[Tensor, Tensor]:
        """Scores and probabilities."""
        raw = self.model(self.preparation(rows))
        scores = logits = raw
        if self.loss is not None:
            scores = logits = self.loss.logits(raw, prior=None)
            if self.loss.has_posterior:
                read = self.loss.logits(raw)
                # Outputs that no minimum of the loss has are read as they are.
                logits = torch.where(read.isfinite().all(1, keepdim=True), read, scores)
        return self._decided(scores), self._probabilities(logits)

    def _decided(self, scores: Tensor) -> Tensor:
        if self._rule.kind == "adjusted":
            return adjusted(scores, self.get_buffer("log_prior"), self._rule.tau)
        if self._rule.kind == "normalised":
            last = self.model[-1]  # type: ignore[index]
            norm = last.weight.norm(dim=1)
            return tau_normalised(scores, norm, last.bias, self._rule.tau)
        return scores

    def _probabilities(self, logits: Tensor) -> Tensor:
        if self._task == "multi-label":
            return sigmoid(logits)
        return (logits if self._link == "softmax" else log_sigmoid(logits)).softmax(1)


def _loss(card: ModelCard, learnt: Mapping[str, Tensor]) -> ClassificationLoss | None:
    """The loss of the catalogue with what it has learnt; outputs of your own are read as they are.

    No code that the file names is imported.
    """
    if is_own(card.loss):
        return None
    loss = build_loss(card.loss, card.counts, card.rows)
    if not isinstance(loss, ClassificationLoss):
        return None
    loss.load_state_dict(dict(learnt))
    return loss.eval()
