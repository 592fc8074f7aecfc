"""What needs a process of its own, one after the other: `python worker_process.py FOLDER NAME...`.

Each is about threads: those of the process are counted, or lost in a fork. What went wrong is
written to FOLDER/NAME, which is empty if all is well and missing if it was not reached.
"""

from __future__ import annotations

import multiprocessing
import os
import sys
import threading
import traceback
from pathlib import Path

import torch
from torch import Tensor

from taylored import PolyLoss
from taylored.core.engine.executors import asked

LARGE = (4000, 100)
"""Enough work for several threads."""


def call(seed: int = 0, shape: tuple[int, int] = LARGE) -> tuple[Tensor, Tensor]:
    generator = torch.Generator().manual_seed(seed)
    x = torch.randn(shape, generator=generator).requires_grad_()
    y = torch.randint(shape[1], shape[:1], generator=generator)
    value = PolyLoss()(x, y)
    (gradient,) = torch.autograd.grad(value, x)
    return value.detach(), gradient


def same(left: tuple[Tensor, Tensor], right: tuple[Tensor, Tensor]) -> bool:
    return all(torch.equal(a, b) for a, b in zip(left, right, strict=True))


def tasks() -> int:
    return len(os.listdir("/proc/self/task"))  # noqa: PTH208


def one_thread() -> None:
    torch.set_num_threads(1)
    call(shape=(10, 10))  # autograd and torch start what they start
    before = tasks()
    call()
    assert tasks() == before, (before, tasks())


def the_threads_of_torch() -> None:
    torch.set_num_threads(2)
    x = torch.randn(2000, 2000)
    (x * 2).exp().sum()  # torch's own team
    call(shape=(10, 10))
    before = tasks()
    for _ in range(5):
        call()
    assert tasks() == before, (before, tasks())
    maps = Path("/proc/self/maps").read_text()
    runtimes = {line.split()[-1] for line in maps.splitlines() if "omp" in line.split("/")[-1]}
    assert len(runtimes) <= 1, runtimes


def more_threads_do_more() -> None:
    """The number of threads is honoured: two of them share the processor time of the work."""
    shape = (40_000, 200)
    x = torch.randn(shape)
    y = torch.randint(shape[1], shape[:1])
    loss = PolyLoss()
    loss(x, y)
    torch.set_num_threads(2)
    (x * 2).sum()
    started = {task: spent(task) for task in os.listdir("/proc/self/task")}  # noqa: PTH208
    for _ in range(20):
        loss(x, y)
    worked = sum(spent(task) > ticks + 1 for task, ticks in started.items())
    assert worked == 2, worked
    torch.set_num_threads(1)
    started = {task: spent(task) for task in started}
    for _ in range(20):
        loss(x, y)
    # Threads of a team wait for work in a loop for a moment.
    worked = sum(spent(task) > ticks + 3 for task, ticks in started.items())
    assert worked == 1, worked


def spent(task: str) -> int:
    """Processor time of a thread in ticks."""
    fields = Path(f"/proc/self/task/{task}/stat").read_text().rsplit(")", 1)[1].split()
    return int(fields[11]) + int(fields[12])


def fork() -> None:
    torch.set_num_threads(2)
    expected = call()  # the team exists, and is not there in the child
    child = os.fork()
    if child == 0:
        os._exit(0 if close(call(), expected) else 1)
    assert os.waitpid(child, 0)[1] == 0
    assert same(call(), expected)


def close(left: tuple[Tensor, Tensor], right: tuple[Tensor, Tensor]) -> bool:
    # Number by number: in a forked child torch's functions would wait for its lost threads.
    pairs = zip(left, right, strict=True)
    numbers = [(a.flatten()[:50].tolist(), b.flatten()[:50].tolist()) for a, b in pairs]
    return all(abs(x - y) < 1e-6 for a, b in numbers for x, y in zip(a, b, strict=True))


class Losses(torch.utils.data.Dataset):
    """Losses computed where the data is loaded."""

    def __len__(self) -> int:
        return 8

    def __getitem__(self, index: int) -> Tensor:
        return call(index)[0]


def data_loader_workers() -> None:
    torch.set_num_threads(2)
    expected = [call(index)[0] for index in range(8)]
    loader = torch.utils.data.DataLoader(
        Losses(), batch_size=None, num_workers=2, multiprocessing_context="fork"
    )
    torch.testing.assert_close(list(loader), expected)
    with multiprocessing.get_context("fork").Pool(2) as pool:
        torch.testing.assert_close([v.item() for v in expected], pool.map(item, range(8)))


def item(index: int) -> float:
    return call(index)[0].item()


def threads_side_by_side() -> None:
    torch.set_num_threads(2)
    shapes = [(64, 10), LARGE, (300, 1000), (64, 10)]
    expected = [call(seed, shape) for seed, shape in enumerate(shapes)]
    wrong: list[int] = []

    def work(seed: int) -> None:
        torch.set_num_threads(2)
        for _ in range(30):
            if not same(call(seed, shapes[seed]), expected[seed]):
                wrong.append(seed)

    workers = [threading.Thread(target=work, args=(seed,)) for seed in range(len(shapes))]
    for worker in workers:
        worker.start()
    for worker in workers:
        worker.join()
    assert not wrong, wrong


def main(folder: Path, names: list[str]) -> None:
    assert asked()[0] == os.environ.get("EXPECTED_EXECUTOR", "native"), asked()
    for name in names:
        said = ""
        try:
            globals()[name]()
        except Exception:
            said = traceback.format_exc()
        (folder / name).write_text(said)


if __name__ == "__main__":
    main(Path(sys.argv[1]), sys.argv[2:])
