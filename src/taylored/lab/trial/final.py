"""The last training: one model on all rows, to be used."""

import io
from base64 import b64decode, b64encode
from collections.abc import Callable
from dataclasses import dataclass
from typing import Any

import torch
from torch import Tensor, nn

from taylored.lab.errors import UsageError
from taylored.lab.trial.prepare import prepare_trial
from taylored.lab.trial.protocol import Protocol, TrialSpec, streams
from taylored.lab.trial.train import Diverged, Parts, class_counts, fit
from taylored.lab.trial.watched_loss import WatchedLoss


@dataclass(frozen=True)
class Final:
    """Weights of a trained model, what its loss has learnt, and the link; weights as text."""

    weights: str
    loss: str
    link: str


def train_final(
    protocol: Protocol, parts: Parts, spec: TrialSpec, beat: Callable[[], object] = int
) -> Final:
    """Train on the training part alone, exactly as a trial does, and give the weights."""
    source = streams(protocol.seed, spec.repeat, spec.fold)
    prepared = prepare_trial(
        protocol,
        spec,
        source,
        input_shape=parts.train.features.shape[1:],
        counts=class_counts(parts.train.labels, len(protocol.groups)),
        num_samples=len(parts.train.labels),
    )
    watched = WatchedLoss(prepared.loss, protocol.groups)
    try:
        fit(protocol, parts, spec, prepared, watched, source.batches, [], beat)
    except Diverged as error:
        raise UsageError(f"{spec.loss} diverged in the training on all rows.") from error
    learnt = prepared.loss.state_dict() if isinstance(prepared.loss, nn.Module) else {}
    return Final(_text_of(prepared.model.state_dict()), _text_of(learnt), prepared.link)


def tensors_of(text: str) -> dict[str, Tensor]:
    """The tensors that `Final` has as text."""
    found: dict[str, Tensor] = torch.load(io.BytesIO(b64decode(text)), weights_only=True)
    return found


def _text_of(state: dict[str, Any]) -> str:
    stream = io.BytesIO()
    tensors = {key: value.detach().cpu() for key, value in state.items() if torch.is_tensor(value)}
    torch.save(tensors, stream)
    return b64encode(stream.getvalue()).decode("ascii")
