"""Trainings in which the first polynomial of the gradient is measured at every step."""

import random
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass, replace
from hashlib import sha256
from itertools import pairwise
from typing import Final

import numpy as np
import torch
from torch import Tensor

from taylored.lab.data import Group
from taylored.lab.run.execute import Run
from taylored.lab.run.guard import Fingerprints
from taylored.lab.run_config import RunConfig
from taylored.lab.side_by_side import one_thread
from taylored.lab.store.sealed import read_sealed, sealed
from taylored.lab.trial.links import LossFunction
from taylored.lab.trial.prepare import prepare_trial
from taylored.lab.trial.protocol import TrialSpec, streams
from taylored.lab.trial.train import class_counts, fit, make_parts
from taylored.lab.trial.watched_loss import WatchedLoss
from taylored.losses.classification.taylor import taylor_loss

BINS: Final = 20
"""Equal parts of a training, over whose steps the measurements are averaged."""
_VERSION: Final = "first polynomial, 1"
"""What is measured; a file of another version is measured again."""


@dataclass(frozen=True)
class FollowedTraining:
    """One training, in `BINS` equal parts.

    Args:
        repeat: counted from 0.
        fold: the fold that is tested.
        share: the share of the first polynomial in the gradient on the logits, a mean over samples.
        weighted: the same of the sum of all gradients' sizes, in which hard samples weigh more.
        deviation: largest difference between a sample's share and its p_t, over all steps.
    """

    repeat: int
    fold: int
    share: tuple[float, ...]
    weighted: tuple[float, ...]
    deviation: float


@dataclass(frozen=True)
class _Kept:
    belongs_to: str
    content: FollowedTraining


def follow(run: Run, loss: str, rate: float, decay: float) -> tuple[FollowedTraining, ...]:
    """Train a loss on every fold of every repeat; what is in the folder is read from there."""
    found = []
    fingerprints = Fingerprints(run.config, run.problem, run.record.guard, run.record.sources)
    places = [(r, f) for r in range(run.config.repeats) for f in range(run.problem.folds)]
    for repeat, fold in places:
        spec = TrialSpec(loss, "baseline", repeat, fold, rate, weight_decay=decay)
        belongs = sha256(f"{_VERSION} {fingerprints.of(spec)}".encode()).hexdigest()
        name = f"trials/followed-repeat{repeat}-fold{fold}.followed"
        try:
            kept = read_sealed(_Kept, run.folder.path / name)
        except (OSError, ValueError):
            kept = _Kept("", FollowedTraining(repeat, fold, (), (), 0.0))
        if kept.belongs_to != belongs:
            run.reporter.note(f"Following {loss}, repeat {repeat + 1}, fold {fold + 1}.")
            kept = _Kept(belongs, _train(run, run.config, spec))
            run.folder.write_text(name, sealed(kept))
        found.append(kept.content)
    return tuple(found)


@one_thread()
def _train(run: Run, config: RunConfig, spec: TrialSpec) -> FollowedTraining:
    data, protocol = run.problem.dataset, run.problem.protocol(config)
    parts = make_parts(
        data.features, data.labels, run.problem.part(spec.repeat, spec.fold), data.columns
    )
    source = streams(protocol.seed, spec.repeat, spec.fold)
    # Nothing is validated: what is asked is what the training sees.
    none = replace(
        parts.validation,
        features=parts.validation.features[:0],
        labels=parts.validation.labels[:0],
    )
    with _random_numbers_kept():
        prepared = prepare_trial(
            protocol,
            spec,
            source,
            input_shape=parts.train.features.shape[1:],
            counts=class_counts(parts.train.labels, len(protocol.groups)),
            num_samples=len(parts.train.labels),
        )
        watched = FirstTerm(prepared.loss, protocol.groups)
        fit(
            protocol,
            replace(parts, validation=none),
            spec,
            prepared,
            watched,
            source.batches,
            [],
            int,
        )
    share, weighted = (_binned(steps) for steps in (watched.share, watched.weighted))
    return FollowedTraining(spec.repeat, spec.fold, share, weighted, watched.deviation)


class FirstTerm(WatchedLoss):
    """A loss beside which the gradient of its first polynomial, q = 1 - p_t, is measured.

    Both gradients are those on the logits, by autograd and not by the formula that is checked.
    """

    def __init__(self, loss: LossFunction, groups: tuple[Group, ...]) -> None:
        super().__init__(loss, groups)
        self._followed = loss
        self.share: list[float] = []
        self.weighted: list[float] = []
        self.deviation = 0.0

    def __call__(self, logits: Tensor, target: Tensor) -> Tensor:
        """The loss of a step, after its gradient was looked at."""
        whole = _gradient(self._followed, logits, target)
        first = _gradient(_first_polynomial, logits, target)
        size = whole.square().sum(1)
        share = (first * whole).sum(1) / size
        p = logits.detach().double().softmax(1).gather(1, target[:, None])[:, 0]
        known = size > 0  # no gradient, no share of it
        if bool(known.any()):
            off = float((share - p)[known].abs().max())
            self.deviation = max(self.deviation, off)
            self.share.append(float(share[known].mean()))
            self.weighted.append(float(first.norm(dim=1).sum() / whole.norm(dim=1).sum()))
        return super().__call__(logits, target)


def _first_polynomial(logits: Tensor, target: Tensor) -> Tensor:
    return taylor_loss(logits, target, num_terms=1)


def _gradient(loss: LossFunction, logits: Tensor, target: Tensor) -> Tensor:
    """The gradient of a mean loss on the logits, in float64."""
    wide = logits.detach().double().requires_grad_()
    (gradient,) = torch.autograd.grad(loss(wide, target), wide)
    return gradient


def _binned(steps: list[float]) -> tuple[float, ...]:
    """Means over equal parts; a training has at least one step for each part, or repeats some."""
    edges = [round(i * len(steps) / BINS) for i in range(BINS + 1)]
    return tuple(
        float(np.mean(steps[min(low, len(steps) - 1) : max(high, low + 1)]))
        for low, high in pairwise(edges)
    )


@contextmanager
def _random_numbers_kept() -> Iterator[None]:
    """The caller's global generators are left as they were found."""
    python, numbers = random.getstate(), np.random.get_state()  # noqa: NPY002
    try:
        with torch.random.fork_rng(devices=[]):
            yield
    finally:
        random.setstate(python)
        np.random.set_state(numbers)  # noqa: NPY002
