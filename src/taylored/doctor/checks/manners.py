"""What a call may not touch: its arguments, and what the whole program shares."""

from __future__ import annotations

import contextlib
import io
from collections.abc import Iterator

import torch
from torch import nn

from taylored.doctor.check import Check
from taylored.doctor.finding import Finding
from taylored.doctor.patient import Patient, said
from taylored.own import FAILURES


def arguments(patient: Patient) -> Iterator[Finding]:
    """Logits and targets are as they were."""
    sample = patient.sample().to(torch.float32)
    logits, target = sample.logits.clone(), sample.target.clone()
    patient.loss()(logits, target)
    for name, now, before in (("logits", logits, sample.logits), ("target", target, sample.target)):
        if now.shape != before.shape or not torch.equal(now, before):
            off = int((now != before).sum()) if now.shape == before.shape else now.numel()
            yield Finding(
                f"changes-{name}", "error", f"It changes the {name} that it is given.",
                "Use operations that are not in place (no add_, masked_fill_, x[...] = ...), or "
                "clone first.",
                {"elements changed": off},
                patient.snippet(
                    sample, "logits, target = logits.float(), target", f"before = {name}.clone()",
                    "loss(logits, target)", f"print(torch.equal({name}, before))",
                ),
            )  # fmt: skip
    if logits.requires_grad:
        yield Finding(
            "changes-logits", "error", "It switches requires_grad on for the logits it is given.",
            "Detach a copy of your own.", {"requires_grad": "True"},
            patient.snippet(sample, "loss(logits, target)", "print(logits.requires_grad)"),
        )  # fmt: skip


def grad_mode(patient: Patient) -> Iterator[Finding]:
    """Gradients stay off where they were off, and on where they were on."""
    sample = patient.sample().to(torch.float32)
    for on in (False, True):
        logits = sample.logits.clone().requires_grad_()
        with torch.set_grad_enabled(on):
            value = patient.loss()(logits, sample.target)
            now = torch.is_grad_enabled()
        if now != on or (value.requires_grad and not on):
            yield Finding(
                "changes-grad-mode", "error",
                f"After a call under {'enable_grad' if on else 'no_grad'} gradients are "
                f"{'on' if now else 'off'}: it switches them for everybody.",
                "Use `with torch.no_grad():` or .detach(), never torch.set_grad_enabled(...) "
                "without restoring.",
                {"grad enabled before": str(on), "after": str(now)},
                patient.snippet(
                    sample, "logits.requires_grad_()", f"with torch.set_grad_enabled({on}):",
                    "    loss(logits, target)", "    print(torch.is_grad_enabled())",
                ),
            )  # fmt: skip
            return


def generators(patient: Patient) -> Iterator[Finding]:
    """The random numbers of the rest of the program."""
    sample = patient.sample().to(torch.float32)
    loss = patient.loss()
    after = []
    for seed in (1, 2):
        torch.manual_seed(seed)
        before = torch.get_rng_state()
        loss(sample.logits, sample.target)
        after.append(torch.get_rng_state())
    if torch.equal(after[0], after[1]):
        yield Finding(
            "reseeds", "error", "It sets the seed of torch for the whole program.",
            "Draw from a torch.Generator of your own.", {"state after other seeds": "the same"},
            patient.snippet(
                sample, "for seed in (1, 2):", "    torch.manual_seed(seed)",
                "    loss(logits, target)", "    print(torch.rand(1))",
            ),
        )  # fmt: skip
    elif not torch.equal(after[1], before):
        yield Finding(
            "draws-random-numbers", "info", "A call draws random numbers.",
            "Good to know: runs with and without it see other random numbers afterwards.",
            {"generator": "moved"},
            patient.snippet(
                sample, "before = torch.get_rng_state()", "loss(logits, target)",
                "print(torch.equal(before, torch.get_rng_state()))",
            ),
        )  # fmt: skip


def _globals() -> dict[str, object]:
    return {
        "torch.get_default_dtype()": torch.get_default_dtype(),
        "torch.get_default_device()": torch.get_default_device(),
        "torch.get_num_threads()": torch.get_num_threads(),
        "torch.is_anomaly_enabled()": torch.is_anomaly_enabled(),
        "torch.are_deterministic_algorithms_enabled()":
            torch.are_deterministic_algorithms_enabled(),
        "torch.is_autocast_enabled('cpu')": torch.is_autocast_enabled("cpu"),
        "torch.get_float32_matmul_precision()": torch.get_float32_matmul_precision(),
        "torch.backends.cudnn.benchmark": torch.backends.cudnn.benchmark,
    }  # fmt: skip


def shared(patient: Patient) -> Iterator[Finding]:
    """Settings of torch that everybody shares, and what is printed."""
    sample = patient.sample().to(torch.float32)
    before = _globals()
    printed = io.StringIO()
    with contextlib.redirect_stdout(printed):
        patient.loss()(sample.logits, sample.target)
    now = _globals()
    for name, value in before.items():
        if now[name] != value:
            yield Finding(
                "changes-settings", "error", f"It changes {name} for the whole program.",
                "Pass dtype= and device= where tensors are made.",
                {"before": str(value), "after": str(now[name])},
                patient.snippet(sample, f"print({name})", "loss(logits, target)", f"print({name})"),
            )  # fmt: skip
    if printed.getvalue():
        yield Finding(
            "prints", "warning", "A call prints.", "Remove the print, or use logging.",
            {"printed": printed.getvalue()[:80]}, patient.snippet(sample, "loss(logits, target)"),
        )  # fmt: skip


def inference(patient: Patient) -> Iterator[Finding]:
    """A validation under inference mode."""
    sample = patient.sample().to(torch.float32)
    try:
        with torch.inference_mode():
            patient.still()(sample.logits, sample.target)
    except FAILURES as error:
        yield Finding(
            "fails-in-inference-mode", "warning", "It fails under torch.inference_mode().",
            "Compute no gradients inside of the forward.", {"error": said(error)},
            patient.snippet(
                sample, "with torch.inference_mode():", "    print(loss(logits, target))"
            ),
        )  # fmt: skip


def hooks(patient: Patient) -> Iterator[Finding]:
    """Hooks of the module, which loggers and profilers use."""
    loss = patient.loss()
    if not isinstance(loss, nn.Module):
        return
    sample = patient.sample().to(torch.float32)
    seen: list[int] = []
    loss.register_forward_hook(lambda *_: seen.append(1))
    loss(sample.logits, sample.target)
    if not seen:
        yield Finding(
            "hooks-never-run", "warning", "Forward hooks of the module never run.",
            "Define forward, and leave __call__ to nn.Module.", {"hooks run": 0},
            patient.snippet(
                sample, "loss.register_forward_hook(lambda *_: print('the hook runs'))",
                "loss(logits, target)",
            ),
        )  # fmt: skip


CHECKS = (
    Check("arguments", "Are logits and targets left as they are?",
          ("changes-logits", "changes-target"), arguments),
    Check("grad mode", "Is grad mode left as it is?", ("changes-grad-mode",), grad_mode),
    Check("generators", "Are the generators of random numbers left alone?",
          ("reseeds", "draws-random-numbers"), generators),
    Check("settings", "Are the settings that everybody shares left alone?",
          ("changes-settings", "prints"), shared),
    Check("inference mode", "Does it work under inference mode?",
          ("fails-in-inference-mode",), inference),
    Check("hooks", "Do hooks of the module run?", ("hooks-never-run",), hooks),
)  # fmt: skip
