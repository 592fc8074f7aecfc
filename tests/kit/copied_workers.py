"""Workers that are copies of this process, which has imported everything that they need.

Starting Python and importing torch takes seconds, a copy milliseconds. What a new process has to do
by itself is seen where the command line is tested, and in `tests/lab/run/test_isolation.py`.
"""

from __future__ import annotations

import os
import signal
from collections.abc import Iterator
from contextlib import contextmanager, suppress

import pytest
import torch

from kit.copies import copies_work
from taylored.lab.run.workers import process, worker


class Copy:
    """A worker as `subprocess.Popen` shows it."""

    def __init__(self) -> None:
        requests, send = os.pipe()
        receive, answers = os.pipe()
        self.pid = os.fork()
        if self.pid == 0:
            os.setpgid(0, 0)
            os.dup2(requests, 0)
            os.dup2(answers, 1)
            for number in (requests, send, receive, answers):
                os.close(number)
            try:
                worker.main()
            finally:
                os._exit(0)
        os.close(requests)
        os.close(answers)
        self.stdin, self.stdout = open(send, "wb"), open(receive, "rb")  # noqa: PTH123, SIM115

    def kill(self) -> None:
        """End it."""
        with suppress(ProcessLookupError):
            os.kill(self.pid, signal.SIGKILL)

    def wait(self, timeout: float | None = None) -> int:
        """Wait for its end."""
        with suppress(ChildProcessError):
            return os.waitstatus_to_exitcode(os.waitpid(self.pid, 0)[1])
        return 0


@contextmanager
def copied_workers() -> Iterator[None]:
    """Pools start copies of this process, where processes can be copied."""
    if not copies_work():
        yield
        return
    torch.optim.AdamW([torch.zeros(1, requires_grad=True)])  # imports what copies then have
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(process, "_start", Copy)
        yield
