"""Copies, pickles and devices."""

from __future__ import annotations

import copy
import pickle
from collections.abc import Callable, Iterator

import torch
from torch import Tensor, nn
from torch._subclasses.fake_tensor import DataDependentOutputException, FakeTensorMode

from taylored.doctor.check import Check
from taylored.doctor.finding import Finding
from taylored.doctor.patient import Patient, Sample, said
from taylored.doctor.recipe import LossFunction
from taylored.own import FAILURES


def _pickled(loss: LossFunction) -> LossFunction:
    return pickle.loads(pickle.dumps(loss))  # type: ignore[no-any-return]  # noqa: S301 - our own


_WAYS: tuple[tuple[str, str, Callable[[LossFunction], LossFunction]], ...] = (
    ("copied", "import copy\nother = copy.deepcopy(loss)", copy.deepcopy),
    ("pickled", "import pickle\nother = pickle.loads(pickle.dumps(loss))", _pickled),
)


def copied(patient: Patient) -> Iterator[Finding]:
    """Deep copies (weight averaging) and pickles (workers, torch.save)."""
    if not isinstance(patient.still(), nn.Module):
        return
    sample = patient.sample()
    for verb, line, way in _WAYS:
        loss = patient.still()
        expected = float(loss(sample.logits, sample.target).sum())
        show = patient.snippet(
            sample, line, "print(loss(logits, target).sum(), other(logits, target).sum())"
        )
        try:
            found = float(way(loss)(sample.logits, sample.target).sum())
        except FAILURES as error:
            yield Finding(
                "not-copyable", "warning", f"It cannot be {verb}.",
                "Keep lambdas, generators and open files out of attributes, or define "
                "__getstate__.", {"error": said(error)}, show,
            )  # fmt: skip
            continue
        if abs(found - expected) > 1e-6 * (1 + abs(expected)):
            yield Finding(
                "copy-differs", "error", f"A {verb} loss gives another value.",
                "Keep all that matters in attributes, buffers and constructor arguments.",
                {"value": expected, f"of the {verb} loss": found}, show,
            )  # fmt: skip


def _loose(loss: nn.Module) -> list[str]:
    """Attributes that are tensors and no buffers or parameters."""
    found = []
    for path, part in loss.named_modules():
        for name, value in vars(part).items():
            if name in ("_parameters", "_buffers"):
                continue
            inside = value.values() if isinstance(value, dict) else value
            several = isinstance(value, (list, tuple, dict)) and any(
                isinstance(each, Tensor) for each in inside
            )
            if isinstance(value, Tensor) or several:
                found.append(f"{path}.{name}" if path else name)
    return found


def buffers(patient: Patient) -> Iterator[Finding]:
    """Tensors that .to(device) does not move."""
    loss = patient.loss()
    if not isinstance(loss, nn.Module):
        return
    loose = _loose(loss)
    if loose:
        yield Finding(
            "tensor-is-no-buffer", "error",
            f"{', '.join(loose[:3])} is a tensor that .to(device) leaves where it is.",
            "self.register_buffer(name, tensor) in the constructor.",
            {"attributes": ", ".join(loose[:3])},
            patient.snippet(None, 'loss.to("meta")', f"print(loss.{loose[0]})"),
        )  # fmt: skip


def device(patient: Patient) -> Iterator[Finding]:
    """A call with everything on a GPU, which is pretended."""
    sample = patient.sample().to(torch.float32)
    mode = FakeTensorMode(allow_non_fake_inputs=True)
    loss = patient.still()
    try:
        on_gpu = _moved(loss, mode)
        with mode:
            placed = Sample(mode.from_tensor(sample.logits).to("cuda"),
                            mode.from_tensor(sample.target).to("cuda"), "")  # fmt: skip
    except FAILURES:
        return  # this torch cannot pretend
    code = (
        f"{sample.code}\nfrom torch._subclasses.fake_tensor import FakeTensorMode\n"
        "mode = FakeTensorMode(allow_non_fake_inputs=True)"
    )
    show = patient.snippet(
        Sample(sample.logits, sample.target, code),
        "with mode:",
        '    on = [mode.from_tensor(each).to("cuda") for each in (logits.float(), target)]',
        "    print(loss(*on))",
    )
    try:
        with mode:
            value = on_gpu(placed.logits, placed.target)
    except DataDependentOutputException as error:
        yield Finding(
            "reads-values", "info",
            "A call reads numbers of tensors in Python: on a GPU each call waits for the device.",
            "Use torch.where and masks instead of .item(), bool(tensor) and boolean indexing.",
            {"error": said(error)}, show,
        )  # fmt: skip
        return
    except FAILURES as error:
        text = str(error)
        if "device" in text and "cpu" in text:
            yield Finding(
                "wrong-device", "error", "It makes tensors on the CPU whatever the logits are on.",
                "Give device=logits.device, or register_buffer.", {"error": said(error)}, show,
            )  # fmt: skip
        return
    if isinstance(value, Tensor) and value.device.type != "cuda":
        yield Finding(
            "wrong-device", "error", f"Logits on a GPU give a loss on {value.device}.",
            "Leave the value on the device of the logits.", {"device": str(value.device)}, show,
        )  # fmt: skip


def _moved(loss: LossFunction, mode: FakeTensorMode) -> LossFunction:
    """The loss with its buffers and parameters on a GPU that is pretended."""
    if not isinstance(loss, nn.Module):
        return loss
    for part in loss.modules():
        for store in (part._buffers, part._parameters):
            for name, value in store.items():
                if value is not None:
                    with mode:
                        store[name] = mode.from_tensor(value.detach()).to("cuda")  # type: ignore[assignment]
    return loss


CHECKS = (
    Check("copies of the module", "Can it be copied and pickled?",
          ("not-copyable", "copy-differs"), copied),
    Check("buffers", "Does .to(device) move all its tensors?",
          ("tensor-is-no-buffer",), buffers),
    Check("device", "Does it work where the logits are on a GPU?",
          ("wrong-device", "reads-values"), device),
)  # fmt: skip
