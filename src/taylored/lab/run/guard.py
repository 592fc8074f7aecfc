"""Refuse to resume a run where anything has changed that its numbers depend on."""

import platform
from collections.abc import Mapping, Sequence
from hashlib import sha256
from importlib.metadata import version
from pathlib import Path

import numpy as np
import torch

import taylored
from taylored.lab.data import Dataset, fingerprint
from taylored.lab.errors import UsageError
from taylored.lab.trial.user_code import is_reference, source_hash

Guard = Mapping[str, str]

NUMERIC = (
    "core/**/*.py",
    "kernels/*.py",
    "kernels/*.so",
    "kernels/cpp/*.*",
    "modules/**/*.py",
    "losses/**/*.py",
    "catalog/**/*.py",
    "layers.py",
    "monitor.py",
    "lab/trial/*.py",
    "lab/data/**/*.py",
    "lab/metrics.py",
    "lab/tasks.py",
)
"""Files of the package that the numbers of a trial come from."""


def guard_of(dataset: Dataset, losses: Sequence[str], model: str) -> Guard:
    """Fingerprints of data, packages, processor and the user's own code."""
    code = {
        f"source of {name}": source_hash(name) for name in [*losses, model] if is_reference(name)
    }
    return {
        "data": fingerprint(dataset),
        "torch": torch.__version__,
        "numpy": np.__version__,
        "taylored": version("taylored"),
        "source of taylored": _own_source(),
        # Another vector unit sums in another order and changes the last digits.
        "processor": f"{platform.machine()} {torch.backends.cpu.get_cpu_capability()}",
        **code,
    }


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


def _short(value: str | None) -> str:
    return "absent" if value is None else value[:12] if len(value) == 64 else value
