"""A pool of worker processes with one torch thread each.

For models of this size, two processes with one thread each do twice the work of one process with
two threads. With one thread, the numbers of a trial do not depend on how many others run beside it.
"""

import os
import sys
import time
from collections import deque
from collections.abc import Mapping
from dataclasses import dataclass
from queue import Empty, SimpleQueue
from types import TracebackType
from typing import Any, Self

import numpy as np

from taylored.lab.errors import RunError
from taylored.lab.own.code import is_own
from taylored.lab.own.objects import Objects
from taylored.lab.run.workers.isolated import FORKS
from taylored.lab.run.workers.process import NEED_DATA, Event, Request, Worker

TIME_LIMIT = 300.0
"""Seconds without a finished step after which a trial counts as hanging."""

MAX_WORKERS = 8  # each holds torch and the data in memory
_LOOK_EVERY = 1.0


@dataclass(frozen=True, eq=False)
class Reply:
    """What came of a request: an answer, or why the process that had it is gone.

    The fault lies outside of the request where `lost` is True; it may be sent again.
    """

    request: Request
    answer: Mapping[str, Any] | None = None
    failed: str | None = None
    lost: bool = False


class WorkerPool:
    """Worker processes; leaving the `with` block ends them, whatever they are doing."""

    def __init__(self, workers: int, time_limit: float | None = None) -> None:
        self._most = workers
        self._limit = TIME_LIMIT if time_limit is None else time_limit
        self._workers: list[Worker] = []
        self._waiting: deque[Request] = deque()
        self._events: SimpleQueue[Event] = SimpleQueue()
        self._data: Request | None = None
        self._objects: Request | None = None

    def __enter__(self) -> Self:
        return self

    def __exit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        traceback: TracebackType | None,
    ) -> None:
        for worker in self._workers:
            worker.kill()
        for worker in self._workers:
            worker.wait()

    def start(self) -> None:
        """Start the processes now, so that they import torch while the data are read."""
        while len(self._workers) < self._most:
            self._workers.append(Worker(self._events))

    def load(self, data: Request) -> None:
        """The data that every worker gets before its next trial, in place of any before."""
        self._data = data
        for worker in self._workers:
            worker.loaded = False

    def hand_over(self, objects: Objects) -> None:
        """The objects that the names in later requests stand for."""
        if not objects:
            return
        about = {
            "kind": "objects",
            "names": list(objects),
            "digests": [packed.digest for packed in objects.values()],
        }
        contents = [np.frombuffer(packed.content, np.uint8) for packed in objects.values()]
        self._objects = Request(about, contents)

    @property
    def idle(self) -> int:
        """How many more requests could be worked on now."""
        busy = sum(worker.busy is not None for worker in self._workers)
        return self._most - busy - len(self._waiting)

    def submit(self, request: Request) -> None:
        """Ask for something; `next` gives the reply."""
        self._waiting.append(request)
        self._hand_out()

    def next(self, timeout: float) -> Reply | None:
        """The next reply, or None if there was none for `timeout` seconds."""
        until = time.monotonic() + timeout
        while True:
            left = until - time.monotonic()
            try:
                event = self._events.get(timeout=max(0.0, min(left, _LOOK_EVERY)))
            except Empty:
                self._look()
                if left <= 0:
                    return None
                continue
            if reply := self._heard(event):
                self._hand_out()
                return reply

    def _hand_out(self) -> None:
        while self._waiting:
            worker = next((each for each in self._workers if each.busy is None), None)
            if worker is None:
                if len(self._workers) >= self._most:
                    return
                worker = Worker(self._events)
                self._workers.append(worker)
            request = self._waiting.popleft()
            if not worker.handed and self._objects is not None:
                worker.send(self._objects)
                worker.handed = True
            if (
                request.content["kind"] in NEED_DATA
                and not worker.loaded
                and self._data is not None
            ):
                worker.send(self._data)
                worker.loaded = True
            worker.busy = request
            worker.send(request)

    def _heard(self, event: Event) -> Reply | None:
        """What an event means for the request that its worker had."""
        worker = event.worker
        worker.last_sign = time.monotonic()
        if event.ended:
            return self._ended(worker)
        worker.ready = True
        if event.answer is None:
            return None
        request, worker.busy = worker.busy, None
        assert request is not None  # noqa: S101 - an answer follows a request
        if not FORKS and any(map(is_own, request.runs)):  # in the process of the worker
            self._workers.remove(worker)
            worker.kill()
            worker.wait()
        for word, lost in (("failed", False), ("lost", True)):
            if word in event.answer:
                return Reply(request, failed=event.answer[word], lost=lost)
        return Reply(request, answer=event.answer)

    def _ended(self, worker: Worker) -> Reply | None:
        why = worker.epitaph()
        worker.kill()
        worker.wait()
        self._workers.remove(worker)
        if not worker.ready:
            raise RunError(f"a worker process {why} while it started.")
        if worker.busy is None:
            return None
        return Reply(worker.busy, failed=f"its process {why}", lost=not worker.hung)

    def _look(self) -> None:
        """End workers that will never answer: their threads then report the end."""
        now = time.monotonic()
        for worker in self._workers:
            if worker.busy is None or worker.why_killed is not None:
                continue
            if worker.stopped():
                worker.kill("was stopped by a signal, and ended for it")
            elif worker.ready and now - worker.last_sign > self._limit:
                worker.hung = True
                worker.kill(f"did not finish a step in {self._limit:g} s, and was ended for it")


def default_workers() -> int:
    """One process for each processor that this process may use, at most 8."""
    if sys.platform == "linux":
        return min(len(os.sched_getaffinity(0)), MAX_WORKERS)
    return min(os.cpu_count() or 1, MAX_WORKERS)
