"""A training of the lab, with a look at some of its moments."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Final

import torch

from taylored.core.plan.options import LinkName
from taylored.lab.errors import RunError
from taylored.lab.trial.prepare import Prepared, prepare_trial
from taylored.lab.trial.protocol import Protocol, TrialSpec, streams
from taylored.lab.trial.train import Diverged, Part, Parts, fit
from taylored.lab.trial.watched_loss import WatchedLoss
from taylored.xray.as_function import as_function, evaluated
from taylored.xray.asked import training_loss
from taylored.xray.judges import class_mean, label_mean
from taylored.xray.looks import Batch, Step
from taylored.xray.moment import Moment, moment_of

MOST_ROWS: Final = 2**16
"""Rows of each part of the data that a moment looks at."""
_ROWS, _ELEMENTS = 2**11, 2**18
"""Rows and logits that are looked at together: what bounds the memory."""


def watched(
    loss: str,
    *,
    protocol: Protocol,
    parts: Parts,
    counts: Sequence[int],
    moments: Sequence[float],
    rate: float,
) -> tuple[Moment, ...]:
    """The moments of one training."""
    spec = TrialSpec(loss, "candidate", repeat=0, fold=0, learning_rate=rate)
    source = streams(protocol.seed, 0, 0)
    rows = len(parts.train.labels)
    prepared = prepare_trial(
        protocol,
        spec,
        source,
        input_shape=parts.train.features.shape[1:],
        counts=counts,
        num_samples=rows,
    )
    generator = torch.Generator().manual_seed(source.batches)
    train, validation = (_sampled(part, generator) for part in (parts.train, parts.validation))
    steps = protocol.epochs * (rows // min(protocol.batch_size, rows))
    wanted = {max(1, round(each * steps)): each for each in moments}
    found: list[Moment] = []
    step = 0

    def beat() -> None:
        nonlocal step
        step += 1
        if step in wanted:
            found.append(_moment(prepared, train, validation, wanted[step], rate, protocol.groups))

    without = Parts(
        parts.train, Part(*(each[:0] for each in vars(parts.test).values())), parts.test
    )
    follower = WatchedLoss(prepared.loss, protocol.groups)
    try:
        fit(protocol, without, spec, prepared, follower, source.batches, [], beat)
    except Diverged:
        raise RunError(
            f"loss {loss!r} diverged with the learning rate {rate:g}. Use a smaller --lr."
        ) from None
    return tuple(found)


def _moment(
    prepared: Prepared,
    train: Part,
    validation: Part,
    progress: float,
    rate: float,
    groups: Sequence[str],
) -> Moment:
    link: LinkName = "sigmoid" if prepared.link == "sigmoid" else "softmax"
    judge = (label_mean if link == "sigmoid" else class_mean)(validation.labels, len(groups))
    function, at = as_function(prepared.model, None)
    loss = training_loss(prepared.loss)
    step = Step(
        function=function,
        at=at,
        loss=loss,
        link=link,
        judge=judge,
        learning_rate=rate,
        scale=dict.fromkeys(at, 1.0),
        modules=(prepared.model, loss),
    )
    judged = _in_parts(validation, len(groups))
    looks = step.looks(_in_parts(train, len(groups)), judged, groups)
    with evaluated(prepared.model), torch.no_grad():
        value = sum(float(judge(function(at, inputs), target)) for inputs, target in judged)
    return moment_of(looks, progress, value)


def _sampled(part: Part, generator: torch.Generator) -> Part:
    """At most so many rows of a part."""
    if len(part.labels) <= MOST_ROWS:
        return part
    rows = torch.randperm(len(part.labels), generator=generator)[:MOST_ROWS]
    return Part(part.features[rows], part.labels[rows])


def _in_parts(part: Part, classes: int) -> list[Batch]:
    """The rows in pieces of so many logits."""
    rows = max(1, min(_ROWS, _ELEMENTS // classes))
    pieces: list[Batch] = list(zip(part.features.split(rows), part.labels.split(rows), strict=True))
    return pieces
