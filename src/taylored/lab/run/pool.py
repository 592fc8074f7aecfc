"""A pool of worker processes with one torch thread each.

For models of this size, two processes with one thread each do twice the work of one process with
two threads. With one thread, the numbers of a trial do not depend on how many others run beside it.
"""

import json
import os
import subprocess
import sys
from collections import deque
from collections.abc import Iterator, Sequence
from contextlib import suppress
from dataclasses import dataclass
from pathlib import Path
from queue import SimpleQueue
from threading import Thread
from types import TracebackType
from typing import IO, Any, Self

import numpy as np
import numpy.typing as npt

from taylored.lab.data import Column, Features, Labels
from taylored.lab.errors import RunError
from taylored.lab.records import from_json, to_json
from taylored.lab.run.timed_trial import TimedTrial
from taylored.lab.trial.protocol import Protocol, TrialSpec


@dataclass(frozen=True, eq=False)
class Workload:
    """What every worker is sent once: protocol, data, and the part of each row for each seed."""

    protocol: Protocol
    features: Features
    labels: Labels
    parts: npt.NDArray[np.int8]
    columns: tuple[Column, ...]


class WorkerPool:
    """Worker processes; leaving the `with` block ends them, whatever they are doing."""

    def __init__(self, workers: int) -> None:
        self._workers = workers
        self._processes: list[subprocess.Popen[bytes]] = []
        self._loaded: set[int] = set()

    def __enter__(self) -> Self:
        return self

    def __exit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        traceback: TracebackType | None,
    ) -> None:
        for process in self._processes:
            process.kill()
        for process in self._processes:
            process.wait()
            for pipe in (process.stdin, process.stdout):
                if pipe is not None:
                    _close_quietly(pipe)

    def start(self) -> None:
        """Start the processes now, so that they import torch while the data are read."""
        while len(self._processes) < self._workers:
            self._processes.append(_start())

    def run(self, workload: Workload, specs: Sequence[TrialSpec]) -> Iterator[TimedTrial]:
        """Run trials and yield each as it ends. The order depends on timing, the numbers do not."""
        if not specs:
            return
        self.start()
        waiting = deque(specs)
        done: SimpleQueue[TimedTrial | RunError] = SimpleQueue()
        for process in self._processes[: len(specs)]:
            Thread(target=self._serve, args=(process, workload, waiting, done), daemon=True).start()
        for _ in specs:
            outcome = done.get()
            if isinstance(outcome, RunError):
                raise outcome
            yield outcome

    def _serve(
        self,
        process: "subprocess.Popen[bytes]",
        workload: Workload,
        waiting: "deque[TrialSpec]",
        done: "SimpleQueue[TimedTrial | RunError]",
    ) -> None:
        assert process.stdin is not None  # noqa: S101 - both are pipes
        assert process.stdout is not None  # noqa: S101
        try:
            if process.pid not in self._loaded:
                self._loaded.add(process.pid)
                _send(process.stdin, workload)
            while True:
                try:
                    spec = waiting.popleft()
                except IndexError:
                    return
                process.stdin.write(json.dumps(to_json(spec)).encode() + b"\n")
                process.stdin.flush()
                answer = process.stdout.readline()
                if not answer.endswith(b"\n"):
                    break
                done.put(_outcome(spec, json.loads(answer)))
        except (OSError, ValueError):
            pass  # a broken pipe, or an answer that cannot be read
        done.put(RunError(_ended(process)))


def _start() -> "subprocess.Popen[bytes]":
    environment = {
        **os.environ,
        "OMP_NUM_THREADS": "1",
        "MKL_NUM_THREADS": "1",
        # The worker finds what this process finds, in the same order.
        "PYTHONPATH": os.pathsep.join(entry or str(Path.cwd()) for entry in sys.path),
    }
    return subprocess.Popen(
        [sys.executable, "-P", "-m", "taylored.lab.run.worker"],
        stdin=subprocess.PIPE,
        stdout=subprocess.PIPE,
        env=environment,
        # Ctrl-C in the terminal is for the parent, which then closes the pipes.
        process_group=0 if os.name == "posix" else None,
    )


def _send(pipe: IO[bytes], workload: Workload) -> None:
    arrays: list[npt.NDArray[Any]] = [workload.features, workload.labels, workload.parts]
    header = {
        "protocol": to_json(workload.protocol),
        "columns": to_json(workload.columns),
        "arrays": [[array.dtype.str, array.shape] for array in arrays],
    }
    pipe.write(json.dumps(header).encode() + b"\n")
    for array in arrays:  # raw bytes: numpy's own format wants files that can seek
        pipe.write(np.ascontiguousarray(array).data)
    pipe.flush()


def _outcome(spec: TrialSpec, answer: dict[str, object]) -> TimedTrial | RunError:
    if "error" in answer:
        return RunError(f"loss {spec.loss!r} failed at seed {spec.seed}: {answer['error']}")
    return from_json(TimedTrial, answer, "the answer")


def _ended(process: "subprocess.Popen[bytes]") -> str:
    try:
        code = process.wait(timeout=5)
    except subprocess.TimeoutExpired:
        process.kill()
        return "a worker process gave an answer that cannot be read."
    why = f"signal {-code}" if code < 0 else f"exit code {code}"
    hint = " (often: out of memory; try --workers 1)" if code == -9 else ""
    return f"a worker process ended unexpectedly with {why}{hint}."


def _close_quietly(pipe: IO[bytes]) -> None:
    with suppress(OSError):  # unsent data for a process that is gone
        pipe.close()
