"""What the results say about a loss beside its numbers: its gain curve and its formula."""

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Final

import torch

from taylored import catalog
from taylored.core.terms.term import Term
from taylored.lab.own.code import is_own
from taylored.lab.results import GainCurve
from taylored.lab.trial.build_loss import build_loss
from taylored.modules.classification import ClassificationLoss

_GAIN_AT: Final = tuple(round(0.01 * i, 2) for i in range(1, 100))


@dataclass(frozen=True)
class LossCard:
    """The gain curve and the formula of a loss; None where it has none."""

    gain: GainCurve | None
    formula: str | None


def loss_card(name: str, counts: Sequence[int]) -> LossCard:
    """The card of a loss; the user's own losses have neither gain nor formula."""
    if is_own(name):
        return LossCard(None, None)
    loss = build_loss(name, counts)
    gain = (
        _gain_curve(loss.term) if isinstance(loss, ClassificationLoss) and loss.has_term else None
    )
    return LossCard(gain, catalog.formula(name))


def _gain_curve(term: Term) -> GainCurve | None:
    if term.parameters():  # one value per class: there is no single curve
        return None
    gains = term.gain(torch.tensor(_GAIN_AT, dtype=torch.float64))
    return GainCurve(_GAIN_AT, tuple(gains.tolist()))
