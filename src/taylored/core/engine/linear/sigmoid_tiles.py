"""Sigmoid losses of a linear head, a few classes at a time: classes need nothing of each other."""

from __future__ import annotations

from dataclasses import replace

import torch
from torch import Tensor

from taylored.core.engine.executors import choose
from taylored.core.engine.linear.tile import Sink, Tiles
from taylored.core.links.class_sums import ClassSums
from taylored.core.plan.plan import Plan

_NO_CLASS = -1
"""The truth of a position whose class is in another tile: that of none here."""


def of_sigmoid(tiles: Tiles, plan: Plan, sink: Sink | None) -> Tensor:
    """The loss of some positions; its gradient goes to the sink."""
    total = plan.rows.new_zeros(())
    for columns in tiles.cuts:
        z, bend = tiles.formed(columns)
        some = of_columns(plan, columns)
        executor = choose(z, some)
        if sink is None:
            total += executor.value(z, some)
            continue
        sums = None if sink.counted is None else ClassSums(z)
        swept = executor.sweep(z, some, sums=sums, into=tiles.for_gradient(columns))
        total += swept.loss
        if sink.counted is not None and sums is not None:
            sink.counted[:, columns] += sums.total()
        sink.add(swept.gradient, bend, columns)
    return total


def of_columns(plan: Plan, columns: slice) -> Plan:
    """The plan for the logits of some classes (sigmoid link)."""

    def pick(values: Tensor) -> Tensor:
        return values if values.numel() == 1 else values.reshape(-1)[columns]

    def picked(values: Tensor | None) -> Tensor | None:
        return None if values is None else pick(values)

    if plan.target_kind == "dense":
        target = plan.target[:, columns]
    else:
        here = (plan.target >= columns.start) & (plan.target < columns.stop)
        target = torch.where(here, plan.target - columns.start, _NO_CLASS)
    rejection = plan.rejection
    return replace(
        plan,
        term=plan.term.bind(pick) if plan.term.parameters() else plan.term,
        rejection=rejection.bind(pick) if rejection and rejection.parameters() else rejection,
        target=target,
        rows=plan.rows if plan.rows.shape[1] == 1 else plan.rows[:, columns],
        positive=picked(plan.positive),
        negative=picked(plan.negative),
        bias=picked(plan.bias),
    )
