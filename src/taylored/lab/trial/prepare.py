"""Everything of a trial that comes before its first batch, in an order that is fair.

The user's code is imported first and settings that it changed are restored. Then the random numbers
start, the model is built and, after it, the loss. So neither an import nor the constructor of a
loss can shift the random numbers that all losses share: initial weights and batches.
"""

import random
from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
import torch
from torch import nn

from taylored.lab.own.code import is_own, load_own
from taylored.lab.own.settings import ProcessSettings
from taylored.lab.trial.build_loss import build_loss, head_of
from taylored.lab.trial.links import LossFunction, link_of
from taylored.lab.trial.models import build_model, predict_share
from taylored.lab.trial.protocol import Protocol, Streams, TrialSpec


@dataclass(frozen=True, eq=False)
class Prepared:
    """A model and a loss that are ready for the first batch, and the settings to keep."""

    model: nn.Module
    loss: LossFunction
    link: str
    settings: ProcessSettings


def prepare_trial(
    protocol: Protocol,
    spec: TrialSpec,
    source: Streams,
    *,
    input_shape: Sequence[int],
    counts: Sequence[int],
    num_samples: int,
) -> Prepared:
    """Model and loss of a trial, with the global generators at the start of the batches.

    `counts` are training samples per class, or positives per label among `num_samples`.
    """
    settings = ProcessSettings.current()
    for name in (spec.loss, protocol.model):
        if is_own(name):
            load_own(name)
    settings.restore()
    seed_all(source.weights)
    model = build_model(protocol.model, input_shape, len(counts), head=head_of(spec.loss))
    settings.restore()
    loss = build_loss(spec.loss, counts, num_samples)
    link = link_of(loss, protocol.task)
    settings.restore()
    if link == "sigmoid" and not is_own(protocol.model):
        predict_share(model, sum(counts) / num_samples / len(counts))
    seed_all(source.batches)  # dropout and the like in the user's model
    return Prepared(model, loss, link, settings)


def seed_all(seed: int) -> None:
    """Start the global generators of torch, numpy and Python anew."""
    torch.manual_seed(seed)
    np.random.seed(seed)  # noqa: NPY002 - the generator that the user's code may draw from
    random.seed(seed)
