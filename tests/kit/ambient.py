"""Every example of every loss where a default device or dtype is set; prints what went wrong.

python worker_ambient.py STATE

It runs in a process of its own, which a read from the address of a meta tensor would end.
"""

from __future__ import annotations

import contextlib
import copy
import pickle
import sys
from collections.abc import Iterator

import torch
from torch import Tensor, nn

from kit.cases import SHAPES, Case, call_of, default_dtype, examples, target_kinds
from kit.executors import PATHS, running
from kit.turns import WHOLE_GRID
from taylored import catalog

STATES = ("meta context", "meta default", "float16", "float64")


@contextlib.contextmanager
def ambient(state: str) -> Iterator[None]:
    if state == "meta context":
        with torch.device("meta"):
            yield
    elif state == "meta default":
        torch.set_default_device("meta")
        try:
            yield
        finally:
            torch.set_default_device(None)
    else:
        with default_dtype(getattr(torch, state)):
            yield


def found(loss: nn.Module, z: Tensor, y: Tensor) -> tuple[Tensor, Tensor]:
    logits = z.clone().requires_grad_()
    value = loss(logits, y)
    (gradient,) = torch.autograd.grad(value.sum(), logits)
    return value.detach(), gradient


def same(one: tuple[Tensor, Tensor], other: tuple[Tensor, Tensor], tolerance: float) -> None:
    for left, right in zip(one, other, strict=True):
        assert left.device == right.device, f"on {left.device}"
        torch.testing.assert_close(left, right, rtol=tolerance, atol=tolerance)


def check(case: Case, state: str, path: str) -> None:
    text, z, y = case.call.text(), case.logits(torch.float32), case.targets()
    loss = catalog.get(text).eval()
    with running(path):
        expected = found(loss, z, y)
        with ambient(state):
            same(found(loss, z, y), expected, 1e-5)
            for other in (copy.deepcopy(loss), pickle.loads(pickle.dumps(loss))):  # noqa: S301
                same(found(other, z, y), expected, 1e-5)
            built = catalog.get(text).eval()
            repr(built)
            if state in ("float16", "float64"):
                # Public helpers and state follow the default dtype.
                same(found(built, z, y), expected, 5e-3 if state == "float16" else 1e-5)
            elif any(buffer.is_meta for buffer in built.buffers()):
                # An error, as from any module of torch; what it may not do is crash.
                with contextlib.suppress(NotImplementedError, RuntimeError, ValueError):
                    found(built, z, y)
            else:
                same(found(built, z, y), expected, 1e-5)
        # Back from the meta device a loss is what it was, though nobody has loaded anything.
        for gone in (built, loss):
            same(found(gone.to("meta").to_empty(device="cpu"), z, y), expected, 5e-3)


def main(state: str) -> None:
    torch.manual_seed(0)
    texts = examples() if WHOLE_GRID else examples()[STATES.index(state) :: len(STATES)]
    for turn, text in enumerate(texts):
        case = Case(text, target_kinds(call_of(text))[0], SHAPES[0])
        for path in PATHS if WHOLE_GRID else PATHS[turn % len(PATHS) :][:1]:
            try:
                check(case, state, path)
            except Exception as error:
                print(f"{case.id} {path}: {type(error).__name__}: {str(error)[:200]!r}")


if __name__ == "__main__":
    main(sys.argv[1])
