"""One process for each trial, so that nothing the user's code does reaches the next one.

On Linux the worker, which has imported everything and has never run a line of the user's, forks: a
copy costs milliseconds. Elsewhere the trial runs in the worker itself, and the pool replaces a
worker that has run the user's code.
"""

import ctypes
import json
import math
import os
import select
import signal
import struct
import sys
import time
from collections.abc import Callable, Mapping
from mmap import mmap
from typing import IO, Any

from taylored.lab.errors import UsageError, described

Answer = Mapping[str, object]
Beat = Callable[[], object]
Work = Callable[[Beat], Answer]
"""What to do; it is given a function to call after every step."""

FORKS = sys.platform == "linux"
_LOOK_EVERY = 1.0  # seconds
_FROM_OUTSIDE = (signal.SIGKILL, signal.SIGTERM) if sys.platform != "win32" else ()


def answer_of(work: Work, beat: Beat) -> str:
    """What the work returns as one line of JSON; what goes wrong is an answer too."""
    try:
        answer = work(beat)
        if where := _not_finite(answer):
            answer = {"failed": f"its record holds a number that is not finite: {where}"}
    except UsageError as error:
        answer = {"failed": str(error)}
    except BaseException as error:  # the user's loss or model may raise anything
        answer = {"failed": described(error)}
    return json.dumps(answer, allow_nan=False) + "\n"


def forked(work: Work, beat: Beat, requests: IO[bytes]) -> str:
    """The answer of a copy of this process, or how the copy ended without one."""
    clock = mmap(-1, 8)
    reading, writing = os.pipe()
    for stream in (sys.stdout, sys.stderr):
        stream.flush()
    parent, child = os.getpid(), os.fork()
    if child == 0:
        _be_child(work, clock, parent, reading, writing)
    os.close(writing)
    try:
        return _await(child, clock, reading, beat, requests)
    finally:
        os.close(reading)
        _end(child)


def _be_child(work: Work, clock: mmap, parent: int, reading: int, writing: int) -> None:
    """Do the work and leave, without any of the parent's clean-up."""
    try:
        _die_with(parent)
        os.close(reading)
        os.dup2(os.open(os.devnull, os.O_RDONLY), 0)

        def beat() -> None:
            struct.pack_into("d", clock, 0, time.monotonic())

        answer = memoryview(answer_of(work, beat).encode())
        while answer:
            answer = answer[os.write(writing, answer) :]
    finally:
        os._exit(0)


def _die_with(parent: int) -> None:
    """Let the kernel end this process when its parent ends, even by SIGKILL."""
    set_signal_of_parents_death = 1
    ctypes.CDLL(None).prctl(set_signal_of_parents_death, signal.SIGKILL)
    if os.getppid() != parent:
        os._exit(0)


def _await(child: int, clock: mmap, reading: int, beat: Beat, requests: IO[bytes]) -> str:
    """Pass heartbeats on until there is an answer or the child has ended."""
    received, seen = bytearray(), 0.0
    while not received.endswith(b"\n"):
        asked = requests.fileno()
        ready, _, _ = select.select([reading, asked], [], [], _LOOK_EVERY)
        if asked in ready:  # nothing is asked before the answer: the pool has closed the pipe
            os._exit(0)
        if reading in ready:
            piece = os.read(reading, 1 << 16)
            received += piece
            if not piece:
                break
            continue
        (now,) = struct.unpack_from("d", clock, 0)
        if now != seen:
            seen = now
            beat()
        ended, status = os.waitpid(child, os.WNOHANG | os.WUNTRACED)
        if ended and os.WIFSTOPPED(status):
            return json.dumps({"lost": _name(os.WSTOPSIG(status), "was stopped by")}) + "\n"
        if ended:  # its own children may keep the pipe open
            return _without_answer(status)
    if received.endswith(b"\n"):
        return received.decode()
    return _without_answer(os.waitpid(child, 0)[1])


def _without_answer(status: int) -> str:
    code = os.waitstatus_to_exitcode(status)
    if code >= 0:
        answer = {"failed": f"it ended the process with exit code {code}"}
    elif -code in _FROM_OUTSIDE:
        hint = " (often: out of memory; try --workers 1)" if -code == signal.SIGKILL else ""
        answer = {"lost": f"{_name(-code, 'was ended by')}{hint}"}
    else:
        answer = {"failed": f"the process {_name(-code, 'was ended by')}"}
    return json.dumps(answer) + "\n"


def _name(number: int, what: str) -> str:
    try:
        return f"{what} signal {number}, {signal.Signals(number).name}"
    except ValueError:
        return f"{what} signal {number}"


def _end(child: int) -> None:
    try:
        os.kill(child, signal.SIGKILL)
        os.waitpid(child, 0)
    except (ProcessLookupError, ChildProcessError):
        pass  # it has ended, and was waited for


def _not_finite(value: Any, where: str = "") -> str:
    """Where in an answer a number is NaN or infinite; empty if nowhere."""
    if isinstance(value, float):
        return "" if math.isfinite(value) else f"{where.lstrip('.')} is {value}"
    items: Any = ()
    if isinstance(value, Mapping):
        items = ((f"{where}.{key}", item) for key, item in value.items())
    elif isinstance(value, list | tuple):
        items = ((f"{where}[{index}]", item) for index, item in enumerate(value))
    return next((found for path, item in items if (found := _not_finite(item, path))), "")
