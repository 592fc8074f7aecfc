"""Asking the questions in a process of its own, which may exit, hang or crash."""

from __future__ import annotations

import json
import pickle
import queue
import signal
import subprocess
import sys
import tempfile
import threading
from collections.abc import Iterator
from dataclasses import dataclass, replace
from importlib.util import find_spec
from typing import Any

from taylored.doctor.finding import Finding
from taylored.doctor.here import LOADING, Asked
from taylored.doctor.recipe import LossFunction
from taylored.doctor.target import TargetError
from taylored.doctor.worker import Request

START = 120.0
"""Seconds that the process may take to import everything, besides the time limit."""

_MOST = 5
"""Processes that may die before the rest is given up."""


@dataclass(frozen=True)
class Answer:
    """What one check found."""

    check: str
    form: str
    findings: tuple[Finding, ...]


def packed(loss: LossFunction) -> bytes | None:
    """The loss as it travels to another process, by value where that has no such module."""
    try:
        import cloudpickle
    except ModuleNotFoundError:
        try:
            return pickle.dumps(loss)
        except Exception:  # the user's class may do anything here
            return None
    made = loss if hasattr(loss, "__module__") and hasattr(loss, "__qualname__") else type(loss)
    module = sys.modules.get(made.__module__)
    by_value = module is not None and module.__name__ != "__main__" and not _importable(module)
    try:
        if by_value:
            cloudpickle.register_pickle_by_value(module)
        return cloudpickle.dumps(loss)  # type: ignore[no-any-return]
    except Exception:  # the same
        return None
    finally:
        if by_value:
            cloudpickle.unregister_pickle_by_value(module)


def _importable(module: Any) -> bool:
    try:
        spec = find_spec(module.__name__)
    except (ImportError, ValueError):
        return False
    return spec is not None and spec.origin == getattr(module, "__file__", spec.origin)


def answers_apart(request: Request, limit: float) -> Iterator[Answer]:
    """The answers, and a finding for each check in which the process died or hung."""
    asked: Asked = request.asked
    done: list[str] = []
    for _ in range(_MOST):
        current, snippet = "starting", ""
        with _Process(replace(request, asked=asked)) as process:
            for line in process.lines(limit):
                if "usage" in line:
                    raise TargetError(line["usage"])
                if "done" in line:
                    findings = tuple(Finding(**each) for each in line["findings"])
                    yield Answer(line["done"], line["form"], findings)
                    done.append(line["done"])
                    current = ""
                else:
                    current, snippet = line["check"], line["snippet"]
            code, last = process.ended()
        if code == 0:
            return
        yield Answer(current, "", (_died(current, snippet, code, last, limit),))
        if current in ("", "starting", "importing", LOADING, "call"):
            return
        asked = replace(asked, without=(*asked.without, *done, current))


def _died(check: str, snippet: str, code: int | None, last: str, limit: float) -> Finding:
    where = f"while it is asked: {check}"
    evidence: dict[str, float | str] = {"check": check}
    if last:
        evidence["last words"] = last
    if code is None:
        return Finding(
            "hangs", "error", f"It does not come back within {limit:g} seconds, {where}.",
            "Look for loops that wait for a value, locks, and collectives without a group.",
            evidence, snippet, check,
        )  # fmt: skip
    if code < 0:
        name = signal.Signals(-code).name if -code in list(signal.Signals) else str(-code)
        return Finding(
            "crashes", "error", f"It ends the process by {name}, {where}.",
            "Look at native code: indices that are not checked, pointers of tensors that are not "
            "contiguous or not on the CPU.",
            {**evidence, "signal": name}, snippet, check,
        )  # fmt: skip
    return Finding(
        "exits", "error", f"It ends the process with exit code {code}, {where}.",
        "Raise an error instead of os._exit, sys.exit or abort.",
        {**evidence, "exit code": code}, snippet, check,
    )  # fmt: skip


class _Process:
    """A worker, its answers, and how it ended."""

    def __init__(self, request: Request) -> None:
        self._request = request
        self._hung = False

    def __enter__(self) -> _Process:
        self._errors = tempfile.TemporaryFile()
        self._process = subprocess.Popen(
            [sys.executable, "-m", "taylored.doctor.worker"],
            stdin=subprocess.PIPE,
            stdout=subprocess.PIPE,
            stderr=self._errors,
        )
        self._queue: queue.Queue[dict[str, Any] | None] = queue.Queue()
        threading.Thread(target=self._read, daemon=True).start()
        try:
            if self._process.stdin is not None:
                with self._process.stdin as stream:
                    pickle.dump((sys.path, pickle.dumps(self._request)), stream)
        except OSError:
            pass  # it is gone already; how is asked below
        return self

    def __exit__(self, *_: object) -> None:
        self._process.kill()
        self._process.wait()
        self._errors.close()

    def _read(self) -> None:
        if self._process.stdout is not None:
            for line in self._process.stdout:
                self._queue.put(json.loads(line))
        self._queue.put(None)

    def lines(self, limit: float) -> Iterator[dict[str, Any]]:
        """Its lines, until it ends or says nothing for too long."""
        wait = START + limit
        while True:
            try:
                line = self._queue.get(timeout=wait)
            except queue.Empty:
                self._hung = True
                return
            if line is None:
                return
            wait = limit
            yield line

    def ended(self) -> tuple[int | None, str]:
        """Exit code (None where it hung) and the last line of its errors."""
        if self._hung:
            self._process.kill()
        code = self._process.wait()
        self._errors.seek(0)
        text = self._errors.read().decode("utf-8", "replace").strip().splitlines()
        return (None if self._hung else code), (text[-1][:200] if text else "")
