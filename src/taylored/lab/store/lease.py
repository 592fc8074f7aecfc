"""Who works on what: several processes, also of several machines, share the trials of a run.

Every process keeps a file in `leases/` and touches it every few seconds. A trial is taken by
creating a file with the name of the process inside, which only one can do. A process whose file is
missing or was not touched for long, or that is known to be dead, holds nothing any more. Should two
processes train the same trial all the same, because one of them slept, they write the same numbers.
"""

import json
import os
import re
import socket
from contextlib import suppress
from pathlib import Path
from secrets import token_hex
from threading import Event, Thread
from types import TracebackType
from typing import Self

from taylored.lab.errors import RunError
from taylored.lab.store.files import create_text, owned_name, owner_of, reason

HEARTBEAT = 5.0
STALE_AFTER = 30.0
"""Seconds without a heartbeat after which a process counts as dead."""


class Leases:
    """The files of this process in `leases/`; leaving the `with` block gives everything back."""

    def __init__(self, run: Path) -> None:
        self._folder = run / "leases"
        host = re.sub(r"[^\w.-]", "-", socket.gethostname())[:60]
        self.name = f"{host}-{os.getpid()}-{token_hex(4)}"
        self._file = self._folder / f"{self.name}.process"
        self._stop = Event()
        self._thread = Thread(target=self._beat, daemon=True)
        self._mine: set[Path] = set()

    def __enter__(self) -> Self:
        self._announce()
        self._thread.start()
        return self

    def __exit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        traceback: TracebackType | None,
    ) -> None:
        self._stop.set()
        self._thread.join()  # a late heartbeat would find its file gone, and make it again
        with suppress(OSError):
            for file in self._mine:
                file.unlink(missing_ok=True)
            self._sweep()
            self._file.unlink(missing_ok=True)
            self._folder.rmdir()  # only if nobody else is left

    def acquire(self, what: str) -> bool:
        """Take something; False while another living process has it."""
        file = self._folder / f"{what}.lease"
        for _ in range(3):
            if self._create(file):
                self._mine.add(file)
                return True
            holder = _content(file)
            if holder == self.name:
                return True
            if self._is_alive(holder):
                return False
            self._take_away(file, holder)
        return False

    def release(self, what: str) -> None:
        """Give it back."""
        file = self._folder / f"{what}.lease"
        self._mine.discard(file)
        if _content(file) == self.name:
            with suppress(OSError):
                file.unlink(missing_ok=True)

    def others(self) -> list[str]:
        """Names of the other living processes."""
        names = (file.name.removesuffix(".process") for file in self._folder.glob("*.process"))
        return sorted(name for name in names if name != self.name and self._is_alive(name))

    def _announce(self) -> None:
        self._create(self._file, json.dumps({"home": _home(), "start": _start_of(os.getpid())}))

    def _create(self, file: Path, text: str | None = None) -> bool:
        for _ in range(3):
            try:
                self._folder.mkdir(exist_ok=True)
                return create_text(file, self.name if text is None else text, self.name)
            except (OSError, RunError) as error:
                last = error  # another process may have removed the empty folder just now
        why = reason(last) if isinstance(last, OSError) else str(last)
        raise RunError(f"cannot write into {self._folder}: {why}")

    def _beat(self) -> None:
        while not self._stop.wait(HEARTBEAT):
            try:
                os.utime(self._file)
            except FileNotFoundError:  # swept away while this process slept
                with suppress(RunError):
                    self._announce()
            except OSError:
                pass  # a network that is gone for a moment

    def _is_alive(self, name: str | None) -> bool:
        if name is None or not re.fullmatch(r"[\w.-]+", name):
            return False
        file = self._folder / f"{name}.process"
        try:
            # Both times come from the same clock, that of the file system.
            age = self._file.stat().st_mtime - file.stat().st_mtime
            about = json.loads(file.read_text("utf-8"))
            home, start = about["home"], about["start"]
        except FileNotFoundError:
            return False
        except (OSError, ValueError, TypeError, KeyError):
            return True  # cannot be told: better to wait than to disturb
        if home is not None and home == _home():
            return bool(age <= STALE_AFTER and start == _start_of(int(name.split("-")[-2])))
        return bool(age <= STALE_AFTER)

    def _take_away(self, file: Path, holder: str | None) -> None:
        """Delete the lease of a dead process, and no other that was made in its place meanwhile."""
        aside = self._folder / owned_name(self.name)
        with suppress(OSError):
            file.rename(aside)
            if _content(aside) != holder:
                with suppress(OSError):
                    os.link(aside, file)
            aside.unlink()

    def _sweep(self) -> None:
        """Delete what dead processes have left behind."""
        for file in self._folder.glob("*.lease"):
            holder = _content(file)
            if not self._is_alive(holder):
                self._take_away(file, holder)
        for file in self._folder.glob("*.process"):
            if not self._is_alive(file.name.removesuffix(".process")):
                file.unlink(missing_ok=True)
        for file in self._folder.glob(".*.tmp"):
            if self._is_abandoned(file):
                file.unlink(missing_ok=True)

    def _is_abandoned(self, file: Path) -> bool:
        """Whether a temporary file is of a process that was killed while it wrote.

        A process that announces itself has no file yet by which it could be known to be alive.
        """
        owner = owner_of(file)
        if self._is_alive(owner):
            return False
        host, _, pid = owner.rpartition("-")[0].rpartition("-")
        if _home() is not None and host == self.name.rsplit("-", 2)[0] and pid.isdigit():
            return not Path(f"/proc/{pid}").exists()
        return self._file.stat().st_mtime - file.stat().st_mtime > STALE_AFTER


def _content(file: Path) -> str | None:
    try:
        return file.read_text("utf-8")
    except (OSError, ValueError):
        return None


def _home() -> str | None:
    """This boot of this machine and container: where process numbers mean something."""
    try:
        boot = Path("/proc/sys/kernel/random/boot_id").read_text("ascii").strip()
        return f"{boot} {os.readlink('/proc/self/ns/pid')}"  # noqa: PTH115 - not a path
    except OSError:
        return None


def _start_of(pid: int) -> str | None:
    """When a process of this machine started; None if there is none, or no way to know."""
    try:
        text = Path(f"/proc/{pid}/stat").read_text("utf-8", "replace")
    except OSError:
        return None
    state, *rest = text.rpartition(")")[2].split()
    return None if state in "ZX" else rest[18]
