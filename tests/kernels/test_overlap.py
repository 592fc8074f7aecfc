"""The native sweeps of the overlap losses beside those in torch, for every instruction set."""

from __future__ import annotations

import itertools

import pytest
import torch

from kit.native import needs_native
from kit.overlap import kinds_of, target_of
from kit.tolerances import close
from taylored.core.overlap.batch import Batch, read_batch
from taylored.core.overlap.blocked import BLOCKED
from taylored.core.overlap.options import OverlapOptions
from taylored.kernels import NATIVE
from taylored.kernels.library import _FOLDER, Library, _load, _runnable
from taylored.kernels.overlap import NativeOverlap

CASES = [(link, kind) for link in ("softmax", "sigmoid") for kind in kinds_of(link)]


def libraries() -> list[Library]:
    found = [_load(_FOLDER / f"_native_{level}.so", level) for level in _runnable()]
    return [each for each in found if isinstance(each, Library)]


def batch_of(link: str, kind: str, shape: tuple[int, ...], average: str, dtype: str) -> Batch:
    generator = torch.Generator().manual_seed(0)
    logits = (3 * torch.randn(shape, generator=generator)).to(getattr(torch, dtype))
    target = target_of(kind, shape)
    target = target.float() if kind == "one-hot" else target
    lost = torch.rand((shape[0], *shape[2:]), generator=generator) < 0.2
    target = torch.where(lost.unsqueeze(1) if target.dim() == len(shape) else lost, -100, target)
    options = OverlapOptions(link=link, average=average)
    return read_batch(logits, target, options)


@needs_native
@pytest.mark.parametrize(("link", "kind"), CASES)
def test_every_instruction_set(link: str, kind: str) -> None:
    assert isinstance(NATIVE, Library)
    shapes = ((2, 3, 1000), (3, 37, 7, 5), (50, 4), (1, 2, 3))
    for shape, average, dtype in itertools.product(
        shapes, ("class", "sample"), ("float32", "float64", "bfloat16")
    ):
        given = batch_of(link, kind, shape, average, dtype)
        tolerance = 1e-9 if dtype == "float64" else 1e-5
        for squares in (False, True):
            sums = BLOCKED.sums(given, squares)
            grad = torch.linspace(-1, 1, sums.numel(), dtype=torch.float64).reshape(sums.shape)
            gradient = BLOCKED.gradient(given, grad)
            for library in libraries():
                native = NativeOverlap(library)
                assert native.accepts(given)
                close(native.sums(given, squares), sums, tolerance, tolerance)
                found = native.gradient(given, grad)
                assert found.dtype == given.logits.dtype
                step = 2**-7 if dtype == "bfloat16" else tolerance
                close(found, gradient, step, max(tolerance, 1e-4 * step))


@needs_native
def test_threads_and_samples_that_share_them() -> None:
    given = batch_of("softmax", "index", (3, 5, 7001), "sample", "float64")
    threads = torch.get_num_threads()
    try:
        found = []
        for count in (1, 3):
            torch.set_num_threads(count)
            native = NativeOverlap(libraries()[0])
            sums = native.sums(given, True)
            found.append((sums, native.gradient(given, torch.ones_like(sums))))
    finally:
        torch.set_num_threads(threads)
    (one, first), (other, second) = found
    close(one, other, 1e-12)
    assert torch.equal(first, second)
