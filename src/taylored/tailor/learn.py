"""`tailor`: one training along which the loss is learned."""

from __future__ import annotations

import math
import time
from collections.abc import Iterator
from dataclasses import replace
from pathlib import Path
from typing import Final

import torch
from torch import Tensor, nn

from taylored.core.class_weights import log_prior
from taylored.lab.data import TRAIN, Dataset, count_labels, load
from taylored.lab.errors import RunError, UsageError
from taylored.lab.run.budget import STEPS, batch_size_for, epochs_for
from taylored.lab.run.checks import check_integer, check_learning_rate
from taylored.lab.run.problem import Problem
from taylored.lab.trial.models import build_model, choose_model
from taylored.lab.trial.prepare import seed_all
from taylored.lab.trial.protocol import streams
from taylored.lab.trial.train import Part, make_parts
from taylored.lab.trial_result import WEIGHT_DECAY
from taylored.tailor.numbers import MOST_POWERS, Numbers
from taylored.tailor.steer import Leaves, steered, tailored_loss
from taylored.tailor.tailored import Tailored
from taylored.xray.as_function import as_function, derivative, evaluated, gradient

EVERY: Final = 8
"""Steps of the training for one of the loss: its three passes would double the time of a step."""
_RATES: Final = (0.05, 0.05, 0.02)
"""Adam's learning rates of coefficients, tau and temperature."""


def tailor(
    data: str | Path | Dataset = "kanjivg-strokes",
    *,
    target: str | None = None,
    model: str = "auto",
    powers: int = 4,
    epochs: int | None = None,
    learning_rate: float = 0.01,
    seed: int = 0,
) -> Tailored:
    """Learn a loss on data with a long tail: one training of somewhat more than usual cost.

    The loss is -log p + sum of e_j q^j of logits that have tau times the log prior added and are
    divided by a temperature: `powers` + 2 numbers, which start at cross-entropy. Every eighth step
    they are moved by Adam against what they would do to the validation loss in the next step of
    AdamW (`steered`), on the mean of the classes' cross-entropies, and put back to where the loss
    never rises with p (e_j >= -1/j). The result is their mean over the second half of the training.

    The rows are those of the first fold of `lab.compare`: three fifths train, one fifth validates,
    and the last fifth is not looked at; `Tailored.judge` tests on it.

    Args:
        data: a built-in name, a path, or a `Dataset`, with one class per row. A split that it
            came with is used.
        target: the column of the classes, for tables.
        model: "auto", "linear", "mlp", "cnn" or "grid_cnn".
        powers: how many coefficients to learn, at most 8; more follow the validation part closer.
        epochs: passes over the training part; by default those of a comparison.
        learning_rate: that of AdamW at the start.
        seed: where all randomness starts.

    Returns:
        `Tailored`: the loss as a catalogue text, and the way to it.

    Raises:
        UsageError: for data with many labels per row, or numbers out of their domain.
        RunError: where the training diverges.

    """
    check_learning_rate(learning_rate)
    for name, each, least in (("powers", powers, 1), ("epochs", epochs, 1), ("seed", seed, 0)):
        check_integer(name, each, least=least)
    if powers > MOST_POWERS:
        raise UsageError(f"powers must be at most {MOST_POWERS}, got {powers}.")
    dataset = data if isinstance(data, Dataset) else load(data, target=target)
    if dataset.task != "single-label":
        raise UsageError(
            f"data: {dataset.name} has many labels per row, and a tailored loss has a prior over "
            "classes of which one is true. Use data with one class per row; `taylored xray` looks "
            "at many labels."
        )
    part = Problem.draw(dataset, seed=seed, repeats=1).part(0, 0)
    parts = make_parts(dataset.features, dataset.labels, part, dataset.columns)
    counts = count_labels(dataset.labels[part == TRAIN], len(dataset.class_names)).tolist()
    size = batch_size_for(len(parts.train.labels), dataset.task)
    if epochs is None:
        steps = STEPS[dataset.task]["default"]
        epochs = epochs_for(len(parts.train.labels), size, steps)
    source = streams(seed, 0, 0)
    seed_all(source.weights)
    chosen = choose_model(model, dataset.kind, dataset.task)
    built = build_model(chosen, parts.train.features.shape[1:], len(counts))
    started = time.perf_counter()
    way = tuple(
        _learned(
            built,
            parts.train,
            parts.validation,
            log_prior(counts, dtype=torch.float64),
            powers=powers,
            batches=_batches(len(parts.train.labels), size, epochs, source.batches),
            rate=learning_rate,
            seed=source.batches,
        )
    )
    return Tailored(
        numbers=Numbers.mean(way[len(way) // 2 :]).projected(),
        way=way,
        seconds=time.perf_counter() - started,
        dataset=replace(dataset, split=part.astype("int64")),
        model=chosen,
    )


def _batches(rows: int, size: int, epochs: int, seed: int) -> list[Tensor]:
    """The rows of every step; those of an incomplete batch come up again later."""
    generator, size = torch.Generator().manual_seed(seed), min(size, rows)
    orders = (torch.randperm(rows, generator=generator) for _ in range(epochs))
    return [order[i * size : (i + 1) * size] for order in orders for i in range(rows // size)]


def _learned(
    model: nn.Module,
    train: Part,
    validation: Part,
    prior: Tensor,
    *,
    powers: int,
    batches: list[Tensor],
    rate: float,
    seed: int,
) -> Iterator[Numbers]:
    """The numbers after each of their steps."""
    leaves: Leaves = (
        torch.zeros(powers, dtype=torch.float64, requires_grad=True),
        torch.zeros((), dtype=torch.float64, requires_grad=True),
        torch.ones((), dtype=torch.float64, requires_grad=True),
    )
    groups = [{"params": [leaf], "lr": lr} for leaf, lr in zip(leaves, _RATES, strict=True)]
    steering = torch.optim.Adam(groups, betas=(0.9, 0.99))
    weights = torch.optim.AdamW(model.parameters(), lr=rate, weight_decay=WEIGHT_DECAY, fused=True)
    draw = _DrawnByClass(validation, len(prior), torch.Generator().manual_seed(seed))
    narrow = prior.to(train.features.dtype)
    model.train()
    for step, rows in enumerate(batches):
        for group in weights.param_groups:
            group["lr"] = rate * 0.5 * (1 + math.cos(math.pi * step / len(batches)))
        inputs, target = train.features[rows], train.labels[rows]
        logits = model(inputs)
        fixed = tuple(leaf.detach().to(logits.dtype) for leaf in leaves)
        loss = tailored_loss(logits, target, narrow, fixed)  # type: ignore[arg-type]
        if not math.isfinite(loss.item()):
            raise RunError(f"the training diverged with lr {rate:g}. Use a smaller one.")
        weights.zero_grad()
        loss.backward()
        if step % EVERY == EVERY - 1:
            direction = _direction(model, weights, inputs, draw(len(rows)))
            found = steered(logits.double(), direction.double(), target, prior, leaves)
            for leaf, each in zip(leaves, found, strict=True):
                leaf.grad = each
            steering.step()
            yield _put_back(leaves)
        weights.step()


def _direction(
    model: nn.Module, weights: torch.optim.Optimizer, inputs: Tensor, judged: tuple[Tensor, Tensor]
) -> Tensor:
    """How the training logits change along v, as far as AdamW lets each parameter move."""
    function, at = as_function(model, None)
    scale = {name: _reach(weights, each) for name, each in model.named_parameters() if name in at}
    with evaluated(model):
        worse = gradient(
            lambda found: nn.functional.cross_entropy(function(found, judged[0]), judged[1]), at
        )
        v = {name: each * scale[name] for name, each in worse.items()}
        return derivative(lambda found: function(found, inputs), at, v)[1].detach()


def _reach(weights: torch.optim.Optimizer, parameter: Tensor) -> Tensor:
    """What AdamW multiplies the gradient of a parameter by."""
    state = weights.state.get(parameter)
    if not state:
        return torch.ones_like(parameter)
    (_, beta), eps = weights.param_groups[0]["betas"], weights.param_groups[0]["eps"]
    seen: Tensor = state["exp_avg_sq"] / (1 - beta ** float(state["step"]))
    return torch.reciprocal(seen.sqrt() + eps)


@torch.no_grad()
def _put_back(leaves: Leaves) -> Numbers:
    """Project in place; the numbers as they are now."""
    epsilon, tau, temperature = leaves
    now = Numbers(tuple(epsilon.tolist()), float(tau), float(temperature)).projected()
    epsilon.copy_(torch.tensor(now.epsilon, dtype=torch.float64))
    tau.fill_(now.tau)
    temperature.fill_(now.temperature)
    return now


class _DrawnByClass:
    """Validation rows of classes that are all alike frequent.

    The mean cross-entropy of such rows is, on average, the mean over the classes of theirs.
    """

    def __init__(self, part: Part, classes: int, generator: torch.Generator) -> None:
        counts = torch.bincount(part.labels, minlength=classes)
        self._part, self._generator = part, generator
        self._weight = 1.0 / counts[part.labels].double()

    def __call__(self, size: int) -> tuple[Tensor, Tensor]:
        rows = torch.multinomial(self._weight, size, replacement=True, generator=self._generator)
        return self._part.features[rows], self._part.labels[rows]
