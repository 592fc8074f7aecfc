"""What a loss remembers: when, where, and whether a checkpoint has it."""

from __future__ import annotations

from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor

import torch
from torch import Tensor, nn
from torch.utils.checkpoint import checkpoint

from taylored.doctor.check import Check
from taylored.doctor.finding import Finding
from taylored.doctor.patient import Patient, Sample
from taylored.doctor.recipe import LossFunction
from taylored.own import FAILURES

Memory = dict[str, Tensor | float]


def memory_of(loss: LossFunction) -> Memory:
    """Every tensor and number on a module and its parts, by name, copied."""
    if not isinstance(loss, nn.Module):
        return {}
    found: Memory = {}
    for path, part in loss.named_modules():
        stores = (vars(part), part._buffers, part._parameters)
        for name, value in ((n, v) for store in stores for n, v in store.items()):
            where = f"{path}.{name}" if path else name
            if isinstance(value, Tensor):
                found[where] = value.detach().clone()
            elif isinstance(value, (int, float)) and not isinstance(value, bool):
                found[where] = float(value)
    return found


def moved(before: Memory, after: Memory) -> list[str]:
    """Names of what changed."""
    return [
        name
        for name in {**before, **after}
        if name not in before or name not in after or not _same(before[name], after[name])
    ]


def _same(one: Tensor | float, other: Tensor | float) -> bool:
    if isinstance(one, Tensor) and isinstance(other, Tensor):
        return one.shape == other.shape and torch.equal(one, other)
    return one is other or bool(one == other)


def _train(loss: LossFunction, patient: Patient, batches: int = 3) -> None:
    for seed in range(batches):
        sample = patient.sample(8, seed=seed).to(torch.float32)
        logits = sample.logits.clone().requires_grad_()
        loss(logits, sample.target).sum().backward()


def evaluation(patient: Patient) -> Iterator[Finding]:
    """Validation batches, in evaluation mode and without gradients."""
    sample = patient.sample().to(torch.float32)
    others = [patient.sample(seed=seed).to(torch.float32) for seed in (1, 2, 3)]
    loss = patient.still()
    before = memory_of(loss)
    with torch.no_grad():
        values = [loss(sample.logits, sample.target).double().sum().item() for _ in range(3)]
        for other in others:
            loss(other.logits, other.target)
        values.append(loss(sample.logits, sample.target).double().sum().item())
    names = moved(before, memory_of(loss))
    same = all(abs(value - values[0]) <= 1e-6 * (1 + abs(values[0])) for value in values)
    show = patient.snippet(
        sample, "getattr(loss, 'eval', lambda: None)()", "with torch.no_grad():",
        "    for _ in range(3):", "        print(loss(logits, target).sum().item())",
    )  # fmt: skip
    kept = [name for name in names if name in getattr(loss, "state_dict", dict)()]
    if names and same and not kept:
        yield Finding(
            "keeps-last-batch", "info",
            f"It leaves the last batch on the module ({', '.join(names[:3])}).",
            "Keep intermediate values in local variables.", {"kept": ", ".join(names[:3])},
            patient.snippet(sample, "loss(logits, target)", f"print(loss.{names[0]})"),
        )  # fmt: skip
    elif names:
        yield Finding(
            "learns-in-evaluation", "warning" if same else "error",
            f"Validation changes what it remembers ({', '.join(names[:3])}).",
            "Update state where self.training and torch.is_grad_enabled() only.",
            {"changed": ", ".join(names[:3]), "first value": values[0], "last": values[-1]}, show,
        )  # fmt: skip
    elif not same:
        yield Finding(
            "not-deterministic", "error",
            "The same batch in evaluation mode has another value each time.",
            "Draw random numbers in training only; keep no state in globals. Questions "
            "that compare values are not asked.",
            {f"call {k}": value for k, value in enumerate(values, 1)}, show,
        )  # fmt: skip


def saved(patient: Patient) -> Iterator[Finding]:
    """A training that is stopped, saved and resumed."""
    trained, fresh = patient.loss(), patient.loss()
    if not isinstance(trained, nn.Module) or not isinstance(fresh, nn.Module):
        return
    before = memory_of(trained)
    _train(trained, patient)
    names = moved(before, memory_of(trained))
    if not names:
        return
    sample = patient.sample(seed=9).to(torch.float32)
    lines = (
        "import copy", "fresh = copy.deepcopy(loss)", "loss(logits.requires_grad_(), target)",
        "fresh.load_state_dict(loss.state_dict())",
        "print(loss(logits, target).sum(), fresh(logits, target).sum())",
    )  # fmt: skip
    try:
        fresh.load_state_dict(trained.state_dict())
    except FAILURES as error:
        yield Finding(
            "state-does-not-load", "error", "The state of a training cannot be loaded again.",
            "Register buffers in the constructor, with their final shape.",
            {"error": str(error).split("\n")[0][:160]}, patient.snippet(sample, *lines),
        )  # fmt: skip
        return
    here, there = (
        m.eval()(sample.logits, sample.target).double().sum().item() for m in (trained, fresh)
    )
    if abs(here - there) > 1e-6 * (1 + abs(here)):
        lost = [name for name in names if name not in trained.state_dict()]
        yield Finding(
            "state-not-saved", "error",
            f"What it has learnt is not in its state_dict ({', '.join(lost[:3])}): a resumed "
            "training starts anew.",
            "Keep state in buffers: self.register_buffer(name, tensor).",
            {"trained": here, "resumed": there}, patient.snippet(sample, *lines),
        )  # fmt: skip


def checkpointing(patient: Patient) -> Iterator[Finding]:
    """A forward that activation checkpointing runs a second time."""
    plain, again = patient.loss(), patient.loss()
    sample = patient.sample().to(torch.float32)
    _once(plain, sample)
    logits = sample.logits.clone().requires_grad_()
    try:
        value = checkpoint(again, logits, sample.target, use_reentrant=False)
        value.sum().backward()
    except FAILURES:
        return  # it refuses, which counts nothing twice
    names = moved(memory_of(plain), memory_of(again))
    if names:
        yield Finding(
            "counts-twice-under-checkpointing", "warning",
            f"Under activation checkpointing a batch counts twice ({', '.join(names[:3])}).",
            "Keep the loss outside of the checkpointed part, or update in backward.",
            {"changed": ", ".join(names[:3])},
            patient.snippet(
                sample, "from torch.utils.checkpoint import checkpoint", "logits.requires_grad_()",
                "value = checkpoint(loss, logits, target, use_reentrant=False)",
                "value.sum().backward()", "print(loss.state_dict())",
            ),
        )  # fmt: skip


def _once(loss: LossFunction, sample: Sample) -> None:
    logits = sample.logits.clone().requires_grad_()
    loss(logits, sample.target).sum().backward()


def graph(patient: Patient) -> Iterator[Finding]:
    """Tensors that stay on the module with all that was needed to compute them."""
    loss = patient.loss()
    if not isinstance(loss, nn.Module):
        return
    sample = patient.sample().to(torch.float32)
    loss(sample.logits.clone().requires_grad_(), sample.target)
    kept = [
        name
        for part in loss.modules()
        for name, value in {**vars(part), **part._buffers}.items()
        if isinstance(value, Tensor) and value.grad_fn is not None
    ]
    if kept:
        yield Finding(
            "keeps-graph", "warning",
            f"It keeps {', '.join(kept[:3])} with its graph: activations of the last batch stay in "
            "memory.",
            "Keep value.detach(), or nothing.", {"attributes": ", ".join(kept[:3])},
            patient.snippet(
                sample, "loss(logits.requires_grad_(), target)",
                f"print(loss.{kept[0]}.grad_fn)",
            ),
        )  # fmt: skip


def threads(patient: Patient) -> Iterator[Finding]:
    """One module, called from several threads."""
    loss = patient.still()
    samples = [patient.sample(seed=seed).to(torch.float32) for seed in range(4)]
    expected = [float(patient.still()(s.logits, s.target).sum()) for s in samples]

    def calls(sample: Sample) -> list[float]:
        return [float(loss(sample.logits, sample.target).sum()) for _ in range(8)]

    with ThreadPoolExecutor(4) as pool:
        found = list(pool.map(calls, samples))
    wrong = [
        (value, right)
        for values, right in zip(found, expected, strict=True)
        for value in values
        if not abs(value - right) <= 1e-4 * (1 + abs(right))
    ]
    if wrong:
        yield Finding(
            "not-thread-safe", "warning", "Calls from several threads disturb each other.",
            "Keep intermediate values in local variables, not on self.",
            {"wrong of 32": len(wrong), "value": wrong[0][0], "expected": wrong[0][1]},
            patient.snippet(
                samples[0], "from concurrent.futures import ThreadPoolExecutor",
                "def value(scale): return loss(scale * logits, target).sum().item()",
                "with ThreadPoolExecutor(4) as pool:",
                "    print(list(pool.map(value, [1, 2, 3, 4] * 2)))",
                "print(list(map(value, [1, 2, 3, 4] * 2)))",
            ),
        )  # fmt: skip


CHECKS = (
    Check("evaluation", "Is it the same in every call of a validation?",
          ("learns-in-evaluation", "not-deterministic", "keeps-last-batch"), evaluation),
    Check("resuming", "Is what it learns in its state_dict?",
          ("state-does-not-load", "state-not-saved"), saved),
    Check("checkpointing", "Does a batch count once under activation checkpointing?",
          ("counts-twice-under-checkpointing",), checkpointing),
    Check("kept graph", "Does it let go of a batch?", ("keeps-graph",), graph),
    Check("threads", "Can several threads call it?", ("not-thread-safe",), threads),
)  # fmt: skip
