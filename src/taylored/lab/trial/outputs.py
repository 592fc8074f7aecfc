"""What a trained model says about the test rows, as it is kept with the trial."""

from base64 import b64decode, b64encode
from dataclasses import dataclass
from typing import Any

import numpy as np
import torch
from torch import Tensor, nn
from torch.nn.functional import logsigmoid

from taylored.lab.data import TaskName
from taylored.lab.trial.links import LossFunction, link_of
from taylored.modules.module import Loss

_ROUNDING = 1e-5  # of log-probabilities in float32


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
    """

    classes: int
    scores: str
    log_p: str | None = None
    head: Head | None = None

    @property
    def score_array(self) -> np.ndarray[Any, np.dtype[np.float32]]:
        """The scores as numbers."""
        return _unpacked(self.scores, self.classes)

    @property
    def log_p_array(self) -> np.ndarray[Any, np.dtype[np.float32]] | None:
        """The log-probabilities as numbers."""
        return None if self.log_p is None else _unpacked(self.log_p, self.classes)


def outputs_of(loss: LossFunction, task: TaskName, model: nn.Module, raw: Tensor) -> Outputs:
    """What is kept of the outputs `raw` of a model, (rows, classes)."""
    scores, log_p = scores_of(loss, raw), log_probabilities(loss, task, raw)
    usual = logsigmoid(scores) if task == "multi-label" else torch.log_softmax(scores, dim=1)
    # Rounding on the way to the posterior is no reason to keep twice as much.
    told = torch.allclose(usual, log_p, rtol=_ROUNDING, atol=_ROUNDING)
    return Outputs(raw.shape[1], _packed(scores), None if told else _packed(log_p), _head(model))


def scores_of(loss: LossFunction, raw: Tensor) -> Tensor:
    """The logits as which the loss's paper reads outputs, which a loss of this library knows."""
    return loss.logits(raw, prior=None) if isinstance(loss, Loss) else raw


def log_probabilities(loss: LossFunction, task: TaskName, raw: Tensor) -> Tensor:
    """Log-probabilities of the classes, or of the labels, by what the loss knows of its outputs.

    Independent scores of classes of which one is true are scaled so that they sum to 1.
    """
    logits = scores_of(loss, raw)
    if isinstance(loss, Loss) and loss.has_posterior:
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


def _packed(values: Tensor) -> str:
    array = values.detach().to(torch.float32).numpy().astype("<f4")
    return b64encode(array.tobytes()).decode("ascii")


def _unpacked(text: str, classes: int) -> np.ndarray[Any, np.dtype[np.float32]]:
    return np.frombuffer(b64decode(text), dtype="<f4").astype(np.float32).reshape(-1, classes)
