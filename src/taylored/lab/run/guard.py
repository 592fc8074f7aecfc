"""Fingerprints of what the numbers of a run depend on; a run where it has changed is refused."""

import json
import platform
from collections.abc import Mapping
from dataclasses import dataclass
from hashlib import sha256
from importlib.metadata import version
from pathlib import Path

import numpy as np
import torch

import taylored
from taylored.core.engine.executors import asked
from taylored.kernels import NATIVE
from taylored.kernels.library import Absent
from taylored.lab.data import Dataset, fingerprint
from taylored.lab.errors import UsageError
from taylored.lab.own.sources import Sources
from taylored.lab.records import to_json
from taylored.lab.run.problem import Problem
from taylored.lab.run_config import RunConfig
from taylored.lab.trial.protocol import TrialSpec

Guard = Mapping[str, str]

NUMERIC = (
    "core/**/*.py",
    "kernels/*.py",
    "kernels/*.so",
    "kernels/cpp/*.*",
    "kernels/triton/*.py",
    "modules/**/*.py",
    "losses/**/*.py",
    "catalog/**/*.py",
    "layers.py",
    "monitor.py",
    "terms.py",
    "own/*.py",
    "lab/own/*.py",
    "lab/trial/*.py",
    "lab/data/**/*.py",
    "lab/measures/*.py",
    "lab/metrics.py",
    "lab/side_by_side.py",
    "lab/tasks.py",
)
"""Files of the package that the numbers of a trial come from."""


def guard_of(dataset: Dataset) -> Guard:
    """Fingerprints of data, packages, processor and executors."""
    return {
        "data": fingerprint(dataset),
        "torch": torch.__version__,
        "numpy": np.__version__,
        "taylored": version("taylored"),
        "source of taylored": _own_source(),
        # Another vector unit sums in another order and changes the last digits.
        "processor": f"{platform.machine()} {torch.backends.cpu.get_cpu_capability()}",
        "executors": f"{', '.join(asked())} (native: {_native()})",
    }


def _native() -> str:
    return "none" if isinstance(NATIVE, Absent) else NATIVE.level


@dataclass(frozen=True, eq=False)
class Fingerprints:
    """What each trial of a run belongs to: everything that decides its numbers."""

    config: RunConfig
    problem: Problem
    guard: Guard
    sources: Mapping[str, Sources]

    def of(self, spec: TrialSpec) -> str:
        """SHA-256 over settings, data, split, packages, and the user's code behind the trial."""
        own = [name for name in (spec.loss, self.config.model) if name in self.sources]
        content = {
            "guard": dict(self.guard),
            "protocol": to_json(self.problem.protocol(self.config)),
            "trial": to_json(spec),
            "split": sha256(self.problem.part(spec.repeat, spec.fold).tobytes()).hexdigest(),
            "sources": {name: dict(self.sources[name]) for name in own},
        }
        return sha256(json.dumps(content, sort_keys=True).encode("ascii")).hexdigest()


def _own_source() -> str:
    """SHA-256 over the code that the numbers come from, for those who work on taylored itself."""
    package = Path(taylored.__file__).parent
    files = [file for part in NUMERIC for file in package.glob(part)]
    digest = sha256()
    for file in sorted(files):
        digest.update(file.relative_to(package).as_posix().encode() + b"\0" + file.read_bytes())
    return digest.hexdigest()


def refuse_changes(recorded: Guard, current: Guard) -> None:
    """Raise if anything differs from what the run was started with, and say what."""
    changes = [
        f"{name} ({_short(recorded.get(name))} then, {_short(current.get(name))} now)"
        for name in sorted({*recorded, *current})
        if recorded.get(name) != current.get(name)
    ]
    if changes:
        raise UsageError(
            f"this run cannot be resumed, because it has changed since: {'; '.join(changes)}. "
            "Mixing the numbers would be wrong: restore what changed, or start a new run."
        )


def as_guard(sources: Mapping[str, Sources]) -> Guard:
    """The files of the user as entries that `refuse_changes` compares."""
    return {
        _described(name, module): value
        for name, files in sources.items()
        for module, value in files.items()
    }


def _described(name: str, module: str) -> str:
    if module == name:
        return f"the object {name}"
    return f"source of {name}" if module == name.split(":")[0] else f"{module}, used by {name}"


def _short(value: str | None) -> str:
    return "absent" if value is None else value[:12] if len(value) == 64 else value
