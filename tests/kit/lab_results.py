"""Trials and results as a run of `taylored.lab` writes them, drawn from a fixed generator."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Sequence
from dataclasses import replace

import numpy as np

from taylored.lab.data import Reading
from taylored.lab.judgement.summarise import LossTrials, summarise
from taylored.lab.results import (
    DatasetSummary,
    GainCurve,
    LearningRateChoice,
    Results,
    Role,
    RunConfig,
    TrialResult,
)
from taylored.lab.tasks import TASKS

LOSSES = (
    ("focal(gamma=2)", 0.4, -1.0, 2.0),
    ("poly1(epsilon=1)", 0.1, 0.2, 0.0),
    ("class_balanced(cross_entropy, beta=0.999)", 5.0, -2.5, 14.0),
    ("class_balanced(focal(gamma=2), beta=0.999)", 4.2, -3.0, 13.0),
    ("balanced_softmax", 6.5, -4.0, 17.0),
    ("drop_n(terms=2)", -5.0, -3.0, -9.0),
)
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
METRICS = ("accuracy", "balanced_accuracy", "head", "medium", "tail", "nll", "ece")
RATE = LearningRateChoice(chosen=0.003, tuned="cross_entropy", candidates=())
Specs = Sequence[tuple[str, float, float, float]]


def config(**changes: object) -> RunConfig:
    settings = RunConfig(
        losses=("cross_entropy",),
        data=None,
        target=None,
        reading=Reading(),
        model="mlp",
        budget="default",
        seeds=5,
        seed=0,
        epochs=8,
        batch_size=64,
        primary_metric="balanced_accuracy",
        tune_lr="cross_entropy",
        learning_rate=None,
        optimizer="AdamW",
        weight_decay=0.01,
    )
    return replace(settings, **changes)


def dataset(classes: int = 71, names: Iterable[str] = (), **changes: object) -> DatasetSummary:
    counts = np.round(np.geomspace(8000, 3, classes)).astype(int).tolist()
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
        groups=tuple("head" if c >= 100 else "tail" if c < 20 else "medium" for c in counts),
        group_rule="head: at least 100 training samples, medium: 20 to 99, tail: fewer than 20",
        rows={"train": sum(counts), "validation": sum(counts) // 3, "test": sum(counts) // 3},
        split="60/20/20 by class, drawn for each seed",
    )
    return replace(data, **changes)


def trial(
    rng: np.random.Generator,
    name: str,
    role: Role,
    seed: int,
    shift: Sequence[float],
    data: DatasetSummary,
    epochs: int = 8,
) -> TrialResult:
    """One trial whose recall falls with rarity; ``shift`` = (balanced, head, tail) in points."""
    counts = np.array(data.train_counts, float)
    groups = np.array(data.groups)
    base = 0.35 + 0.15 * np.log10(counts)
    slope = np.interp(np.log10(counts), [0.4, 4], [shift[2], shift[1]]) / 100
    wobble = rng.normal(0, 0.05, len(counts))
    recall = np.clip(base + slope + rng.normal(0, 0.008) + wobble, 0.0, 1.0)
    balanced = float(recall.mean())

    def group(key: str) -> float | None:
        members = recall[groups == key]
        return float(members.mean()) if len(members) else None

    accuracy = float((recall * counts).sum() / counts.sum())
    return TrialResult(
        loss=name,
        role=role,
        seed=seed,
        learning_rate=0.003,
        status="ok",
        metrics={
            "accuracy": accuracy,
            "balanced_accuracy": balanced,
            "head": group("head"),
            "medium": group("medium"),
            "tail": group("tail"),
            "nll": float(1.4 - balanced + rng.normal(0, 0.01)),
            "ece": float(abs(0.05 + rng.normal(0, 0.005))),
        },
        curve=tuple(
            {
                "epoch": epoch,
                "train_loss": float(3 * 0.6**epoch),
                "validation_accuracy": float(accuracy * (1 - 0.5**epoch)),
                "validation_balanced_accuracy": float(balanced * (1 - 0.6**epoch)),
            }
            for epoch in range(1, epochs + 1)
        ),
        best_epoch=epochs,
        recall=tuple(recall.tolist()),
    )


def diverge(worked: TrialResult) -> TrialResult:
    """The same trial, as it is recorded when the loss became NaN."""
    empty = dict.fromkeys(METRICS)
    return replace(
        worked,
        status="diverged",
        metrics=empty,
        best_epoch=None,
        recall=None,
        average_precision=None,
        gradient_ratio=None,
    )


def each_trial(loss: LossTrials, change: Callable[[TrialResult], TrialResult]) -> LossTrials:
    """The loss with every trial changed."""
    return replace(loss, trials=tuple(map(change, loss.trials)))


def change_trial(
    loss: LossTrials, index: int, change: Callable[[TrialResult], TrialResult]
) -> LossTrials:
    """The loss with one trial changed."""
    trials = list(loss.trials)
    trials[index] = change(trials[index])
    return replace(loss, trials=tuple(trials))


def with_metrics(worked: TrialResult, **metrics: float | None) -> TrialResult:
    """The trial with some of its metrics changed."""
    return replace(worked, metrics={**worked.metrics, **metrics})


def gain(seed: int) -> GainCurve:
    p = np.linspace(0.01, 0.99, 49)
    return GainCurve(
        tuple(p.tolist()), tuple(((1 - p) ** (seed % 4) * (1 + seed % 3 * p)).tolist())
    )


def losses(
    specs: Specs = LOSSES,
    seeds: int = 5,
    data: DatasetSummary | None = None,
    *,
    control: bool = True,
) -> list[LossTrials]:
    """Baseline, candidates and control with ``seeds`` trials each."""
    data = data or dataset()
    rng = np.random.default_rng(20)
    rows: list[tuple[str, Role, Sequence[float]]] = [("cross_entropy", "baseline", (0, 0, 0))]
    rows += [(name, "candidate", shift) for name, *shift in specs]
    if control:
        rows.append(("cross_entropy", "control", (0, 0, 0)))
    return [
        LossTrials(
            name,
            role,
            gain(index),
            "-(1 - p)^2 log p",
            tuple(trial(rng, name, role, seed, shift, data) for seed in range(seeds)),
        )
        for index, (name, role, shift) in enumerate(rows)
    ]


def results(
    specs: Specs = LOSSES,
    seeds: int = 5,
    data: DatasetSummary | None = None,
    *,
    control: bool = True,
    entries: Sequence[LossTrials] | None = None,
    **changes: object,
) -> Results:
    """What a run of these losses found; ``entries`` in place of the drawn trials."""
    data = data or dataset()
    if entries is None:
        entries = losses(specs, seeds, data, control=control)
    settings = {
        "losses": tuple(name for name, *_ in specs),
        "seeds": seeds,
        "primary_metric": TASKS[data.task].default_metric,
    }
    return summarise(config(**settings | changes), data, RATE, entries)


def hostile(count: int = 12) -> Results:
    """Results in which the losses, the classes and the data set have names that try to escape."""
    data = dataset(12, HOSTILE, name=HOSTILE[0], description=HOSTILE[2], dropped=((HOSTILE[0], 2),))
    found = results([(name, 1.0, 0.0, 3.0) for name in HOSTILE[-count:]], data=data)
    return replace(found, config=replace(found.config, data="'; $(touch x) \n#"))
