"""Which executors serve in this process, and why: what `taylored env` prints."""

from __future__ import annotations

import os
import platform
from dataclasses import asdict, dataclass
from importlib.metadata import version
from typing import Any

import torch

from taylored.core.engine.executors import asked
from taylored.kernels import NATIVE, SETTING, TRITON
from taylored.kernels.library import Absent, build_note

_ABOUT = {
    "blocked": "torch, piece by piece: CPU, batches larger than the cache",
    "whole": "torch, one expression: everything else, other devices, torch.compile",
}


@dataclass(frozen=True)
class Serving:
    """One executor: whether losses run on it here, for what or why not, and what would help."""

    name: str
    serves: bool
    detail: str
    fix: str | None


@dataclass(frozen=True)
class Environment:
    """Everything that decides how losses run; `executors` in the order in which they are asked."""

    taylored: str
    torch: str
    python: str
    system: str
    threads: int
    cpu_capability: str
    compiler: str | None
    setting: str | None
    executors: tuple[Serving, ...]

    def to_dict(self) -> dict[str, Any]:
        """Plain data."""
        return asdict(self)


def environment() -> Environment:
    """What this process has.

    Example:
        >>> [executor.name for executor in environment().executors]
        ['triton', 'native', 'blocked', 'whole']
    """
    return Environment(
        taylored=version("taylored"),
        torch=torch.__version__,
        python=platform.python_version(),
        system=f"{platform.system()} {platform.machine()}",
        threads=torch.get_num_threads(),
        cpu_capability=torch.backends.cpu.get_cpu_capability(),
        compiler=build_note().compiler,
        setting=os.environ.get(SETTING) or None,
        executors=(_triton(), _native(), *(_torch(name) for name in _ABOUT)),
    )


def _native() -> Serving:
    if isinstance(NATIVE, Absent):
        return Serving("native", False, NATIVE.reason, NATIVE.fix)
    if "native" not in asked():
        return _left_out("native")
    about = f"{NATIVE.level} library: softmax and sigmoid losses on the CPU"
    note = build_note().reason
    return Serving("native", True, about if note is None else f"{about} ({note})", None)


def _triton() -> Serving:
    if TRITON in asked():
        about = (
            "Triton kernels: softmax and sigmoid losses on GPUs; unmeasured, no card has run them"
        )
        return Serving(TRITON, True, about, None)
    wanted = ",".join((TRITON, *asked()))
    return Serving(
        TRITON, False, "no card has run it yet", f"{SETTING}={wanted} to try it on a GPU"
    )


def _torch(name: str) -> Serving:
    return Serving(name, True, _ABOUT[name], None) if name in asked() else _left_out(name)


def _left_out(name: str) -> Serving:
    return Serving(name, False, f"left out by {SETTING}", f"add {name} to it, or unset it")
