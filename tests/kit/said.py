"""Losses of whose models a test decides which rows they are right about."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass, replace
from typing import Any

import numpy as np
import torch

from taylored.lab.data import Dataset, DatasetCard, Reading
from taylored.lab.judgement.summarise import summarise
from taylored.lab.judgement.trained import Heads, Trained
from taylored.lab.measures import Tested
from taylored.lab.results import LossResult, Results
from taylored.lab.run.gather import log_priors
from taylored.lab.run.problem import Problem
from taylored.lab.run_config import RunConfig
from taylored.lab.trial_result import LearningRates, Role, TrialResult

COUNTS = (900, 450, 150)
RATES = LearningRates({}, "each", "balanced_accuracy", (), ())
Rows = np.ndarray


def problem(
    counts: Sequence[int] = COUNTS, repeats: int = 1, *, split: bool = False, labels: int = 0
) -> Problem:
    """Rows of these classes without features; with `labels`, so many independent ones each."""
    rows = int(sum(counts))
    numbers = np.repeat(np.arange(len(counts)), counts)
    if labels:
        share = np.geomspace(0.5, 0.05, labels)
        numbers = (np.random.default_rng(1).random((rows, labels)) < share).astype(np.int8)
    classes = labels or len(counts)
    card = DatasetCard("made", "none", "", "", rows, classes, max(counts), min(counts))
    data = Dataset(
        name="made",
        features=np.zeros((rows, 1), dtype=np.float32),
        labels=numbers,
        class_names=tuple(f"c{number}" for number in range(classes)),
        card=card,
        split=np.arange(rows) % 3 if split else None,
        task="multi-label" if labels else "single-label",
    )
    return Problem.draw(data, seed=0, repeats=repeats)


@dataclass(frozen=True)
class Said:
    """Makes losses that share how hard a row is, and differ by the noise of their trainings."""

    problem: Problem
    noise: float = 0.3

    def right(
        self, seed: int, gain: float | Sequence[float] = 0.0, repeats: int | None = None
    ) -> Rows:
        """Whether each row is classified correctly, (R, N).

        A larger `gain`, one for all classes or one for each, makes more rows so.
        """
        labels = self.problem.tested_labels
        shape = (repeats or len(self.problem.tested), len(labels))
        hard = np.random.default_rng(0).normal(size=len(labels))
        own = np.random.default_rng(1 + seed).normal(size=shape) * self.noise
        return hard + own < 0.8 + np.broadcast_to(gain, len(self._classes))[labels]

    def loss(
        self, name: str, right: Rows, role: Role = "candidate", margin: float = 8.0
    ) -> Trained:
        """A loss; rows that it is wrong about are taken for the next class by the `margin`."""
        labels = self.problem.tested_labels
        chosen = np.where(right, labels, (labels + 1) % len(self._classes))
        scores = torch.zeros(*right.shape, len(self._classes))
        scores.scatter_(2, torch.from_numpy(chosen)[..., None], margin)
        return self.told(name, scores, role)

    def told(self, name: str, scores: torch.Tensor, role: Role = "candidate") -> Trained:
        """A loss of these scores, (R, N, C)."""
        folds = self.problem.tested[: len(scores)]
        tested = Tested(scores, self.problem.tested_labels, folds)
        trials = tuple(
            trial(name, role, repeat, fold)
            for repeat in range(len(scores))
            for fold in range(self.problem.folds)
        )
        return Trained(name, role, None, None, 0.01, trials, tested)

    def baseline(self, right: Rows | None = None, margin: float = 8.0) -> Trained:
        """Cross-entropy."""
        found = self.right(0) if right is None else right
        return self.loss("cross_entropy", found, "baseline", margin)

    def judged(
        self,
        *losses: Trained,
        base: Trained | None = None,
        rates: LearningRates = RATES,
        **changes: Any,
    ) -> Results:
        """What a run with these losses says."""
        entries = [base or self.baseline(), *losses]
        names = tuple(loss.name for loss in entries)
        settings = config(losses=names, repeats=len(self.problem.tested), **changes)
        summary = self.problem.summary()
        return summarise(settings, summary, rates, entries, log_priors(self.problem))

    @property
    def _classes(self) -> Sequence[str]:
        return self.problem.dataset.class_names


def trial(
    name: str, role: Role, repeat: int, fold: int, curve: Sequence[float] = ()
) -> TrialResult:
    """A training that worked; `curve` is the balanced accuracy on the validation part."""
    return TrialResult(
        loss=name,
        role=role,
        repeat=repeat,
        fold=fold,
        learning_rate=0.01,
        schedule="full",
        status="ok",
        metrics={"accuracy": 0.8, "balanced_accuracy": 0.8},
        curve=tuple(
            {"epoch": epoch, "validation_balanced_accuracy": value}
            for epoch, value in enumerate(curve, 1)
        ),
    )


def each_trial(loss: Trained, change: Callable[[TrialResult], TrialResult]) -> Trained:
    """The loss with every trial changed."""
    return replace(loss, trials=tuple(map(change, loss.trials)))


def broken(loss: Trained, *places: int, status: str = "diverged") -> Trained:
    """The loss as it is recorded when some of its trainings diverged or failed."""
    trials = tuple(
        replace(each, status=status, curve=(), metrics={}) if number in places else each
        for number, each in enumerate(loss.trials)
    )
    return replace(loss, trials=trials, tested=None, heads=None)


def with_heads(loss: Trained, norm: Sequence[float]) -> Trained:
    """The loss with last layers whose weights have these lengths, one per class."""
    assert loss.tested is not None
    shape = (loss.tested.repeats, loss.tested.fold_count, len(norm))
    lengths = torch.tensor(norm, dtype=torch.float32).expand(shape)
    return replace(loss, heads=Heads(lengths, torch.zeros(shape)))


def config(**changes: Any) -> RunConfig:
    """Settings of a run."""
    settings = RunConfig(
        losses=(),
        data=None,
        target=None,
        reading=Reading(),
        model="mlp",
        budget="default",
        repeats=1,
        until="done",
        looks=1,
        seed=0,
        epochs=8,
        batch_size=64,
        primary_metric="balanced_accuracy",
        tune_lr="each",
        learning_rate=None,
        optimizer="AdamW",
        weight_decay=(0.01,),
    )
    return replace(settings, **changes)


def entry(results: Results, name: str) -> LossResult:
    """The result of a loss."""
    return next(loss for loss in results.losses if loss.name == name)


def words(results: Results) -> str:
    """Everything that a verdict says."""
    return " ".join([results.verdict.headline, *results.verdict.sentences])
