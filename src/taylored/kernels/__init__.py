"""Optional executors: the native one, registered where a library of it loads, and Triton's.

Without one everything runs on the torch executors; `taylored env` says which serve and why.
The environment variable TAYLORED_EXECUTORS keeps a process to some of them ("blocked,whole").
Triton's is only there if it is named: no card has measured it yet.
"""

from __future__ import annotations

import os

from taylored.core.checks import fail, one_of
from taylored.core.engine.executors import asked, keep, register
from taylored.core.overlap import sweeps
from taylored.kernels.executor import Native
from taylored.kernels.library import Absent, Library, find
from taylored.kernels.operator import NativeOperators
from taylored.kernels.overlap import NativeOverlap
from taylored.kernels.shortcut import NativeShortcut

NATIVE: Library | Absent = find()
"""The library in use, or why there is none."""

SETTING = "TAYLORED_EXECUTORS"
TRITON = "triton"


def _restrict(setting: str) -> None:
    wanted = [name.strip() for name in setting.split(",") if name.strip()]
    if Native.name in wanted and isinstance(NATIVE, Absent):
        fail(SETTING, "executors that are there", f"'native' ({NATIVE.reason})", NATIVE.fix)
    for name in wanted:
        one_of(SETTING, name, (TRITON, *asked()))
    if TRITON in wanted:
        _add_triton()
    keep(wanted)


def _add_triton() -> None:
    try:
        from taylored.kernels.triton.executor import Triton, device_type
    except ImportError as error:
        fail(SETTING, "executors that are there", f"'triton' ({error})", "pip install triton")
    register(Triton(device_type()))


if isinstance(NATIVE, Library):
    register(Native(NATIVE), NativeShortcut(NATIVE), NativeOperators(NATIVE))
    sweeps.register(NativeOverlap(NATIVE))
if os.environ.get(SETTING):
    _restrict(os.environ[SETTING])
