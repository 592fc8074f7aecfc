"""Optional executors: here the native one, registered where a library of it loads.

Without one everything runs on the torch executors; `taylored env` says which serve and why.
The environment variable TAYLORED_EXECUTORS keeps a process to some of them ("blocked,whole").
"""

from __future__ import annotations

import os

from taylored.core.checks import fail
from taylored.core.engine.executors import keep, register
from taylored.core.overlap import sweeps
from taylored.kernels.executor import Native
from taylored.kernels.library import Absent, Library, find
from taylored.kernels.operator import NativeOperators
from taylored.kernels.overlap import NativeOverlap
from taylored.kernels.shortcut import NativeShortcut

NATIVE: Library | Absent = find()
"""The library in use, or why there is none."""

SETTING = "TAYLORED_EXECUTORS"


def _restrict(setting: str) -> None:
    wanted = [name.strip() for name in setting.split(",") if name.strip()]
    if Native.name in wanted and isinstance(NATIVE, Absent):
        fail(SETTING, "executors that are there", f"'native' ({NATIVE.reason})", NATIVE.fix)
    keep(wanted, said_by=SETTING)


if isinstance(NATIVE, Library):
    register(Native(NATIVE), NativeShortcut(NATIVE), NativeOperators(NATIVE))
    sweeps.register(NativeOverlap(NATIVE))
if os.environ.get(SETTING):
    _restrict(os.environ[SETTING])
