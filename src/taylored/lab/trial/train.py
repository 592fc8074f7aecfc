"""Train and test one loss once.

A trial is a pure function of protocol, data, fold, loss and learning rate. Where the loss or
the model is the user's, it needs a process of its own (`taylored.lab.run.workers`).
"""

import math
from collections.abc import Callable, Sequence
from dataclasses import dataclass, replace

import numpy as np
import numpy.typing as npt
import torch
from torch import Tensor, nn

from taylored.lab.data import (
    TEST,
    TRAIN,
    VALIDATION,
    Column,
    Features,
    Labels,
    TaskName,
    encode,
)
from taylored.lab.measures import Tested, measure
from taylored.lab.measures.tested import Floats
from taylored.lab.tasks import TASKS
from taylored.lab.trial.links import LossFunction
from taylored.lab.trial.outputs import Outputs, log_probabilities, outputs_of, scores_of
from taylored.lab.trial.prepare import Prepared, prepare_trial
from taylored.lab.trial.protocol import Protocol, TrialSpec, streams
from taylored.lab.trial.watched_loss import WatchedLoss
from taylored.lab.trial_result import TrialResult, validation_key
from taylored.modules.base import Loss

_EVALUATION_ROWS = 2048  # rows at once: enough to be fast, few enough for the cache


@dataclass(frozen=True)
class Part:
    """Standardised features and labels of one part of the data.

    Labels are class numbers (N,), int64, or multi-hot rows (N, C), float32.
    """

    features: Tensor
    labels: Tensor


@dataclass(frozen=True)
class Parts:
    """The three parts, standardised with the statistics of the training part."""

    train: Part
    validation: Part
    test: Part


class Diverged(Exception):  # noqa: N818 - a signal inside this file, not an error
    """The loss or the logits are no longer finite."""


def make_parts(
    features: Features,
    labels: Labels,
    part: npt.NDArray[np.int8],
    columns: Sequence[Column] = (),
) -> Parts:
    """Split the rows by their part number and standardise per feature or channel.

    The `columns` of a table are encoded first. All that is learnt comes from the training rows, and
    float32 comes last: a time in seconds would have lost its digits before its mean is subtracted.
    """
    if columns:
        features = encode(columns, features, part == TRAIN)
    mean, deviation = standard_of(features[part == TRAIN])
    target = torch.int64 if labels.ndim == 1 else torch.float32

    def build(number: int) -> Part:
        rows = part == number
        standard = ((features[rows] - mean) / deviation).astype(np.float32)
        return Part(torch.tensor(standard), torch.tensor(labels[rows], dtype=target))

    return Parts(build(TRAIN), build(VALIDATION), build(TEST))


def standard_of(train: Features) -> tuple[Floats, Floats]:
    """Mean and deviation of each feature, for images of each channel, over the training rows."""
    axes = (0, *range(2, train.ndim))
    mean = train.mean(axis=axes, keepdims=True, dtype=np.float64)
    deviation = train.std(axis=axes, keepdims=True, dtype=np.float64)
    # A constant feature stays at zero; its mean may be off by a rounding error of its size.
    deviation[deviation <= 1e-13 * np.abs(mean)] = 1.0
    return mean, deviation


def train_trial(
    protocol: Protocol, parts: Parts, spec: TrialSpec, beat: Callable[[], object] = int
) -> tuple[TrialResult, Outputs | None]:
    """Train with AdamW and cosine decay to the last epoch, then test.

    A trial of the short schedule tries a learning rate: it is validated and not tested. `beat` is
    called after every step, so that somebody may notice a training that hangs.
    """
    num_classes = len(protocol.groups)
    source = streams(protocol.seed, spec.repeat, spec.fold)
    task = TASKS[protocol.task]
    prepared = prepare_trial(
        protocol,
        spec,
        source,
        input_shape=parts.train.features.shape[1:],
        counts=class_counts(parts.train.labels, num_classes),
        num_samples=len(parts.train.labels),
    )
    watched = WatchedLoss(prepared.loss, protocol.groups)
    curve: list[dict[str, float]] = []
    untested = TrialResult(
        spec.loss,
        spec.role,
        spec.repeat,
        spec.fold,
        spec.learning_rate,
        spec.schedule,
        status="diverged",
        metrics=dict.fromkeys(protocol.followed),
        curve=(),
        weight_decay=spec.weight_decay,
    )
    try:
        fit(protocol, parts, spec, prepared, watched, source.batches, curve, beat)
        if spec.schedule == "third":
            return replace(untested, status="ok", curve=tuple(curve)), None
        raw = _logits(prepared.model, parts.test.features)
    except Diverged:
        return replace(untested, curve=tuple(curve)), None
    tested = _tested(prepared.loss, task.name, raw, parts.test.labels)
    found = measure(tested, protocol.groups, protocol.followed)
    trial = replace(
        untested,
        status="ok",
        metrics={name: each.value for name, each in found.items()},
        curve=tuple(curve),
        gradient_ratio=tuple(watched.ratio()),
    )
    return trial, outputs_of(prepared.loss, task.name, prepared.model, raw)


def fit(
    protocol: Protocol,
    parts: Parts,
    spec: TrialSpec,
    prepared: Prepared,
    watched: WatchedLoss,
    batch_seed: int,
    curve: list[dict[str, float]],
    beat: Callable[[], object],
) -> None:
    """Train; append one entry per epoch to `curve`.

    The entries of a training that diverges are kept, therefore `curve` is an argument.
    """
    model, loss = prepared.model, prepared.loss
    rows = len(parts.train.labels)
    size = min(protocol.batch_size, rows)
    steps = rows // size  # the rows of an incomplete batch come up again in the next epochs
    epochs = protocol.epochs_of(spec.schedule)
    parameters = [*model.parameters()]
    if isinstance(loss, nn.Module):
        loss.train()
        parameters += loss.parameters()
    optimizer = torch.optim.AdamW(
        parameters, lr=spec.learning_rate, weight_decay=spec.weight_decay, fused=True
    )
    rate = _cosine(spec.learning_rate, epochs * steps)
    validated = len(parts.validation.labels) > 0
    generator = torch.Generator().manual_seed(batch_seed)
    for epoch in range(1, epochs + 1):
        model.train()
        _tell_progress(loss, (epoch - 1) / epochs)
        order = torch.randperm(rows, generator=generator)
        total = 0.0
        for step in range(steps):
            batch = order[step * size : (step + 1) * size]
            for group in optimizer.param_groups:
                group["lr"] = rate((epoch - 1) * steps + step)
            value = watched(model(parts.train.features[batch]), parts.train.labels[batch])
            number = value.item()
            if not math.isfinite(number):
                raise Diverged
            optimizer.zero_grad()
            value.backward()
            optimizer.step()
            total += number
            prepared.settings.restore()  # the user's loss or model may have changed them
            beat()
        entry = _validate(protocol, model, loss, parts.validation) if validated else {}
        ratios = watched.end_epoch()
        curve.append({"epoch": epoch, "train_loss": total / steps, **entry, **ratios})


def _tell_progress(loss: LossFunction, fraction: float) -> None:
    """Tell losses of this library, also inside a module of the user, how far the training is."""
    for module in loss.modules() if isinstance(loss, nn.Module) else ():
        if isinstance(module, Loss):
            module.set_progress(fraction)


def _validate(
    protocol: Protocol, model: nn.Module, loss: LossFunction, part: Part
) -> dict[str, float]:
    """Metrics on the validation part; the likelihood is that of the loss's own probabilities."""
    tested = _tested(loss, protocol.task, _logits(model, part.features), part.labels)
    values = measure(tested, protocol.groups, (*protocol.followed, "nll"))
    return {
        validation_key(name): found.value
        for name, found in values.items()
        if found.value is not None
    }


def _tested(loss: LossFunction, task: TaskName, raw: Tensor, labels: Tensor) -> Tested:
    """What a model says about the rows of a part, as one fold."""
    folds = np.zeros((1, len(raw)), dtype=np.int64)
    log_p = log_probabilities(loss, task, raw)
    numbers = labels.to(torch.int8).numpy() if labels.dim() == 2 else labels.numpy()
    return Tested(scores_of(loss, raw)[None], numbers, folds, log_p[None])


def class_counts(labels: Tensor, num_classes: int) -> list[int]:
    """Samples per class; for multi-label data, positives per label."""
    if labels.dim() == 2:
        return [int(count) for count in labels.sum(0).tolist()]
    return [int(count) for count in torch.bincount(labels, minlength=num_classes).tolist()]


@torch.no_grad()
def _logits(model: nn.Module, features: Tensor) -> Tensor:
    model.eval()
    logits = torch.cat([model(rows) for rows in torch.split(features, _EVALUATION_ROWS)])
    if not bool(torch.isfinite(logits).all()):
        raise Diverged
    return logits


def _cosine(peak: float, steps: int) -> Callable[[int], float]:
    return lambda step: peak * 0.5 * (1 + math.cos(math.pi * step / steps))
