"""Donated logits: the same numbers, in the memory of the logits, and never read again."""

from __future__ import annotations

import copy
import pickle
import subprocess
import sys
from collections.abc import Callable

import numpy as np
import pytest
import torch
import torch.nn.functional as F
from torch import Tensor, nn
from torch.autograd import forward_ad

from kit.cases import CLASSES, Case, build, cases, identified
from kit.executors import PATHS, running
from kit.traits import NEED_A_TENSOR
from taylored import (
    CrossEntropyLoss,
    FocalLoss,
    GradientRatio,
    PolyLoss,
    SoftmaxEQLLoss,
    donate,
    focal_loss,
)
from taylored.core.engine import donated_pass
from taylored.core.engine.whole import Whole


def computed(values: Tensor) -> tuple[Tensor, Tensor]:
    """A leaf, and logits that an operation made of it and did not keep."""
    leaf = values.detach().clone().requires_grad_()
    return leaf, leaf + 1.0


def drawn(*shape: int) -> Tensor:
    return torch.randn(shape, generator=torch.Generator().manual_seed(0), dtype=torch.float64)


def agree(loss: nn.Module, values: Tensor, target: Tensor) -> None:
    found = []
    for hand_in in (lambda z: z, donate):
        leaf, logits = computed(values)
        value = loss(hand_in(logits), target)
        weights = torch.linspace(0.5, 2, max(1, value.numel()), dtype=value.dtype)
        (gradient,) = torch.autograd.grad((value * weights.reshape(value.shape)).sum(), leaf)
        found.append((value.detach(), gradient))
    for left, right in zip(*found, strict=True):
        torch.testing.assert_close(left, right, rtol=1e-12, atol=1e-14)


@pytest.mark.parametrize(**identified(cases(((7, CLASSES), (2, CLASSES, 2, 3)))))
def test_every_loss_agrees_or_says_why_not(case: Case) -> None:
    values, target = case.logits(), case.targets()
    if case.call.innermost().name in NEED_A_TENSOR or case.call.name in NEED_A_TENSOR:
        with pytest.raises(ValueError, match="all logits at once.*leave `donate` out"):
            build(case.call)(donate(computed(values)[1]), target)
        return
    for reduction in ("none", "sum", "mean"):
        loss = build(case.call.having(reduction=reduction))
        for path in PATHS:
            if path != "composed":
                with running(path):
                    agree(loss, values, target)


def test_a_fault_is_seen(monkeypatch) -> None:
    target = torch.arange(6) % CLASSES
    agree(PolyLoss(), drawn(6, CLASSES), target)

    class Careless(Whole):
        def sweep(self, logits, plan, **options):
            found = super().sweep(logits, plan, **options)
            options["into"][-1] = 0.0
            return found

    monkeypatch.setattr(donated_pass, "choose", lambda logits, plan: Careless())
    with pytest.raises(AssertionError):
        agree(PolyLoss(), drawn(6, CLASSES), target)


@pytest.mark.parametrize("dtype", [torch.float64, torch.float32, torch.bfloat16])
def test_the_gradient_is_where_the_logits_were(dtype: torch.dtype) -> None:
    layer = nn.Linear(3, CLASSES).to(dtype)
    logits = layer(drawn(6, 3).to(dtype))
    arrived: list[Tensor] = []
    logits.register_hook(lambda gradient: arrived.append(gradient))
    logits.retain_grad()
    place = logits.data_ptr()
    (0.5 * PolyLoss()(donate(logits), torch.arange(6) % CLASSES)).backward()
    assert arrived[0].data_ptr() == place
    assert torch.equal(arrived[0], logits.grad)
    assert logits.grad.dtype == dtype
    assert logits.shape == (6, CLASSES)


def test_no_gradient_nothing_written() -> None:
    values, target = drawn(6, CLASSES), torch.arange(6) % CLASSES
    before = values.clone()
    expected = PolyLoss()(values, target)
    torch.testing.assert_close(PolyLoss()(donate(values), target), expected)
    _, logits = computed(values - 1.0)
    with torch.no_grad():
        torch.testing.assert_close(PolyLoss()(donate(logits), target), expected)
    torch.testing.assert_close(logits.detach(), before)


def test_backward_twice_and_scaled() -> None:
    values, target = drawn(6, CLASSES), torch.arange(6) % CLASSES
    leaf, logits = computed(values)
    (expected,) = torch.autograd.grad(PolyLoss()(logits, target), leaf)
    for factor in (1.0, 0.25):
        leaf, logits = computed(values)
        value = PolyLoss()(donate(logits), target) * factor
        for keep in (True, True, False):
            (gradient,) = torch.autograd.grad(value, leaf, retain_graph=keep)
            torch.testing.assert_close(gradient, factor * expected)


# --- reading them afterwards --------------------------------------------------------------------

READINGS: dict[str, Callable[[Tensor], object]] = {
    "argmax": lambda z: z.argmax(dim=1),
    "max": lambda z: z.max(dim=1),
    "topk": lambda z: torch.topk(z, 2),
    "gather": lambda z: z.gather(1, torch.zeros(6, 1, dtype=torch.int64)),
    "sum": lambda z: z.sum(),
    "softmax": lambda z: F.softmax(z, dim=1),
    "index": lambda z: z[0],
    "add": lambda z: z + 1,
    "added": lambda z: torch.ones(6, CLASSES) + z,
    "matmul": lambda z: torch.ones(2, 6) @ z,
    "equal": lambda z: z == 0,
    "detach": lambda z: z.detach(),
    "data": lambda z: z.data,
    "clone": lambda z: z.clone(),
    "cpu": lambda z: z.cpu(),
    "view": lambda z: z.view(-1),
    "item": lambda z: z.tolist(),
    "numpy": lambda z: z.detach().numpy(),
    "asarray": lambda z: np.asarray(z),
    "list": lambda z: list(z),
    "deepcopy": lambda z: copy.deepcopy(z),
    "pickle": lambda z: pickle.dumps(z),
    "write": lambda z: z.zero_(),
    "out": lambda z: torch.add(torch.ones(6, CLASSES), 1, out=z),
    "cross_entropy": lambda z: F.cross_entropy(z, torch.zeros(6, dtype=torch.int64)),
    "vmap": lambda z: torch.func.vmap(lambda row: row.sum())(z),
    "dlpack": lambda z: torch.utils.dlpack.to_dlpack(z),
    "storage": lambda z: z.untyped_storage(),
    "pointer": lambda z: z.data_ptr(),
}


@pytest.mark.parametrize("read", READINGS.values(), ids=READINGS)
def test_reading_is_an_error(read: Callable[[Tensor], object]) -> None:
    _, logits = computed(drawn(6, CLASSES).float())
    if read is not READINGS["out"]:
        read(logits.detach().clone())  # the reading itself is fine
    PolyLoss()(donate(logits), torch.arange(6) % CLASSES)
    with pytest.raises(RuntimeError, match="were donated to a loss"):
        read(logits)
    assert repr(logits) == "<donated logits>"


def test_what_was_kept_of_them_before_is_an_error_in_backward() -> None:
    _, logits = computed(drawn(6, CLASSES))
    beside = logits.square().mean()  # keeps the logits themselves for its backward
    value = PolyLoss()(donate(logits), torch.arange(6) % CLASSES)
    with pytest.raises(RuntimeError, match="modified by an inplace operation"):
        (value + beside).backward()


# --- refusals -----------------------------------------------------------------------------------


@pytest.mark.parametrize(
    "producer", [torch.sigmoid, torch.exp, torch.tanh, torch.relu, lambda z: torch.softmax(z, 1)]
)
def test_producers_that_kept_their_result(producer: Callable[[Tensor], Tensor]) -> None:
    leaf = drawn(6, CLASSES).requires_grad_()
    logits = producer(leaf)
    before = logits.detach().clone()
    with pytest.raises(ValueError, match="keeps them for its backward"):
        PolyLoss()(donate(logits), torch.arange(6) % CLASSES)
    torch.testing.assert_close(logits.detach(), before)  # refused before anything is written


def refused(hand_in: Callable[[], object], match: str, loss: nn.Module | None = None) -> None:
    with pytest.raises(ValueError, match=match):
        (loss or PolyLoss())(hand_in(), torch.arange(6) % CLASSES)


def test_tensors_that_others_can_read() -> None:
    refused(lambda: donate(drawn(6, CLASSES).requires_grad_()), "a leaf")
    refused(lambda: donate(nn.Parameter(drawn(6, CLASSES))), "plain tensor class, got Parameter")
    refused(lambda: donate(computed(drawn(CLASSES, 6))[1].t()), "a view")
    refused(lambda: donate(computed(drawn(1, CLASSES))[1].expand(6, -1)), "a view")
    refused(lambda: donate(computed(drawn(6, CLASSES).half())[1]), "float16")
    refused(lambda: donate([1.0]), "`logits` must be a tensor")
    _, logits = computed(drawn(6, CLASSES))
    for alias in (logits.detach(), logits[:2], logits.view(-1), logits.detach().numpy()):
        refused(lambda: donate(logits), "memory is shared")
        assert len(alias)
    del alias
    PolyLoss()(donate(logits), torch.arange(6) % CLASSES)  # now it is alone
    refused(lambda: donate(logits), "not donated before")


def test_axes_that_are_no_single_piece() -> None:
    _, logits = computed(drawn(2, CLASSES, 3, 4))
    strided = (logits.transpose(2, 3).contiguous().transpose(2, 3) + 1.0).detach()
    leaf = strided.requires_grad_()
    moved = leaf * 1.0
    assert not moved.is_contiguous()
    with pytest.raises(ValueError, match="laid out along their axes"):
        PolyLoss()(donate(moved), torch.zeros(2, 3, 4, dtype=torch.int64))
    agree(PolyLoss(), drawn(2, CLASSES, 3, 4), torch.zeros(2, 3, 4, dtype=torch.int64))
    last = drawn(2, 3, 4, CLASSES).permute(0, 3, 1, 2)  # channels last
    agree(PolyLoss(), last, torch.zeros(2, 3, 4, dtype=torch.int64))


def test_modes_that_need_the_logits_again() -> None:
    values, target = drawn(6, CLASSES), torch.arange(6) % CLASSES
    poly = PolyLoss()

    def loss(leaf: Tensor) -> Tensor:
        return poly(donate(leaf + 1.0), target)

    with pytest.raises(ValueError, match="leave `donate` out"):
        torch.func.grad(loss)(values)
    expected = torch.func.jacfwd(lambda z: poly(z + 1.0, target))(values)
    torch.testing.assert_close(torch.func.jacfwd(loss)(values), expected)  # no graph: not written
    with forward_ad.dual_level(), pytest.raises(ValueError, match="forward mode"):
        loss(forward_ad.make_dual(values.clone().requires_grad_(), values))
    leaf = values.clone().requires_grad_()
    with pytest.raises(ValueError, match="second derivatives"):
        torch.autograd.grad(loss(leaf), leaf, create_graph=True)
    gamma = torch.ones(CLASSES, dtype=torch.float64, requires_grad=True)
    with pytest.raises(ValueError, match="where an option wants a gradient"):
        focal_loss(donate(leaf + 1.0), target, gamma=gamma)
    with pytest.raises(Exception, match="inside torch.compile"):
        torch.compile(loss, backend="eager", fullgraph=True)(leaf)
    broken = torch.compile(loss, backend="eager")  # where it falls back to eager code
    torch.testing.assert_close(broken(leaf), poly(leaf + 1.0, target))


# --- state and monitor --------------------------------------------------------------------------


def test_counted_gradients() -> None:
    losses = [SoftmaxEQLLoss(FocalLoss(), num_classes=CLASSES).double() for _ in range(2)]
    for step in range(5):
        values = drawn(6, CLASSES) * step
        for loss, hand_in in zip(losses, (lambda z: z, donate), strict=True):
            loss(hand_in(computed(values)[1]), torch.arange(6) % CLASSES).backward()
    for name, buffer in losses[0].state_dict().items():
        torch.testing.assert_close(losses[1].state_dict()[name], buffer, rtol=1e-9, atol=1e-12)
    assert losses[1].indicator.positive.sum() > 0


def test_gradient_ratio() -> None:
    target = torch.tensor([0, 1, 2, 0, 0, -100])
    monitors = [GradientRatio(CrossEntropyLoss(), num_classes=CLASSES) for _ in range(2)]
    for monitor, hand_in in zip(monitors, (lambda z: z, donate), strict=True):
        monitor(hand_in(computed(drawn(6, CLASSES))[1]), target).backward()
    torch.testing.assert_close(monitors[1].ratio(), monitors[0].ratio())


# --- memory -------------------------------------------------------------------------------------

SCRIPT = """
import sys, torch, taylored
from pathlib import Path
torch.set_num_threads(1)
hand_in = taylored.donate if sys.argv[1] == "donated" else lambda logits: logits
layer, target = torch.nn.Linear(4, 1000), torch.randint(1000, (16_384,))
loss = taylored.PolyLoss(epsilon=2.0)
def peak():
    lines = Path("/proc/self/status").read_text().splitlines()
    return next(int(line.split()[1]) for line in lines if line.startswith("VmHWM"))
(loss(hand_in(layer(torch.randn(300, 4))), target[:300]) * 0.5).backward()
logits = layer(torch.randn(16_384, 4))
size = logits.nbytes
Path("/proc/self/clear_refs").write_text("5")
before = peak()
(loss(hand_in(logits), target) * 0.5).backward()
print((peak() - before) * 1024 / size)
"""


@pytest.mark.skipif(sys.platform != "linux", reason="reads /proc")
def test_memory() -> None:
    """Peak of forward and backward over the state with the logits, in multiples of the logits."""

    def peak(how: str) -> float:
        command = [sys.executable, "-c", SCRIPT, how]
        done = subprocess.run(command, capture_output=True, text=True, check=True)
        return float(done.stdout)

    assert peak("donated") < 0.3
    assert 0.9 < peak("kept") < 1.3
