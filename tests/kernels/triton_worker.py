"""What Triton's kernels find beside the whole expression, as JSON: `python triton_worker.py`.

A process of its own, because Triton decides at its import whether it interprets: the environment
says so with TRITON_INTERPRET=1. Without that the comparisons run on a card.
"""

from __future__ import annotations

import json
import sys
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import fields, is_dataclass, replace
from itertools import islice
from pathlib import Path
from typing import Any
from unittest import mock

import torch

sys.path.insert(0, str(Path(__file__).parents[1]))

from kit.cases import GENERATED, Case, build, call_of, target_kinds
from kit.native import FLOATS, agree, counted, drawn
from taylored import terms
from taylored.core.engine import executors
from taylored.core.engine.whole import Whole
from taylored.core.plan.options import Options
from taylored.core.plan.prepare import prepare
from taylored.kernels.executor import packed
from taylored.kernels.sweep import Batch, Formula
from taylored.kernels.triton import executor as triton_executor
from taylored.kernels.triton.executor import Triton, device_type

DEVICE = device_type()
TRITON = Triton(DEVICE)
# Triton's interpreter cuts bfloat16 where a card rounds it.
CLOSE = {torch.float32: 1e-6, torch.float64: 1e-12, torch.bfloat16: 2**-7, torch.float16: 1e-6}
EXTREMES = {
    "large": torch.tensor([[1e4, -1e4, 0.0], [-1e4, -1e4, 1e4]]),
    "offset": torch.tensor([[1.0, 0.5, -1.0], [0.0, 2.0, 1.0]]) + 1e8,
    "masked": torch.tensor([[-torch.inf, 0.0, 1.0], [0.0, -torch.inf, 1.0]]),
    "alone": torch.tensor([[0.0, -torch.inf, -torch.inf], [-torch.inf, 1.0, 0.0]]),
}


def differences(seeds: range, dtype: torch.dtype) -> Iterator[str]:
    """What is not the number of the whole expression in float64."""
    for seed in seeds:
        fault = difference(seed, dtype)
        if fault is not None:
            yield f"{dtype}, seed {seed}: {fault}"


def difference(seed: int, dtype: torch.dtype) -> str | None:
    logits, plan = drawn(seed, dtype).prepared()
    exact = counted(Whole(), logits.double(), replace(plan, rows=plan.rows.double()))
    close = CLOSE[dtype] * max(1.0, logits.abs().max().item() / plan.temperature / 8)
    logits, plan = there(logits), there(plan)
    assert TRITON.accepts(logits, plan), (seed, dtype)
    found = back(counted(TRITON, logits, plan))
    try:
        agree(found, exact, close)
        agree(found._replace(loss=TRITON.value(logits, plan).cpu()), exact, close)
    except AssertionError as error:
        return str(error)
    return None


def there(values: Any) -> Any:
    """Tensors of anything moved to the device."""
    if isinstance(values, torch.Tensor):
        return values.to(DEVICE)
    if is_dataclass(values):
        return replace(values, **{f.name: there(getattr(values, f.name)) for f in fields(values)})
    return values


def back(found: Any) -> Any:
    return type(found)(*(each.cpu() for each in found))


def examples() -> dict[str, list[str]]:
    """Losses of the catalogue that ran here, and what was another number than the whole's."""
    executors.register(TRITON)
    ran, wrong = set(), []
    for name in sorted(GENERATED):
        text = GENERATED[name].examples[0]
        for kind in target_kinds(call_of(text)):
            case = Case(text, kind, (7, 5))
            found = []
            for way in ("triton", "whole"):
                logits = case.logits().to(DEVICE).requires_grad_()
                with executors.only(way), noted() as swept:
                    value = build(case.call).to(DEVICE)(logits, case.targets().to(DEVICE))
                    value.sum().backward()
                found.append((value.detach(), logits.grad))
                if swept:
                    ran.add(name)
            for left, right in zip(*found, strict=True):
                bound = 2e-6 * right.abs().max().clamp_min(1e-30)
                if not (left - right).abs().max() <= bound:
                    wrong.append(f"{text}, {kind}")
    return {"ran": sorted(ran), "wrong": wrong}


@contextmanager
def noted() -> Iterator[list[int]]:
    """Adds to a list for each launch."""
    launches: list[int] = []
    original = triton_executor.launched

    def launched(*given: Any) -> torch.Tensor:
        launches.append(1)
        return original(*given)

    with mock.patch.object(triton_executor, "launched", launched):
        yield launches


def extremes() -> list[str]:
    """Where logits at the ends give other numbers, or any that are not finite where they should."""
    wrong = []
    for name, logits in EXTREMES.items():
        for target in (torch.tensor([1, 2]), torch.tensor([[0.0, 0.5, 0.5], [0.5, 0.0, 0.5]])):
            options = Options(ignore_index=2 if target.dim() == 1 else None)
            found = []
            for each, dtype in ((TRITON, torch.float32), (Whole(), torch.float64)):
                z, plan = prepare(logits.to(dtype), target, terms.power(2) * terms.nll, options)
                z, plan = (there(z), there(plan)) if each is TRITON else (z, plan)
                found.append([part.cpu().double() for part in each.sweep(z, plan)])
            for left, right in zip(*found, strict=True):
                if not torch.allclose(left, right, rtol=1e-5, atol=1e-12, equal_nan=True):
                    wrong.append(f"{name}: {left.tolist()}, not {right.tolist()}")
    z = torch.tensor([[torch.nan, 0.0], [2.0, 0.0]])
    z, plan = prepare(z, torch.tensor([-100, 0]), terms.nll, Options())
    loss, gradient = TRITON.sweep(there(z), there(plan))
    if not (abs(loss.item() - 0.126928) < 1e-6 and gradient[0].tolist() == [0.0, 0.0]):
        wrong.append(f"NaN where nothing counts: {loss.item()}, {gradient.tolist()}")
    return wrong


Fault = Callable[[Batch, Formula], tuple[Batch, Formula]]

FAULTS: dict[str, Fault] = {
    "margin": lambda batch, formula: (batch._replace(added=None), formula),
    "growth": lambda batch, formula: (batch._replace(growth=None), formula),
    "scale": lambda batch, formula: (batch._replace(scale=None), formula),
    "bias": lambda batch, formula: (batch._replace(bias=None), formula),
    "weight": lambda batch, formula: (batch._replace(positive=None), formula),
    "exponent": lambda batch, formula: (batch, formula._replace(gamma=formula.gamma + 1e-3)),
    "smoothing": lambda batch, formula: (batch, formula._replace(smoothing=0.0)),
}


def unnoticed() -> list[str]:
    """The planted faults that no difference shows, of the first plans that have the slot."""
    missed = []
    original = triton_executor.packed
    for name, fault in FAULTS.items():
        having = (seed for seed in range(1000) if _changed(fault, seed))
        with mock.patch.object(triton_executor, "packed",
                               lambda *given, f=fault: f(*original(*given))):  # fmt: skip
            if not any(difference(seed, torch.float64) for seed in islice(having, 4)):
                missed.append(name)
    return missed


def _changed(fault: Fault, seed: int) -> bool:
    batch, formula = packed(*drawn(seed, torch.float64).prepared())
    left, right = fault(batch, formula)
    pairs = (*zip(batch, left, strict=True), *zip(formula, right, strict=True))
    return any(before is not after and before != after for before, after in pairs)


def main() -> None:
    seeds = range(int(sys.argv[1]))
    found = [text for dtype in FLOATS for text in differences(seeds, dtype)]
    report = {"differences": found, "examples": examples(), "extremes": extremes(),
              "unnoticed": unnoticed()}  # fmt: skip
    sys.stdout.write(json.dumps(report))


if __name__ == "__main__":
    main()
