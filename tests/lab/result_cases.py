"""Trials as the runner writes them, with numbers drawn from a fixed generator."""

from __future__ import annotations

import numpy as np

from taylored.lab.verdict.summarise import summarise

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


def dataset(classes=71, names=None):
    counts = np.round(np.geomspace(8000, 3, classes)).astype(int).tolist()
    groups = ["head" if c >= 100 else "tail" if c < 20 else "medium" for c in counts]
    return {
        "name": "kanjivg-strokes",
        "source": "KanjiVG, drawn strokes of 6 416 kanji",
        "licence": "CC BY-SA 3.0",
        "description": "Stroke types of Japanese characters, 16 resampled points per stroke.",
        "citation": "U. Apel, KanjiVG, https://kanjivg.tagaini.net",
        "samples": int(sum(counts) / 0.6),
        "classes": classes,
        "largest_class": int(counts[0] / 0.6),
        "smallest_class": 5,
        "dropped": [["㇕c/㇂", 4], ["㇏a", 1]],
        "dropped_reason": "fewer than 5 samples",
        "notes": [],
        "fingerprint": "9f2c" * 16,
        "class_names": list(names or (f"㇐{i}" for i in range(classes))),
        "train_counts": counts,
        "groups": groups,
        "group_rule": "head: at least 100 training samples, medium: 20 to 99, tail: fewer than 20",
    }


def trial(rng, name, role, seed, shift, data, noise=0.008, epochs=8):
    """One trial whose recall falls with rarity; ``shift`` = (balanced, head, tail) in points."""
    counts = np.array(data["train_counts"], float)
    groups = np.array(data["groups"])
    base = 0.35 + 0.15 * np.log10(counts)
    slope = np.interp(np.log10(counts), [0.4, 4], [shift[2], shift[1]]) / 100
    wobble = rng.normal(0, 0.05, len(counts))
    recall = np.clip(base + slope + rng.normal(0, noise) + wobble, 0.0, 1.0)
    balanced = float(recall.mean())

    def group(key):
        members = recall[groups == key]
        return float(members.mean()) if len(members) else None

    metrics = {
        "accuracy": float((recall * counts).sum() / counts.sum()),
        "balanced_accuracy": balanced,
        "head": group("head"),
        "medium": group("medium"),
        "tail": group("tail"),
        "nll": float(1.4 - balanced + rng.normal(0, 0.01)),
        "ece": float(abs(0.05 + rng.normal(0, 0.005))),
    }
    curve = [
        {
            "epoch": epoch,
            "train_loss": float(3 * 0.6**epoch),
            "validation_accuracy": float(metrics["accuracy"] * (1 - 0.5**epoch)),
            "validation_balanced_accuracy": float(balanced * (1 - 0.6**epoch)),
        }
        for epoch in range(1, epochs + 1)
    ]
    return {
        "loss": name,
        "role": role,
        "seed": seed,
        "learning_rate": 0.003,
        "best_epoch": epochs,
        "metrics": metrics,
        "recall": [float(r) for r in recall],
        "curve": curve,
        "status": "ok",
        "seconds": 3.25,
    }


def diverge(record):
    """The same trial, as the runner records it when the loss became NaN."""
    empty = dict.fromkeys(METRICS)
    return record | {"status": "diverged", "metrics": empty, "recall": None, "best_epoch": None}


def gain(seed):
    p = np.linspace(0.01, 0.99, 49)
    return {"p": p.tolist(), "g": ((1 - p) ** (seed % 4) * (1 + seed % 3 * p)).tolist()}


def losses(specs=LOSSES, seeds=5, data=None, control=True):
    """Baseline, candidates and control with ``seeds`` trials each."""
    data = data or dataset()
    rng = np.random.default_rng(20)
    rows = [("cross_entropy", "baseline", (0, 0, 0))]
    rows += [(name, "candidate", shift) for name, *shift in specs]
    if control:
        rows.append(("cross_entropy", "control", (0, 0, 0)))
    return [
        {
            "name": name,
            "role": role,
            "gain": gain(index),
            "formula": "-(1 - p)^2 log p",
            "trials": [trial(rng, name, role, seed, shift, data) for seed in range(seeds)],
        }
        for index, (name, role, shift) in enumerate(rows)
    ]


def results(specs=LOSSES, seeds=5, data=None, control=True, entries=None):
    data = data or dataset()
    config = {"losses": [name for name, *_ in specs], "seeds": seeds, "seed": 0}
    rate = {"chosen": 0.003, "tuned": "cross_entropy", "candidates": []}
    entries = entries if entries is not None else losses(specs, seeds, data, control)
    return summarise(config, data, rate, entries)


def hostile(count=12):
    """Results in which the losses, the classes and the data set have names that try to escape."""
    data = dataset(12, names=HOSTILE)
    data |= {"name": HOSTILE[0], "description": HOSTILE[2], "dropped": [[HOSTILE[0], 2]]}
    result = results([(name, 1, 0, 3) for name in HOSTILE[-count:]], data=data)
    result["config"]["data"] = "'; $(touch x) \n#"
    return result
