"""One worker process as the pool sees it: requests go in, answers and signs of life come out."""

import json
import os
import signal
import subprocess
import sys
import time
from collections.abc import Mapping, Sequence
from contextlib import suppress
from dataclasses import dataclass
from pathlib import Path
from queue import SimpleQueue
from threading import Thread
from typing import IO, Any

import numpy as np
import numpy.typing as npt

Arrays = Sequence[npt.NDArray[Any]]
UNANSWERED = ("data", "objects")
"""Kinds of requests that a worker keeps for those to come."""
NEED_DATA = ("trial", "final")
"""Kinds of requests that a worker needs the data for."""


@dataclass(frozen=True, eq=False)
class Request:
    """What a worker is asked, as JSON, with the arrays that follow it.

    `runs` names the losses and models whose code it makes the worker run.
    """

    content: Mapping[str, object]
    arrays: Arrays = ()
    runs: tuple[str, ...] = ()


@dataclass(frozen=True, eq=False)
class Event:
    """What a worker said: an answer, None for a sign of life; or that it has ended."""

    worker: "Worker"
    answer: Mapping[str, Any] | None = None
    ended: bool = False


class Worker:
    """A process with a thread that writes requests and reads answers."""

    def __init__(self, events: "SimpleQueue[Event]") -> None:
        self.busy: Request | None = None
        self.loaded = False
        self.handed = False
        self.ready = False
        self.hung = False
        self.why_killed: str | None = None
        self.last_sign = time.monotonic()
        self._process = _start()
        self._requests: SimpleQueue[Request] = SimpleQueue()
        self._events = events
        Thread(target=self._serve, daemon=True).start()

    def send(self, request: Request) -> None:
        """Ask for something; the answer comes as an event."""
        self.last_sign = time.monotonic()
        self._requests.put(request)

    def kill(self, why: str | None = None) -> None:
        """End the process and everything that it has started."""
        self.why_killed = self.why_killed or why
        if os.name == "posix":
            with suppress(ProcessLookupError, PermissionError):
                os.killpg(self._process.pid, signal.SIGKILL)
        self._process.kill()

    def wait(self) -> None:
        """Wait for its end, and close the pipes."""
        self._process.wait()
        for pipe in (self._process.stdin, self._process.stdout):
            if pipe is not None:
                with suppress(OSError):  # unsent data for a process that is gone
                    pipe.close()

    def stopped(self) -> bool:
        """Whether somebody has stopped the process, which then would never answer."""
        if not hasattr(os, "waitid"):
            return False
        options = os.WSTOPPED | os.WNOHANG | os.WNOWAIT
        with suppress(ChildProcessError):
            return os.waitid(os.P_PID, self._process.pid, options) is not None
        return False

    def epitaph(self) -> str:
        """How it ended, in words that follow "a worker process"."""
        if self.why_killed is not None:
            return self.why_killed
        try:
            code = self._process.wait(timeout=5)
        except subprocess.TimeoutExpired:
            self.kill()
            return "gave an answer that cannot be read"
        why = f"signal {-code}" if code < 0 else f"exit code {code}"
        hint = " (often: out of memory; try --workers 1)" if code == -9 else ""
        return f"ended unexpectedly with {why}{hint}"

    def _serve(self) -> None:
        stdin, stdout = self._process.stdin, self._process.stdout
        assert stdin is not None  # noqa: S101 - both are pipes
        assert stdout is not None  # noqa: S101
        try:
            self._read_answer(stdout, first=True)
            while True:
                request = self._requests.get()
                _write(stdin, request)
                if request.content["kind"] not in UNANSWERED:
                    self._read_answer(stdout)
        except (OSError, ValueError):
            self._events.put(Event(self, ended=True))  # a broken pipe, or no JSON

    def _read_answer(self, stdout: IO[bytes], *, first: bool = False) -> None:
        """Pass on signs of life up to the answer; before the first request there is none."""
        while True:
            line = stdout.readline()
            if not line.endswith(b"\n"):
                raise ValueError("the pipe has ended")
            answer = json.loads(line)
            alive = "alive" in answer
            self._events.put(Event(self, None if alive else answer))
            if first or not alive:
                return


def _start() -> "subprocess.Popen[bytes]":
    environment = {
        **os.environ,
        "OMP_NUM_THREADS": "1",
        "MKL_NUM_THREADS": "1",
        # The worker finds what this process finds, in the same order.
        "PYTHONPATH": os.pathsep.join(entry or str(Path.cwd()) for entry in sys.path),
    }
    return subprocess.Popen(
        [sys.executable, "-P", "-m", "taylored.lab.run.workers.worker"],
        stdin=subprocess.PIPE,
        stdout=subprocess.PIPE,
        stderr=None if _is_open(2) else subprocess.DEVNULL,
        env=environment,
        # Ctrl-C in the terminal is for the parent, which then closes the pipes.
        process_group=0 if os.name == "posix" else None,
    )


def _is_open(descriptor: int) -> bool:
    try:
        os.fstat(descriptor)
    except OSError:
        return False
    return True


def _write(pipe: IO[bytes], request: Request) -> None:
    header = {**request.content, "arrays": [[a.dtype.str, a.shape] for a in request.arrays]}
    pipe.write(json.dumps(header).encode() + b"\n")
    for array in request.arrays:  # raw bytes: numpy's own format wants files that can seek
        pipe.write(np.ascontiguousarray(array).data)
    pipe.flush()
