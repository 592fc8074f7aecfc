"""The options of a wrapped loss: for losses that fill one more slot of another one."""

from __future__ import annotations

from typing import Any

from torch import Tensor, nn

from taylored.core.checks import fail
from taylored.core.plan.options import LinkName, Options
from taylored.losses.classification.cross_entropy import CrossEntropyLoss
from taylored.losses.classification.focal import FocalLoss
from taylored.losses.classification.poly import PolyLoss
from taylored.losses.classification.series import SeriesLoss
from taylored.losses.classification.taylor import TaylorLoss
from taylored.losses.classification.term import TermLoss
from taylored.losses.noisy_labels.generalized_cross_entropy import GeneralizedCrossEntropyLoss
from taylored.losses.noisy_labels.jensen_shannon import JensenShannonLoss
from taylored.losses.noisy_labels.symmetric_cross_entropy import SymmetricCrossEntropyLoss

PLAIN = (
    CrossEntropyLoss,
    FocalLoss,
    PolyLoss,
    TaylorLoss,
    SeriesLoss,
    TermLoss,
    GeneralizedCrossEntropyLoss,
    SymmetricCrossEntropyLoss,
    JensenShannonLoss,
)
"""Losses that are their term and the options of the shared vocabulary, and nothing else."""


def check_inner(loss: nn.Module, link: LinkName) -> None:
    """Refuse a loss to wrap that does something of its own, or that has another link."""
    if not isinstance(loss, PLAIN):
        known = ", ".join(module.__name__ for module in PLAIN)
        fail("loss", f"one of {known}", repr(loss), "losses that adjust logits cannot be nested")
    if loss.link != link:
        fail("loss", f'a loss with link="{link}"', repr(loss), f'choose link="{link}"')
    if isinstance(loss, TermLoss) and loss.logit_bias is not None:
        fail("loss", "a loss without `logit_bias`", repr(loss), "leave it out: it is set here")


def inner_options(
    loss: nn.Module,
    *,
    logit_bias: Tensor,
    sample_weight: Tensor | None,
    normalizer: float | Tensor | None,
) -> Options:
    """The options that a wrapped loss would run with, and the wrapper's bias."""
    fields: dict[str, Any] = {**vars(loss), **loss._buffers}
    shared = set(Options._fields) & fields.keys()
    return Options(**{name: fields[name] for name in shared})._replace(
        logit_bias=logit_bias,
        sample_weight=sample_weight,
        normalizer=normalizer,
    )
