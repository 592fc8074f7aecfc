"""torch.compile and torch.func."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from typing import Any

import torch
from torch import Tensor

from taylored.doctor.check import Check
from taylored.doctor.finding import Finding
from taylored.doctor.patient import Patient, Sample, alone_gradient, gradient, said
from taylored.doctor.recipe import Following
from taylored.own import FAILURES


def compiled(patient: Patient) -> Iterator[Finding]:
    """torch.compile as one graph, in several batch sizes, against eager."""
    torch._dynamo.reset()
    graphs: list[int] = []

    def backend(module: torch.fx.GraphModule, _: list[Tensor]) -> Callable[..., Any]:
        graphs.append(1)
        return module.forward

    recipe = patient.recipe
    plain = recipe.recipe if isinstance(recipe, Following) else recipe  # hooks break graphs
    loss = Patient(plain, patient.form).still()
    whole = torch.compile(loss, backend=backend, fullgraph=True)
    sample = patient.sample().to(torch.float32)
    lines = ('whole = torch.compile(loss, backend="eager", fullgraph=True)',
             "print(whole(logits, target))")  # fmt: skip
    try:
        found = gradient(whole, sample)
    except FAILURES as error:
        yield Finding(
            "breaks-graph", "warning", "torch.compile cannot make one graph of it.",
            "Keep values on the device: no .item(), no Python branches on tensors, no NumPy.",
            {"error": _reason(error)}, patient.snippet(sample, *lines),
        )  # fmt: skip
        return
    expected = gradient(patient.still(), sample)
    if not torch.allclose(found, expected, rtol=1e-3, atol=1e-6, equal_nan=True):
        yield Finding(
            "differs-compiled", "error", "Compiled it gives another gradient.",
            "Look for Python state and random numbers in the forward.",
            {"eager norm": float(expected.norm()), "compiled norm": float(found.norm())},
            patient.snippet(sample, *lines, "print(loss(logits, target))"),
        )  # fmt: skip
    sizes = (7, 9, 11, 13)
    for rows in sizes:
        more = patient.sample(rows).to(torch.float32)
        whole(more.logits, more.target)
    if len(graphs) > 4:
        yield Finding(
            "recompiles", "warning",
            f"torch.compile made {len(graphs)} graphs for 5 batch sizes: it compiles again and "
            "again.",
            "Do not read sizes into Python numbers that guard the graph, and keep counters out of "
            "attributes.",
            {"graphs": len(graphs), "batch sizes": 1 + len(sizes)},
            patient.snippet(
                sample, "torch._logging.set_logs(recompiles=True)", lines[0],
                "for rows in (6, 5, 4, 3, 2):", "    whole(logits[:rows], target[:rows])",
            ),
        )  # fmt: skip


def _reason(error: BaseException) -> str:
    text = [line.strip() for line in str(error).splitlines() if line.strip()]
    return " ".join(text[:2])[:160] or said(error)


def functional(patient: Patient) -> Iterator[Finding]:
    """Gradients of every sample by vmap(grad), as in differential privacy and influence."""
    sample = patient.sample(4)
    loss = patient.still()

    def one(logits: Tensor, target: Tensor) -> Tensor:
        return loss(logits.unsqueeze(0), target.unsqueeze(0)).sum()

    show = patient.snippet(
        sample, "def one(row, truth):",
        "    return loss(row.unsqueeze(0), truth.unsqueeze(0)).sum()",
        "print(torch.func.vmap(torch.func.grad(one))(logits, target))",
    )  # fmt: skip
    try:
        found = torch.func.vmap(torch.func.grad(one))(sample.logits, sample.target)
    except FAILURES as error:
        yield Finding(
            "no-functorch", "warning", "Gradients per sample by torch.func.vmap fail.",
            "Write it with torch operations, no .item(), no in-place writes into slices; give a "
            "custom Function setup_context and generate_vmap_rule.",
            {"error": said(error)}, show,
        )  # fmt: skip
        return
    expected = alone_gradient(patient.still(), Sample(sample.logits, sample.target, ""))
    if not torch.allclose(found, expected, rtol=1e-3, atol=1e-7, equal_nan=True):
        yield Finding(
            "differs-in-functorch", "error", "torch.func gives other gradients than backward.",
            "Look for .data, in-place operations and state in the forward.",
            {"by backward": float(expected.norm()), "by torch.func": float(found.norm())}, show,
        )  # fmt: skip


CHECKS = (
    Check("compile", "Does torch.compile make one graph, once?",
          ("breaks-graph", "differs-compiled", "recompiles"), compiled),
    Check("functorch", "Does torch.func see the same gradients?",
          ("no-functorch", "differs-in-functorch"), functional),
)  # fmt: skip
