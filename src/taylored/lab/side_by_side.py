"""Work on several losses at once, with numbers that do not depend on how many processors there are.

Torch splits a long sum over its threads, so that the last digit depends on their number. Here every
loss is worked on by one thread.
"""

import os
import sys
from collections.abc import Callable, Iterable, Iterator
from concurrent.futures import ThreadPoolExecutor
from contextlib import contextmanager
from typing import TypeVar

import torch

Item = TypeVar("Item")
Result = TypeVar("Result")


@contextmanager
def one_thread() -> Iterator[None]:
    """Torch uses one thread inside; before and after, as many as it was told to."""
    before = torch.get_num_threads()
    torch.set_num_threads(1)
    try:
        yield
    finally:
        torch.set_num_threads(before)


def side_by_side(work: Callable[[Item], Result], items: Iterable[Item]) -> list[Result]:
    """The result of every item in their order, of as many at once as there are processors.

    Threads are enough: the work on large arrays happens outside of Python's lock.
    """
    with one_thread(), ThreadPoolExecutor(_processors()) as threads:
        return [*threads.map(work, items)]


def _processors() -> int:
    if sys.platform == "linux":
        return len(os.sched_getaffinity(0))
    return os.cpu_count() or 1
