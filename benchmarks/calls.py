"""What a call costs: compiled, in small batches, and with options, beside the plain call.

    python benchmarks/calls.py compiled    # a compiled step over an eager one
    python benchmarks/calls.py small       # microseconds of small batches, on each executor
    python benchmarks/calls.py options     # large batches with a bias, smoothing or a state

Forward and backward in one thread, CPU seconds, the least of many rounds in which all take turns:
only ratios within a row mean anything on a machine with other work.
"""

from __future__ import annotations

import argparse
import functools
import time
from collections.abc import Callable, Mapping

import torch
import torch.nn.functional as F
from tables import table
from torch import Tensor
from works import available

import taylored
from taylored.core.engine import executors

Loss = Callable[[Tensor, Tensor], Tensor]
Shape = tuple[int, ...]

SHAPES: dict[str, tuple[str, Shape]] = {
    "Poly-1": ("poly", (65_536, 100)),
    "Poly-1, many classes": ("poly", (8_192, 1_000)),
    "label smoothing": ("cross_entropy(label_smoothing=0.1)", (65_536, 100)),
    "sigmoid focal": ('focal(link="sigmoid")', (50_000, 80)),
    "segmentation": ("focal(gamma=2, ignore_index=255)", (4, 21, 256, 256)),
    "few": ("poly", (64, 10)),
}
SMALL = (
    "cross_entropy",
    "focal",
    "balanced_softmax",
    "softmax_eql",
    "binary_cross_entropy",
    "sigmoid_eql",
    "equalization(threshold=0.001)",
)
OPTIONS = {
    "a bias per class": ("balanced_softmax", "cross_entropy"),
    "a bias that is a state": ("softmax_eql", "balanced_softmax"),
    "weights that are a state": ("sigmoid_eql", "binary_cross_entropy"),
    "label smoothing": ("cross_entropy(label_smoothing=0.1)", "cross_entropy"),
}


def drawn(shape: Shape) -> tuple[Tensor, Tensor]:
    torch.manual_seed(0)
    target = torch.randint(0, shape[1], (shape[0], *shape[2:]))
    return torch.randn(shape, requires_grad=True), target


def least(losses: Mapping[str, Loss], z: Tensor, y: Tensor, rounds: int) -> dict[str, float]:
    """The least CPU seconds of each; the first two rounds compile."""
    found = dict.fromkeys(losses, float("inf"))
    for number in range(rounds + 2):
        for name, loss in losses.items():
            start = time.process_time()
            torch.autograd.grad(loss(z, y), z)
            if number > 1:
                found[name] = min(found[name], time.process_time() - start)
    return found


def compiled() -> str:
    rows = []
    for what, (text, shape) in SHAPES.items():
        loss = taylored.get(text)
        losses: dict[str, Loss] = {
            "eager": loss,
            "compiled": torch.compile(loss, fullgraph=True, dynamic=False),
            "torch": torch.compile(F.cross_entropy, dynamic=False),
        }
        z, y = drawn(shape)
        spent = least(losses, z, y, 500 if z.numel() < 1 << 14 else 15)
        ratio = f"{spent['compiled'] / spent['eager']:.2f}"
        peer = f"{spent['torch'] / spent['compiled']:.2f}"
        rows.append([what, " x ".join(map(str, shape)), ratio, peer])
    header = ["loss", "shape", "compiled / eager", "compiled torch cross-entropy / compiled"]
    return table(header, rows, 2)


def small() -> str:
    ways = available(("native", "blocked"))
    rows = []
    for shape in ((64, 10), (256, 1_000)):
        counts = [10] * shape[1]
        losses: dict[str, Loss] = {"torch cross-entropy": F.cross_entropy}
        for text in SMALL:
            loss = taylored.get(text, counts=counts)
            losses |= {f"{text}, {way}": on(way, loss) for way in ways}
        z, y = drawn(shape)
        spent = least(losses, z, y, 1_000)
        spent |= dense(z)
        rows += [[" x ".join(map(str, shape)), name, f"{1e6 * s:.0f}"] for name, s in spent.items()]
    return table(["shape", "loss", "us"], rows, 2)


def dense(z: Tensor) -> dict[str, float]:
    """The same with one truth per element, ours beside torch's."""
    soft = torch.softmax(torch.randn(z.shape), 1)
    pairs: tuple[tuple[str, Loss, Tensor], ...] = (
        ("cross_entropy", F.cross_entropy, soft),
        ("binary_cross_entropy", F.binary_cross_entropy_with_logits, (soft > 0.05).float()),
    )
    spent: dict[str, float] = {}
    for text, peer, y in pairs:
        losses = {f"{text}, one truth per element": taylored.get(text), f"torch's {text}": peer}
        spent |= least(losses, z, y, 1_000)
    return spent


def on(way: str, loss: Loss) -> Loss:
    """The loss on one executor; switching takes a microsecond."""

    def call(z: Tensor, y: Tensor) -> Tensor:
        with executors.only(way):
            return loss(z, y)

    return call


def options() -> str:
    rows = []
    for shape in ((8_192, 1_000), (65_536, 100)):
        counts = list(range(1, shape[1] + 1))
        z, y = drawn(shape)
        for what, (text, plain) in OPTIONS.items():
            losses: dict[str, Loss] = {
                "with": taylored.get(text, counts=counts),
                "without": taylored.get(plain, counts=counts),
            }
            if what == "label smoothing":
                smoothed = functools.partial(F.cross_entropy, label_smoothing=0.1)
                losses["torch"] = torch.compile(smoothed, dynamic=False)
            spent = least(losses, z, y, 30)
            peer = f"{spent['with'] / spent['torch']:.2f}" if "torch" in spent else "-"
            ratio = f"{spent['with'] / spent['without']:.2f}"
            rows.append([what, text, " x ".join(map(str, shape)), ratio, peer])
    header = ["option", "loss", "shape", "with / without", "ours / compiled torch"]
    return table(header, rows, 3)


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    tables = {"compiled": compiled, "small": small, "options": options}
    parser.add_argument("what", choices=tables)
    torch.set_num_threads(1)
    print(tables[parser.parse_args().what]())


if __name__ == "__main__":
    main()
