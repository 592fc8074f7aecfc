"""Results as a run of `taylored.lab` writes them, from scores that a fixed generator draws."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Sequence
from dataclasses import replace
from typing import Any

import numpy as np
import torch

from kit import said
from taylored.lab.judgement.summarise import summarise
from taylored.lab.judgement.trained import Heads, Trained
from taylored.lab.measures import Tested
from taylored.lab.results import GainCurve, Results
from taylored.lab.run_config import DatasetSummary, RunConfig
from taylored.lab.tasks import TASKS, Task
from taylored.lab.trial_result import LearningRates, Role, TrialResult, TriedRate

LOSSES = (
    ("focal(gamma=2)", 0.0, -0.05),
    ("poly1(epsilon=1)", 0.0, 0.02),
    ("class_balanced(cross_entropy, beta=0.999)", 0.4, 0.0),
    ("class_balanced(focal(gamma=2), beta=0.999)", 1.0, 0.0),
    ("balanced_softmax", 1.0, 0.8),
    ("drop_n(terms=2)", -0.3, -1.5),
)
"""Name, how far the loss leans to rare classes (1 undoes the prior), how much more it knows."""
HOSTILE = (
    "</script><script>alert(1)</script>",
    "<!--",
    "<img src=x onerror=alert(1)>",
    "$\\frac{1}{$",
    "[bold red]rich[/bold red]",
    "\x1b[31mred\x00",
    "\u202eevil",
    "a&b\"c'd",
    "]]>",
    "{{ 7 * 7 }}",
    "横画",
    "\udcff",
)
RATES = LearningRates(
    chosen={"cross_entropy": 0.003},
    tuned="each",
    judged_by="balanced_accuracy",
    tied=(),
    candidates=(
        TriedRate("cross_entropy", 0.003, 0.61, 0.7),
        TriedRate("cross_entropy", 0.01, 0.6, 0.8),
    ),
)
FOLDS = 5
Specs = Sequence[tuple[str, float, float]]


def config(**changes: Any) -> RunConfig:
    return said.config(**{"losses": ("cross_entropy",), **changes})


def dataset(classes: int = 12, names: Iterable[str] = (), **changes: Any) -> DatasetSummary:
    """A long-tailed data set; its training counts say how many rows of each class are tested."""
    largest = min(300, max(30, 10_000 // classes))
    counts = np.round(np.geomspace(largest, 3, classes)).astype(int).tolist()
    data = DatasetSummary(
        name="kanjivg-strokes",
        kind="vector",
        task="single-label",
        source="KanjiVG, drawn strokes of 6 416 kanji",
        licence="CC BY-SA 3.0",
        description="Stroke types of Japanese characters, 16 resampled points per stroke.",
        citation="U. Apel, KanjiVG, https://kanjivg.tagaini.net",
        samples=int(sum(counts) / 0.6),
        classes=classes,
        largest_class=int(counts[0] / 0.6),
        smallest_class=5,
        dropped=(("㇕c/㇂", 4), ("㇏a", 1)),
        dropped_reason="fewer than 5 samples",
        notes=(),
        fingerprint="9f2c" * 16,
        class_names=tuple(names) or tuple(f"㇐{i}" for i in range(classes)),
        train_counts=tuple(counts),
        tested_counts=rows_of_classes(counts),
        groups=tuple("head" if c >= 100 else "tail" if c < 20 else "medium" for c in counts),
        group_rule="head: at least 100 training samples, medium: 20 to 99, tail: fewer than 20",
        rows={"train": sum(counts), "validation": sum(counts) // 3, "test": sum(counts) // 3},
        split="five folds by class, drawn anew for each repeat",
    )
    return replace(data, **changes)


def binary_dataset(**changes: Any) -> DatasetSummary:
    """Two classes, 1 : 20."""
    return dataset(
        2,
        ("no", "yes"),
        name="fraud",
        train_counts=(1200, 60),
        tested_counts=rows_of_classes((1200, 60)),
        groups=("head", "tail"),
        **changes,
    )


def rows_of_classes(train_counts: Sequence[int]) -> tuple[int, ...]:
    """Rows of each class: five thirds of those that train a model."""
    return tuple(np.ceil(np.array(train_counts) / 0.6).astype(int).tolist())


def labels_of(data: DatasetSummary) -> np.ndarray:
    """The labels of all rows."""
    counts = np.array(data.tested_counts)
    if data.task == "single-label":
        return np.repeat(np.arange(len(counts)), counts)
    rows = 2 * int(counts.max())
    rng = np.random.default_rng(3)
    labels = np.zeros((rows, len(counts)), np.int64)
    for column, count in enumerate(counts.tolist()):
        labels[rng.permutation(rows)[:count], column] = 1
    return labels


def log_priors(data: DatasetSummary, repeats: int = 1) -> torch.Tensor:
    """Log of the share of each class in the training rows of every model, (R, K, C)."""
    counts = torch.tensor(data.train_counts, dtype=torch.float64)
    total = counts.sum() if data.task == "single-label" else 2 * counts.max()
    return (counts / total).log().expand(repeats, FOLDS, -1)


def folds_of(data: DatasetSummary, repeats: int = 1) -> np.ndarray:
    """The fold of each row in each repeat, (R, N)."""
    rows = len(labels_of(data))
    place = np.arange(rows)
    return np.stack([(place + repeat * (place // FOLDS)) % FOLDS for repeat in range(repeats)])


def outputs_of(
    data: DatasetSummary, tilt: float, skill: float, seed: int, repeats: int = 1
) -> Tested:
    """What a loss said about every row: evidence that all losses share, prior, noise of its own."""
    labels = labels_of(data)
    rows, classes = len(labels), len(data.train_counts)
    truth = labels if labels.ndim == 2 else np.eye(classes)[labels]
    shared = np.random.default_rng(7).normal(size=(rows, classes))
    own = np.random.default_rng(100 + seed).normal(size=(repeats, rows, classes))
    prior = log_priors(data)[0, 0].numpy()
    lean = np.clip(1 - tilt, 0, None) if labels.ndim == 1 else 0.5
    scores = shared + 0.4 * own + (2.5 + skill) * truth + lean * prior
    return Tested(torch.tensor(scores, dtype=torch.float32), labels, folds_of(data, repeats))


def trial(
    name: str, role: Role, repeat: int, fold: int, task: Task, epochs: int = 8, level: float = 0.6
) -> TrialResult:
    """One training that worked."""
    return TrialResult(
        loss=name,
        role=role,
        repeat=repeat,
        fold=fold,
        learning_rate=0.003,
        schedule="full",
        status="ok",
        metrics=dict.fromkeys(task.followed, level),
        curve=tuple(
            {
                "epoch": epoch,
                "train_loss": float(3 * 0.6**epoch),
                **{
                    f"validation_{key}": level * (1 - 0.5 ** (epoch + 0.1 * fold))
                    for key in (*task.followed, "nll")
                },
            }
            for epoch in range(1, epochs + 1)
        ),
    )


def diverged(worked: TrialResult) -> TrialResult:
    """The same trial, as it is recorded when the loss became NaN."""
    return replace(worked, status="diverged", metrics={}, gradient_ratio=None)


def failed(worked: TrialResult) -> TrialResult:
    """The same trial, as it is recorded when the user's code raised an error."""
    return replace(worked, status="failed", metrics={}, curve=(), gradient_ratio=None)


def each_trial(loss: Trained, change: Callable[[TrialResult], TrialResult]) -> Trained:
    """The loss with every trial changed."""
    return without_rows(replace(loss, trials=tuple(map(change, loss.trials))))


def change_trial(
    loss: Trained, index: int, change: Callable[[TrialResult], TrialResult]
) -> Trained:
    """The loss with one trial changed."""
    trials = list(loss.trials)
    trials[index] = change(trials[index])
    return without_rows(replace(loss, trials=tuple(trials)))


def without_rows(loss: Trained) -> Trained:
    """The loss without what its models said, if one of them said nothing."""
    worked = all(trial.status == "ok" for trial in loss.trials)
    return loss if worked else replace(loss, tested=None, heads=None)


def gain(seed: int) -> GainCurve:
    p = np.linspace(0.01, 0.99, 49)
    return GainCurve(
        tuple(p.tolist()), tuple(((1 - p) ** (seed % 4) * (1 + seed % 3 * p)).tolist())
    )


def heads(data: DatasetSummary, repeats: int = 1) -> Heads:
    """Last layers whose frequent classes have the longer weights."""
    norm = log_priors(data, repeats) * 0.1 + 2
    return Heads(norm.float(), torch.zeros_like(norm).float())


def losses(
    specs: Specs = LOSSES, repeats: int = 1, data: DatasetSummary | None = None
) -> list[Trained]:
    """Baseline and candidates after `repeats` times five trainings each."""
    data = data or dataset()
    task = TASKS[data.task]
    rows: list[tuple[str, Role, float, float]] = [(task.baseline, "baseline", 0.0, 0.0)]
    rows += [(name, "candidate", tilt, skill) for name, tilt, skill in specs]
    return [
        Trained(
            name,
            role,
            gain(index),
            "-(1 - p)^2 log p",
            0.003,
            tuple(
                trial(name, role, repeat, fold, task)
                for repeat in range(repeats)
                for fold in range(FOLDS)
            ),
            outputs_of(data, tilt, skill, index, repeats),
            heads(data, repeats) if role == "baseline" and data.task == "single-label" else None,
        )
        for index, (name, role, tilt, skill) in enumerate(rows)
    ]


def results(
    specs: Specs = LOSSES,
    repeats: int = 1,
    data: DatasetSummary | None = None,
    *,
    entries: Sequence[Trained] | None = None,
    rates: LearningRates = RATES,
    **changes: Any,
) -> Results:
    """What a run of these losses found; ``entries`` in place of the drawn ones."""
    data = data or dataset()
    if entries is None:
        entries = losses(specs, repeats, data)
    settings = {
        "losses": tuple(loss.name for loss in entries),
        "repeats": repeats,
        "primary_metric": TASKS[data.task].default_metric,
    }
    priors = log_priors(data, repeats)
    return summarise(config(**settings | changes), data, rates, entries, priors)


def hostile(count: int = 12) -> Results:
    """Results in which the losses, the classes and the data set have names that try to escape."""
    data = dataset(12, HOSTILE, name=HOSTILE[0], description=HOSTILE[2], dropped=((HOSTILE[0], 2),))
    found = results([(name, 0.5, 0.1) for name in HOSTILE[-count:]], data=data)
    return replace(found, config=replace(found.config, data="'; $(touch x) \n#"))
