"""Train and test one loss once: a pure function of protocol, data, split, loss, seed and rate."""

import math
import time
from collections.abc import Callable
from dataclasses import dataclass

import numpy as np
import numpy.typing as npt
import torch
from torch import Tensor, nn

from taylored.lab.losses import Loss, build_loss, link_of
from taylored.lab.metrics import accuracies, calibration, recall_list
from taylored.lab.models import build_model
from taylored.lab.protocol import METRICS, WEIGHT_DECAY, Protocol, TrialSpec, streams
from taylored.lab.trials import Trial, diverged
from taylored.lab.wording import METRICS as DIRECTIONS

_EVALUATION_ROWS = 2048  # large enough to be fast, small enough for the cache


@dataclass(frozen=True)
class Part:
    """Standardised features and labels of one part of the data."""

    features: Tensor
    labels: Tensor


@dataclass(frozen=True)
class Parts:
    """The three parts, standardised with the statistics of the training part."""

    train: Part
    validation: Part
    test: Part


class _Diverged(Exception):  # noqa: N818 - a signal inside this file, not an error
    """The loss or the logits are no longer finite."""


def make_parts(
    features: npt.NDArray[np.float32],
    labels: npt.NDArray[np.int64],
    part: npt.NDArray[np.int8],
) -> Parts:
    """Split by `part` (0 train, 1 validation, 2 test) and standardise per feature or channel."""
    train = features[part == 0]
    axes = (0, *range(2, features.ndim))  # images: one mean for each channel
    mean = train.mean(axis=axes, keepdims=True, dtype=np.float64)
    deviation = train.std(axis=axes, keepdims=True, dtype=np.float64)
    deviation[deviation < 1e-12] = 1.0  # a constant feature stays at zero

    def build(number: int) -> Part:
        rows = part == number
        scaled = ((features[rows] - mean) / deviation).astype(np.float32)
        return Part(torch.tensor(scaled), torch.tensor(labels[rows]))

    return Parts(build(0), build(1), build(2))


def train_trial(protocol: Protocol, parts: Parts, spec: TrialSpec) -> Trial:
    """Train with AdamW and cosine decay, choose the epoch on validation, measure on test."""
    start = time.perf_counter()
    num_classes = len(protocol.groups)
    source = streams(protocol.seed, spec.seed, spec.role)
    torch.manual_seed(source.weights)
    model = build_model(protocol.model, parts.train.features.shape[1:], num_classes)
    counts = torch.bincount(parts.train.labels, minlength=num_classes).tolist()
    loss = build_loss(spec.loss, counts)
    torch.manual_seed(source.batches)  # dropout and the like in the user's model
    curve: list[dict[str, float]] = []
    try:
        best_epoch = _fit(protocol, parts, spec, model, loss, source.batches, curve)
        logits = _logits(model, parts.test.features)
    except _Diverged:
        return diverged(spec, curve, time.perf_counter() - start)
    labels = parts.test.labels
    metrics = accuracies(logits, labels, protocol.groups)
    metrics |= calibration(logits, labels, link_of(loss))
    return Trial(
        loss=spec.loss,
        role=spec.role,
        seed=spec.seed,
        learning_rate=spec.learning_rate,
        best_epoch=best_epoch,
        metrics={name: metrics[name] for name in METRICS},
        recall=recall_list(logits, labels, num_classes),
        curve=curve,
        status="ok",
        seconds=time.perf_counter() - start,
    )


def _fit(
    protocol: Protocol,
    parts: Parts,
    spec: TrialSpec,
    model: nn.Module,
    loss: Loss,
    batch_seed: int,
    curve: list[dict[str, float]],
) -> int:
    """Train, append one entry an epoch to `curve`, leave the model at the best epoch."""
    rows = len(parts.train.labels)
    size = min(protocol.batch_size, rows)
    steps = rows // size  # an incomplete batch is left out; the next permutation has its rows
    parameters = [*model.parameters()]
    if isinstance(loss, nn.Module):
        loss.train()
        parameters += loss.parameters()
    optimizer = torch.optim.AdamW(
        parameters, lr=spec.learning_rate, weight_decay=WEIGHT_DECAY, fused=True
    )
    rate = _cosine(spec.learning_rate, protocol.epochs * steps)
    generator = torch.Generator().manual_seed(batch_seed)
    best_epoch, best_score = 0, -math.inf
    best_state = _copy(model)
    for epoch in range(1, protocol.epochs + 1):
        model.train()
        order = torch.randperm(rows, generator=generator)
        total = 0.0
        for step in range(steps):
            batch = order[step * size : (step + 1) * size]
            for group in optimizer.param_groups:
                group["lr"] = rate((epoch - 1) * steps + step)
            value = loss(model(parts.train.features[batch]), parts.train.labels[batch])
            number = value.item()
            if not math.isfinite(number):
                raise _Diverged
            optimizer.zero_grad()
            value.backward()
            optimizer.step()
            total += number
        entry = _validate(protocol, model, loss, parts.validation)
        curve.append({"epoch": epoch, "train_loss": total / steps, **entry})
        score = entry[f"validation_{protocol.primary_metric}"]
        score *= DIRECTIONS[protocol.primary_metric].direction
        # On a tie the later epoch: its learning rate is lower and its weights are settled.
        if score >= best_score:
            best_epoch, best_score, best_state = epoch, score, _copy(model)
    model.load_state_dict(best_state)
    return best_epoch


def _validate(protocol: Protocol, model: nn.Module, loss: Loss, part: Part) -> dict[str, float]:
    logits = _logits(model, part.features)
    values = accuracies(logits, part.labels, protocol.groups)
    primary = protocol.primary_metric
    if primary == "nll":
        values |= calibration(logits, part.labels, link_of(loss))
    reported = dict.fromkeys(("accuracy", "balanced_accuracy", primary))
    found = {f"validation_{name}": values[name] for name in reported}
    return {name: value for name, value in found.items() if value is not None}


@torch.no_grad()
def _logits(model: nn.Module, features: Tensor) -> Tensor:
    model.eval()
    logits = torch.cat([model(rows) for rows in torch.split(features, _EVALUATION_ROWS)])
    if not bool(torch.isfinite(logits).all()):
        raise _Diverged
    return logits


def _cosine(peak: float, steps: int) -> Callable[[int], float]:
    return lambda step: peak * 0.5 * (1 + math.cos(math.pi * step / steps))


def _copy(model: nn.Module) -> dict[str, Tensor]:
    return {name: tensor.clone() for name, tensor in model.state_dict().items()}
