"""What a trained model says about the test rows, as it is kept with the trial."""

from base64 import b64decode, b64encode
from dataclasses import dataclass
from typing import Any
from zlib import compress, decompress

import numpy as np
import torch
from torch import Tensor, nn
from torch.nn.functional import logsigmoid

from taylored.lab.data import TaskName
from taylored.lab.trial.links import LossFunction, link_of
from taylored.modules.classification import ClassificationLoss

Floats = np.ndarray[Any, np.dtype[np.float32]]
_ROUNDING = 1e-5  # of log-probabilities in float32
_HALF, _WIDE = "<f2", "<f4"
_NEAREST, _FARTHEST = 6e-8, 6e4  # as far as half precision reaches


@dataclass(frozen=True)
class Head:
    """The lengths of the weight vectors of a linear last layer, and its biases; one per class."""

    norm: tuple[float, ...]
    bias: tuple[float, ...]


@dataclass(frozen=True)
class Outputs:
    """Scores of the test rows in ascending order, (rows, classes), as text that JSON can hold.

    `scores` are the logits as which the loss's paper reads the outputs of the model; the class with
    the largest is predicted. `log_p` are log-probabilities for the distribution of the training
    data, undone what the loss does to them where it knows that in closed form; None where they are
    the log-softmax of the scores, for many labels the log-sigmoid.

    Where one class is true, `largest` is the largest score of each row, and the scores are how far
    they are below it, in half precision: what is close to the largest keeps its digits. For many
    labels, which are ranked over all rows, everything is in single precision.
    """

    classes: int
    scores: str
    largest: str | None = None
    log_p: str | None = None
    head: Head | None = None

    @property
    def score_array(self) -> Floats:
        """The scores as numbers."""
        scores = self._unpacked(self.scores)
        return scores if self.largest is None else scores + _unpacked(self.largest, "<f4")[:, None]

    @property
    def log_p_array(self) -> Floats | None:
        """The log-probabilities as numbers."""
        return None if self.log_p is None else self._unpacked(self.log_p)

    def _unpacked(self, text: str) -> Floats:
        return _unpacked(text, _WIDE if self.largest is None else _HALF).reshape(-1, self.classes)


def outputs_of(loss: LossFunction, task: TaskName, model: nn.Module, raw: Tensor) -> Outputs:
    """What is kept of the outputs `raw` of a model, (rows, classes)."""
    scores, log_p = scores_of(loss, raw), log_probabilities(loss, task, raw)
    usual = logsigmoid(scores) if task == "multi-label" else torch.log_softmax(scores, dim=1)
    # Rounding on the way to the posterior is no reason to keep twice as much.
    told = torch.allclose(usual, log_p, rtol=_ROUNDING, atol=_ROUNDING)
    head = _head(model)
    if task == "multi-label":
        kept = None if told else _packed(log_p, _WIDE)
        return Outputs(raw.shape[1], _packed(scores, _WIDE), log_p=kept, head=head)
    largest = scores.amax(dim=1, keepdim=True)
    return Outputs(
        raw.shape[1],
        _packed(scores - largest, _HALF),
        _packed(largest, _WIDE),
        None if told else _packed(log_p, _HALF),
        head,
    )


def scores_of(loss: LossFunction, raw: Tensor) -> Tensor:
    """The logits as which the loss's paper reads outputs, which a loss of this library knows."""
    return loss.logits(raw, prior=None) if isinstance(loss, ClassificationLoss) else raw


def log_probabilities(loss: LossFunction, task: TaskName, raw: Tensor) -> Tensor:
    """Log-probabilities of the classes, or of the labels, by what the loss knows of its outputs.

    Independent scores of classes of which one is true are scaled so that they sum to 1.
    """
    logits = scores_of(loss, raw)
    if isinstance(loss, ClassificationLoss) and loss.has_posterior:
        calibrated = loss.logits(raw)
        if bool(torch.isfinite(calibrated).all()):  # not at a minimum of the loss otherwise
            logits = calibrated
    if task == "multi-label":
        return logsigmoid(logits)
    return torch.log_softmax(logits if link_of(loss, task) == "softmax" else logsigmoid(logits), 1)


def _head(model: nn.Module) -> Head | None:
    """The last layer of a built-in model, where it is linear."""
    last = model[-1] if isinstance(model, nn.Sequential) else None
    if not isinstance(last, nn.Linear):
        return None
    norm = last.weight.detach().double().norm(dim=1)
    return Head(tuple(norm.tolist()), tuple(last.bias.detach().double().tolist()))


def _packed(values: Tensor, kind: str) -> str:
    wide = values.detach().float()
    if kind == _HALF:  # a difference that is too small for it stays one
        near = torch.where(wide < 0, wide.clamp(max=-_NEAREST), wide)
        wide = near.clamp(min=-_FARTHEST)
    return b64encode(compress(wide.numpy().astype(kind).tobytes(), level=1)).decode()


def _unpacked(text: str, kind: str) -> Floats:
    return np.frombuffer(decompress(b64decode(text)), dtype=kind).astype(np.float32)
