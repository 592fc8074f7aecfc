"""A training step of our losses on a GPU: Triton's kernels, the compiler's, and other libraries'.

    python benchmarks/gpu.py                          # all rows, float32 and bfloat16
    python benchmarks/gpu.py --only "focal" --dtypes bfloat16
    TRITON_INTERPRET=1 python benchmarks/gpu.py --small    # no card: whether the script runs

Forward and backward, by the median of `triton.testing.do_bench`, which empties the cache before
each step. "Of the copy" is the time of copying the logits over that of the step, which has to
read the logits and to write the gradient once. Memory is the peak over what was there before, in
multiples of the logits; the gradient is one of them. What is not installed is skipped.
"""

from __future__ import annotations

import argparse
import time
from collections.abc import Callable
from contextlib import AbstractContextManager, nullcontext
from dataclasses import dataclass

import torch
import torch.nn.functional as F
from peers import Loss, installed, torchvision_focal
from tables import number, table
from torch import Tensor

import taylored
from taylored.core.engine import executors
from taylored.kernels.triton.executor import Triton, device_type

DTYPES = {"float32": torch.float32, "bfloat16": torch.bfloat16}
FOCAL = 'focal(gamma=2, link="sigmoid", alpha=0.25)'
ROWS: dict[str, tuple[str, tuple[tuple[int, ...], ...]]] = {
    "cross-entropy": ("cross_entropy", ((65_536, 10), (65_536, 100), (8_192, 1_000),
                                        (4_096, 32_000), (2_048, 256_000), (8, 21, 512, 512))),
    "Poly-1": ("poly", ((65_536, 100), (8_192, 1_000), (8, 21, 512, 512))),
    "label smoothing": ("cross_entropy(label_smoothing=0.1)", ((65_536, 100), (8_192, 1_000))),
    "softmax_eql": ("softmax_eql", ((65_536, 100), (8_192, 1_000))),
    "sigmoid focal": (FOCAL, ((200_000, 80), (8, 21, 512, 512))),
}  # fmt: skip
SMALL = ((8, 5), (2, 3, 4, 4))


@dataclass(frozen=True)
class Row:
    """A loss on a shape."""

    name: str
    text: str
    shape: tuple[int, ...]
    dtype: torch.dtype

    def drawn(self) -> tuple[Tensor, Tensor]:
        """Logits and target."""
        torch.manual_seed(0)
        z = torch.randn(self.shape, dtype=torch.float32).to(device_type(), self.dtype)
        y = torch.randint(0, self.shape[1], (self.shape[0], *self.shape[2:]))
        if "sigmoid" in self.text:
            y = F.one_hot(y, self.shape[1]).movedim(-1, 1).to(self.dtype)
        return z.requires_grad_(), y.to(device_type())


def contestants(row: Row) -> dict[str, tuple[Loss, AbstractContextManager[None]]]:
    """Who runs, and among which executors."""
    ours = taylored.get(row.text, counts=[10] * row.shape[1]).to(device_type())
    found: dict[str, tuple[Loss, AbstractContextManager[None]]] = {
        "ours, triton": (ours, executors.only("triton")),
        "ours, whole": (ours, executors.only("whole")),
        "ours, compiled": (torch.compile(ours), executors.only("whole")),
    }
    peers: dict[str, Loss] = {}
    if row.name in ("cross-entropy", "label smoothing"):
        smoothing = 0.1 if row.name == "label smoothing" else 0.0
        peers["torch"] = lambda x, y: F.cross_entropy(x, y, label_smoothing=smoothing)
        if len(row.shape) == 2 and installed("liger-kernel"):
            from liger_kernel.transformers import LigerCrossEntropyLoss

            peers["Liger"] = LigerCrossEntropyLoss(label_smoothing=smoothing)
        if len(row.shape) == 2 and smoothing == 0.0 and installed("quack-kernels"):
            from quack import cross_entropy as quack

            peers["quack"] = lambda x, y: quack(x, y).mean()
    if row.name == "sigmoid focal" and installed("torchvision"):
        peers["torchvision"] = torchvision_focal()
    for name, loss in peers.items():
        found[name] = (loss, nullcontext())
        if name in ("torch", "torchvision"):
            found[f"{name}, compiled"] = (torch.compile(loss), nullcontext())
    return found


def milliseconds(work: Callable[[], object]) -> float:
    if device_type() == "cpu":
        start = time.perf_counter()
        work()
        return (time.perf_counter() - start) * 1e3
    from triton.testing import do_bench

    return float(do_bench(work, warmup=100, rep=300, return_mode="median"))


def peak(work: Callable[[], object], logits: Tensor) -> float | None:
    if device_type() == "cpu":
        return None
    work()
    torch.cuda.synchronize()
    torch.cuda.reset_peak_memory_stats()
    before = torch.cuda.memory_allocated()
    work()
    torch.cuda.synchronize()
    return (torch.cuda.max_memory_allocated() - before) / (logits.numel() * logits.element_size())


def lines(row: Row) -> list[list[str]]:
    z, y = row.drawn()
    flat = z.detach()
    copying = milliseconds(flat.clone)
    found = []
    for who, (loss, asked) in contestants(row).items():

        def step(loss: Loss = loss) -> Tensor:
            return torch.autograd.grad(loss(z, y), z)[0]

        with asked:
            ms, extra = milliseconds(step), peak(step, flat)
        found.append((ms, who, extra))
    fastest = min(ms for ms, who, _ in found if who.startswith("ours"))
    shape, dtype = " x ".join(f"{size:,}" for size in row.shape), str(row.dtype)[6:]
    return [
        [row.name, shape, dtype, who, number(ms), f"{ms / fastest:.2f}", f"{copying / ms:.0%}",
         number(extra)]
        for ms, who, extra in sorted(found)
    ]  # fmt: skip


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--only", default="", help="rows whose name contains this")
    parser.add_argument("--dtypes", default=",".join(DTYPES))
    parser.add_argument("--small", action="store_true", help="tiny shapes")
    options = parser.parse_args()
    if device_type() == "cuda" and not torch.cuda.is_available():
        parser.error("no GPU here; TRITON_INTERPRET=1 with --small tries the script without one")
    executors.register(Triton(device_type()))
    if device_type() == "cuda":
        print(torch.cuda.get_device_name(), "torch", torch.__version__)
    header = ["loss", "shape", "dtype", "who", "ms", "of our fastest", "of the copy", "peak"]
    found = []
    for name, (text, shapes) in ROWS.items():
        for shape in SMALL if options.small else shapes:
            if options.only in name:
                for dtype in options.dtypes.split(","):
                    found += lines(Row(name, text, shape, DTYPES[dtype]))
    print(table(header, found, 4))


if __name__ == "__main__":
    main()
